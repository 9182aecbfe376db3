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
from resblock.structure.read import partner_of, read_file, read_partner
from resblock.structure.table import StructureFile

__all__ = [
    "EXTENDED_FEATURES",
    "FEATURE_SETS",
    "FEATURE_VERSION",
    "PAPER_FEATURES",
    "Partner",
    "PartnerFeatures",
    "Residue",
    "StructureFile",
    "feature_names",
    "feature_set_of",
    "notes",
    "partner_of",
    "read_file",
    "read_partner",
    "residue_features",
]
