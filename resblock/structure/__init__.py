"""Protein structures: from files to the features of residues. Needs no torch."""

from resblock.structure.extended import EXTENDED_FEATURES
from resblock.structure.features import (
    FEATURE_SETS,
    FEATURE_VERSION,
    cache_directory,
    feature_names,
    notes,
    residue_features,
)
from resblock.structure.paper import PAPER_FEATURES
from resblock.structure.read import Partner, Residue, read_partner

__all__ = [
    "EXTENDED_FEATURES",
    "FEATURE_SETS",
    "FEATURE_VERSION",
    "PAPER_FEATURES",
    "Partner",
    "Residue",
    "cache_directory",
    "feature_names",
    "notes",
    "read_partner",
    "residue_features",
]
