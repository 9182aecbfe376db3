"""Protein structures: from files to the features of residues. Needs no torch."""

from resblock.structure.features import (
    FEATURE_SETS,
    FEATURE_VERSION,
    PAPER_FEATURES,
    cache_directory,
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
    "notes",
    "read_partner",
    "residue_features",
]
