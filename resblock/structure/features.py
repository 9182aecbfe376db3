"""The paper's nine numbers for every residue of an unbound partner."""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path
from typing import Final

import numpy as np
import platformdirs
from numpy.typing import NDArray

from resblock.errors import InputError
from resblock.structure import pka
from resblock.structure.files import write_atomically
from resblock.structure.frame import canonical_frame
from resblock.structure.read import Partner
from resblock.structure.scales import (
    EISENBERG,
    KYTE_DOOLITTLE,
    REFERENCE_AREA,
    SIDE_CHAIN_ATOMS,
    UNKNOWN,
    atom_radius,
)
from resblock.structure.tessellation import tessellate

#: Raise it whenever a feature's value changes: cached and prepared data of other versions are redone.
FEATURE_VERSION: Final = 3

PAPER_FEATURES: Final = ("IC", "EC", "EV", "AESA", "RESA", "HI-E", "HI-KD", "pKa-model", "pKa-PROPKA")

FEATURE_SETS: Final = {"paper": PAPER_FEATURES}

#: Two atoms whose spheres are closer than this touch, Angstrom.
TOUCHING_GAP: Final = 1.0
#: A contact goes from touching to void over this width of the gap, Angstrom. A structure file's
#: rounding moves gaps by 0.001; a sharp limit would then move areas of several square Angstrom.
GAP_TRANSITION: Final = 0.4


def residue_features(partner: Partner, features: str = "paper") -> NDArray[np.float64]:
    """Features of every residue, from this partner alone.

    They do not depend on where the partner lies or how it is turned. Results are cached under
    `cache_directory` by the content of the partner.

    Parameters
    ----------
    partner
        N residues.
    features
        Name of the feature set; ``"paper"`` has the columns `PAPER_FEATURES`: areas in square
        Angstrom, RESA in per cent; the pKa columns are NaN where a residue does not titrate.

    Returns
    -------
    ndarray
        (N, F) float64.

    Raises
    ------
    InputError
        There is no such feature set.
    """
    columns = feature_names(features)
    key = hashlib.sha256(f"{partner.digest} {features} {FEATURE_VERSION}".encode()).hexdigest()
    entry = cache_directory() / "features" / f"{key}.npy"
    shape = (len(partner.residues), len(columns))
    table = _load(entry, shape)
    if table is None:
        table = _paper_features(partner)
        # A cache that cannot be written (read-only home, full disk) costs time, nothing else.
        with contextlib.suppress(OSError):
            write_atomically(entry, lambda stream: np.save(stream, table))
    return table


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
    lines = []
    for residues, what in (
        (unknown, "of unknown type: hydropathy 0, alanine's reference area, no pKa"),
        (truncated, "with side-chain atoms missing: their areas and pKa are less reliable"),
    ):
        if residues:
            few = ", ".join(str(r) for r in residues[:3]) + (", ..." if len(residues) > 3 else "")
            count = f"{len(residues)} residue{'s' if len(residues) > 1 else ''}"
            lines.append(f"{partner.path}: {count} {what} ({few})")
    if len(partner.residues) > pka.MAX_RESIDUES:
        lines.append(
            f"{partner.path}: {len(partner.residues)} residues, more than {pka.MAX_RESIDUES}: "
            "model pKa in place of PROPKA's prediction; choose chains to have it"
        )
    return lines


def cache_directory() -> Path:
    """``$RESBLOCK_CACHE``, else the user's cache directory of this platform."""
    return Path(os.environ.get("RESBLOCK_CACHE") or platformdirs.user_cache_dir("resblock"))


def _load(entry: Path, shape: tuple[int, int]) -> NDArray[np.float64] | None:
    """A cached table; None if there is none or it is damaged."""
    try:
        table = np.load(entry, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return table if table.shape == shape and table.dtype == np.float64 else None


def atom_radii(partner: Partner) -> NDArray[np.float64]:
    """(A,) NACCESS radii of a partner's atoms, Angstrom."""
    return np.array(
        [
            atom_radius(partner.residues[k].parent, name, element)
            for k, name, element in zip(partner.atom_residue, partner.atom_names, partner.elements, strict=True)
        ]
    )


def _paper_features(partner: Partner) -> NDArray[np.float64]:
    interior, exterior, void, accessible = _residue_areas(partner)
    parents = [residue.parent for residue in partner.residues]
    reference = np.array([REFERENCE_AREA[parent] for parent in parents])
    return np.column_stack(
        [
            interior,
            exterior,
            void,
            accessible,
            100.0 * accessible / reference,
            [EISENBERG[parent] for parent in parents],
            [KYTE_DOOLITTLE[parent] for parent in parents],
            pka.model_pka(partner),
            pka.propka_pka(partner),
        ]
    )


def _residue_areas(partner: Partner) -> tuple[NDArray[np.float64], ...]:
    """IC, EC, EV and AESA, each (N,): together the whole surface of the cells of N residues."""
    xyz = canonical_frame(partner.coordinates)
    radii = atom_radii(partner)
    result = tessellate(xyz, radii)
    size = len(partner.residues)
    first, second = result.pairs.T
    owner = partner.atom_residue
    inside = owner[first] == owner[second]
    gap = np.linalg.norm(xyz[first] - xyz[second], axis=1) - radii[first] - radii[second]
    touching = np.clip(0.5 + (TOUCHING_GAP - gap) / GAP_TRANSITION, 0.0, 1.0)

    def total(atoms: NDArray[np.int64], areas: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.bincount(owner[atoms], areas, size).astype(np.float64)

    def surface(share: NDArray[np.float64]) -> NDArray[np.float64]:
        """A contact is surface of both of its atoms."""
        return total(first, result.areas * share) + total(second, result.areas * share)

    return (
        surface(inside.astype(np.float64)),
        surface(~inside * touching),
        surface(~inside * (1.0 - touching)),
        total(np.arange(len(owner)), result.accessible),
    )
