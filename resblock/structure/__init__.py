"""Protein structures: from files to the features of residues. Needs no torch."""

from resblock.structure.extended import EXTENDED_FEATURES
from resblock.structure.features import (
    FEATURE_SETS,
    FEATURE_VERSION,
    PartnerFeatures,
    feature_names,
    feature_set_of,
    notes,
    residue_features,
)
from resblock.structure.paper import PAPER_FEATURES
from resblock.structure.partner import Partner, Residue
from resblock.structure.read import read_partner

__all__ = [
    "EXTENDED_FEATURES",
    "FEATURE_SETS",
    "FEATURE_VERSION",
    "PAPER_FEATURES",
    "Partner",
    "PartnerFeatures",
    "Residue",
    "feature_names",
    "feature_set_of",
    "notes",
    "read_partner",
    "residue_features",
]
