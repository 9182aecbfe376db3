"""Dimers for the network: residue pairs, their windows and their labels.

`resblock.pairs.dataset` turns them into tensors and is the only part that needs torch.
"""

from resblock.pairs.benchmark import Prepared, Summary, prepare_benchmark, prepare_complex
from resblock.pairs.dimer import FORMAT_VERSION, Dimer, DimerPartner, load_dimers
from resblock.pairs.windows import WINDOW, neighbours, window_pairs

__all__ = [
    "FORMAT_VERSION",
    "WINDOW",
    "Dimer",
    "DimerPartner",
    "Prepared",
    "Summary",
    "load_dimers",
    "neighbours",
    "prepare_benchmark",
    "prepare_complex",
    "window_pairs",
]
