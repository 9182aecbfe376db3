"""Scores of a dimer's residue pairs: trained networks and what their input needs.

`load_scorer` reads weights; whatever kind they are, `scorer.score(dimer)` is all that prediction and evaluation use.
"""

from resblock.scoring.base import LARGEST_DEVIATION, NetworkScorer, Progress, Scorer
from resblock.scoring.chain import ChainScorer
from resblock.scoring.device import DEVICES, choose_device
from resblock.scoring.diverse import diverse_order
from resblock.scoring.ensemble import EnsembleScorer
from resblock.scoring.files import METADATA
from resblock.scoring.loading import INCLUDED, load_scorer
from resblock.scoring.windows import WindowScorer

__all__ = [
    "DEVICES",
    "INCLUDED",
    "LARGEST_DEVIATION",
    "METADATA",
    "ChainScorer",
    "EnsembleScorer",
    "NetworkScorer",
    "Progress",
    "Scorer",
    "WindowScorer",
    "choose_device",
    "diverse_order",
    "load_scorer",
]
