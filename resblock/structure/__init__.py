"""Protein structures: from files to the features of residues. Needs no torch."""

from resblock.structure.features import (
    FEATURE_SETS,
    FEATURE_VERSION,
    PAPER_FEATURES,
    cache_directory,
    feature_names,
    notes,
    residue_features,
)
from resblock.structure.read import Partner, Residue, read_partner

__all__ = [
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
