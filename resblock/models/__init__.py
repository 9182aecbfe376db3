"""Models of residue pairs: trained networks with what their input and output need.

`load_ensemble` reads weights; whatever kinds of models they hold, `encode` and `log_odds` are all that prediction and
evaluation use. A further kind is one file with a `Model`, and its name in `resblock.models.files.KINDS`.
"""

from resblock.models.base import Best, Encoding, Model, ModelConfig, PairScorer, Progress
from resblock.models.calibration import Calibration, interface_log_odds, probability
from resblock.models.device import DEVICES, choose_device
from resblock.models.ensemble import Ensemble
from resblock.models.examples import Batch, Drawing, Examples
from resblock.models.files import INCLUDED, KINDS, load_ensemble, save_ensemble, settings
from resblock.models.inverse_folding import InverseFolder
from resblock.models.scaling import Scaling

__all__ = [
    "DEVICES",
    "INCLUDED",
    "KINDS",
    "Batch",
    "Best",
    "Calibration",
    "Drawing",
    "Encoding",
    "Ensemble",
    "Examples",
    "InverseFolder",
    "Model",
    "ModelConfig",
    "PairScorer",
    "Progress",
    "Scaling",
    "choose_device",
    "interface_log_odds",
    "load_ensemble",
    "probability",
    "save_ensemble",
    "settings",
]
