"""Complexes: residue pairs of two partners, their windows and labels, and the pairs to train on."""

from resblock.pairs.benchmark import prepare_benchmark, prepare_complex
from resblock.pairs.complex import DERIVED_KINDS, INTERFACE, PSEUDO_DIMER, Complex
from resblock.pairs.layout import Described, read_index
from resblock.pairs.preparation import Prepared, Summary
from resblock.pairs.prepared import FORMAT_VERSION, complex_paths, load_complex, load_complexes, save_complex
from resblock.pairs.pseudo_dimers import Cutting, prepare_pseudo_dimers
from resblock.pairs.variants import Recipe
from resblock.pairs.windows import SIDE, neighbours, window_pairs

__all__ = [
    "DERIVED_KINDS",
    "FORMAT_VERSION",
    "INTERFACE",
    "PSEUDO_DIMER",
    "SIDE",
    "Complex",
    "Cutting",
    "Described",
    "Prepared",
    "Recipe",
    "Summary",
    "complex_paths",
    "load_complex",
    "load_complexes",
    "neighbours",
    "prepare_benchmark",
    "prepare_complex",
    "prepare_pseudo_dimers",
    "read_index",
    "save_complex",
    "window_pairs",
]
