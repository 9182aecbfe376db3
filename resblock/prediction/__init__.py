"""From two structures to ranked residue pairs, residues and patches."""

from resblock.prediction.pipeline import predict
from resblock.prediction.prediction import MAX_TABLE, Prediction
from resblock.prediction.ranking import Ranking
from resblock.prediction.reading import read_partners

__all__ = ["MAX_TABLE", "Prediction", "Ranking", "predict", "read_partners"]
