"""The features of every residue of an unbound partner, by the name of the feature set."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from resblock.errors import InputError
from resblock.files import cache_directory, cached
from resblock.structure import pka
from resblock.structure.backbone import Backbone
from resblock.structure.extended import EXTENDED_FEATURES, extended_features
from resblock.structure.names import one_letter
from resblock.structure.paper import PAPER_FEATURES, paper_features
from resblock.structure.partner import Partner, Residue, chain_starts
from resblock.structure.scales import SIDE_CHAIN_ATOMS, UNKNOWN

#: Raise it whenever a feature's value changes: cached and prepared data of other versions are redone.
FEATURE_VERSION: Final = 3

#: Below it a predicted residue is likely disordered or wrong (Tunyasuvunakool et al. 2021).
LOW_PLDDT: Final = 50.0
#: Columns by the name of the feature set; each set holds those before it.
FEATURE_SETS: Final = {"paper": PAPER_FEATURES, "extended": EXTENDED_FEATURES}


@dataclass(frozen=True)
class PartnerFeatures:
    """What a model may know of one partner, from its unbound structure alone: one table over N residues.

    Attributes
    ----------
    path
        File it was read from.
    residues
        N residues under the author's numbering.
    feature_names
        Names of the F columns.
    features
        (N, F) float32, raw; NaN where a residue does not titrate.
    backbone
        Atoms and bonds along the chain, in the partner's own canonical frame: it tells how the residues of one partner
        stand to each other, and nothing of the other partner.
    centres
        (N, 3) float32, mean heavy-atom position in the same frame, Angstrom.
    surface
        (N,) bool, whether any of the residue is accessible to solvent (AESA > 0).
    sequence, sequence_index, left_out
        As in `resblock.structure.Partner`.
    """

    path: str
    residues: tuple[Residue, ...]
    feature_names: tuple[str, ...]
    features: NDArray[np.float32]
    backbone: Backbone
    centres: NDArray[np.float32]
    surface: NDArray[np.bool_]
    sequence: tuple[str, ...]
    sequence_index: NDArray[np.int64]
    left_out: tuple[str, ...]

    @classmethod
    def of(cls, partner: Partner, features: str = "extended") -> PartnerFeatures:
        """Compute the columns of a feature set.

        Raises
        ------
        InputError
            There is no such set, or PROPKA refuses the geometry.
        """
        table, names = residue_features(partner, features), feature_names(features)
        return cls(
            path=partner.path,
            residues=partner.residues,
            feature_names=names,
            features=table.astype(np.float32),
            backbone=partner.backbone,
            centres=partner.centres.astype(np.float32),
            surface=table[:, names.index("AESA")] > 0.0,
            sequence=partner.sequence,
            sequence_index=partner.sequence_index,
            left_out=partner.left_out,
        )

    def __len__(self) -> int:
        return len(self.residues)

    @property
    def chains(self) -> tuple[str, ...]:
        """Chain names in order."""
        return tuple(dict.fromkeys(residue.chain for residue in self.residues))

    @property
    def linked(self) -> NDArray[np.bool_]:
        """(N,) whether a residue is bonded to the one before it."""
        return self.backbone.linked

    @property
    def sides(self) -> NDArray[np.float32]:
        """(N, 3) unit vectors from C-alpha to the ideal C-beta; zero where the backbone is incomplete."""
        return self.backbone.side.astype(np.float32)

    @cached_property
    def chain_starts(self) -> NDArray[np.int64]:
        """(C,) index of the first residue of each chain."""
        return chain_starts(self.residues)

    @cached_property
    def surface_residues(self) -> NDArray[np.int64]:
        """(n,) indices of the residues on the surface."""
        return np.flatnonzero(self.surface)

    @property
    def letters(self) -> str:
        """One-letter codes of all residues; X for an unknown type."""
        return "".join(one_letter(residue.parent) for residue in self.residues)

    def columns(self, names: Sequence[str]) -> NDArray[np.float32]:
        """(N, K) columns of the features in the order of their names.

        Raises
        ------
        InputError
            If one is missing.
        """
        if self.feature_names == tuple(names):
            return self.features
        missing = [name for name in names if name not in self.feature_names]
        if missing:
            raise InputError(
                f"{self.path}: the features have no {missing[0]!r}, which the model needs; prepare it anew with this "
                "version of resblock, or choose other weights"
            )
        return self.features[:, [self.feature_names.index(name) for name in names]]


def residue_features(partner: Partner, features: str = "paper") -> NDArray[np.float64]:
    """Features of every residue, from this partner alone.

    They do not depend on where the partner lies or how it is turned. Results are cached under
    `cache_directory` by the content of the partner.

    Parameters
    ----------
    partner
        N residues.
    features
        Name of the feature set. ``"paper"`` has the columns `PAPER_FEATURES`: areas in square
        Angstrom, RESA in per cent; the pKa columns are NaN where a residue does not titrate.
        ``"extended"`` has more of them, `EXTENDED_FEATURES`, which `docs/features.md` lists.

    Returns
    -------
    ndarray
        (N, F) float64.

    Raises
    ------
    InputError
        There is no such feature set.
    """
    shape = (len(partner), len(feature_names(features)))
    key = hashlib.sha256(f"{partner.digest} {features} {FEATURE_VERSION}".encode()).hexdigest()
    return cached(
        cache_directory() / "features" / f"{key}.npy",
        functools.partial(_computed, partner, features),
        functools.partial(_load, shape=shape),
        np.save,
    )


def _computed(partner: Partner, features: str) -> NDArray[np.float64]:
    if features == "paper":
        return paper_features(partner)
    return extended_features(partner, residue_features(partner, "paper"))


def feature_names(features: str) -> tuple[str, ...]:
    """Names of the columns of a feature set.

    Raises
    ------
    InputError
        There is no such set.
    """
    if features not in FEATURE_SETS:
        raise InputError(f"features {features!r}: unknown; choose from {', '.join(FEATURE_SETS)}")
    return FEATURE_SETS[features]


def feature_set_of(names: Collection[str]) -> str:
    """Name of the smallest feature set that has all these columns.

    Raises
    ------
    InputError
        No set has them.
    """
    for features, columns in FEATURE_SETS.items():
        if set(names) <= set(columns):
            return features
    lacking = sorted(set(names) - set(EXTENDED_FEATURES))
    raise InputError(f"feature {lacking[0]!r}: unknown to this version of resblock; choose other weights")


def notes(partner: Partner) -> list[str]:
    """What a user should know about how a partner's residues are treated, one line each."""
    found: dict[tuple[int, str], None] = dict.fromkeys(
        zip(partner.atom_residue.tolist(), partner.atom_names, strict=True)
    )
    unknown = [r for r in partner.residues if r.parent == UNKNOWN]
    truncated = [
        residue
        for k, residue in enumerate(partner.residues)
        if residue.name == residue.parent
        and any((k, atom) not in found for atom in SIDE_CHAIN_ATOMS.get(residue.parent, ()))
    ]
    confidence = np.full(len(partner), 100.0) if partner.plddt is None else partner.plddt
    guessed = [residue for residue, plddt in zip(partner.residues, confidence, strict=True) if plddt < LOW_PLDDT]
    carried = partner.glycosylated if partner.glycosylated is not None else np.zeros(len(partner), dtype=np.bool_)
    sugared = [partner.residues[k] for k in np.flatnonzero(carried)]
    lines = []
    for residues, what in (
        (unknown, "of unknown type: hydropathy 0, alanine's reference area, no pKa"),
        (truncated, "with side-chain atoms missing: their areas and pKa are less reliable"),
        (sugared, "with a glycan, which no model sees: exclude what it covers (--exclude)"),
        (guessed, f"with pLDDT under {LOW_PLDDT:g}: where they lie is a guess"),
    ):
        if residues:
            few = ", ".join(str(r) for r in residues[:3]) + (", ..." if len(residues) > 3 else "")
            count = f"{len(residues)} residue{'s' if len(residues) > 1 else ''}"
            lines.append(f"{partner.path}: {count} {what} ({few})")
    if reason := pka.is_beyond(partner):
        lines.append(f"{partner.path}: {reason}: model pKa in place of PROPKA's prediction; choose chains to have it")
    return lines


def _load(entry: Path, shape: tuple[int, int]) -> NDArray[np.float64]:
    """A cached table; ValueError if it is damaged."""
    table: NDArray[np.float64] = np.load(entry, allow_pickle=False)
    if table.shape != shape or table.dtype != np.float64:
        raise ValueError(f"{entry}: holds {table.dtype} {table.shape}, expected float64 {shape}")
    return table
