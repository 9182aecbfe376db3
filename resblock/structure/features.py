"""The features of every residue of an unbound partner, by the name of the feature set."""

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
from resblock.structure.extended import EXTENDED_FEATURES, extended_features
from resblock.structure.files import write_atomically
from resblock.structure.paper import PAPER_FEATURES, paper_features
from resblock.structure.read import Partner
from resblock.structure.scales import SIDE_CHAIN_ATOMS, UNKNOWN

#: Raise it whenever a feature's value changes: cached and prepared data of other versions are redone.
FEATURE_VERSION: Final = 3

FEATURE_SETS: Final = {"paper": PAPER_FEATURES, "extended": EXTENDED_FEATURES}


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
    columns = feature_names(features)
    key = hashlib.sha256(f"{partner.digest} {features} {FEATURE_VERSION}".encode()).hexdigest()
    entry = cache_directory() / "features" / f"{key}.npy"
    shape = (len(partner.residues), len(columns))
    table = _load(entry, shape)
    if table is None:
        table = _computed(partner, features)
        # A cache that cannot be written (read-only home, full disk) costs time, nothing else.
        with contextlib.suppress(OSError):
            write_atomically(entry, lambda stream: np.save(stream, table))
    return table


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
