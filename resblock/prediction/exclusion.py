"""Residues that a user knows cannot be in the interface."""

from __future__ import annotations

import dataclasses
import re
from typing import Final

import numpy as np
from numpy.typing import NDArray

from resblock.errors import InputError
from resblock.pairs.tables import ROLES
from resblock.structure import Partner, PartnerFeatures

#: ``receptor:A:12-30``: partner, chain (``_`` or nothing for a blank name), one residue or the first and the last.
_ITEM: Final = re.compile(r"(receptor|ligand):([^:]*):(-?\d+[A-Za-z]?)(?:-(-?\d+[A-Za-z]?))?")


def exclusions(text: str | None, receptor: Partner, ligand: Partner) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which residues of either partner are excluded.

    Parameters
    ----------
    text : str or None
        ``receptor:A:12-30,ligand:B:7A``, by the author's numbers.
    receptor, ligand : Partner
        Of N and M residues.

    Returns
    -------
    ndarray of bool, shape (N,) and (M,)

    Raises
    ------
    InputError
        If it cannot be read, or names a residue that the partner does not have.
    """
    partners = dict(zip(ROLES, (receptor, ligand), strict=True))
    left_out = {role: np.zeros(len(partner), dtype=np.bool_) for role, partner in partners.items()}
    for item in text.split(",") if text else ():
        match = _ITEM.fullmatch(item.strip())
        if match is None:
            raise InputError(f"--exclude {item!r}: write partner:chain:first-last, as in receptor:A:12-30")
        role, chain, first, last = match.groups()
        partner = partners["receptor" if role == "receptor" else "ligand"]
        chain = "" if chain == "_" else chain
        of_chain = {one.label: place for place, one in enumerate(partner.residues) if one.chain == chain}
        for label in (first, last):
            if label is not None and label not in of_chain:
                raise InputError(
                    f"--exclude {item!r}: {partner.path} has no residue {label} in chain {chain or '(blank)'}"
                )
        start, stop = of_chain[first], of_chain[last or first]
        if stop < start:
            raise InputError(f"--exclude {item!r}: {last} comes before {first}; write the first residue first")
        left_out["receptor" if role == "receptor" else "ligand"][start : stop + 1] = True
    return left_out["receptor"], left_out["ligand"]


def without(features: PartnerFeatures, excluded: NDArray[np.bool_]) -> PartnerFeatures:
    """A partner of which the excluded residues are no candidates.

    Raises
    ------
    InputError
        If none is left.
    """
    if not excluded.any():
        return features
    surface = features.surface & ~excluded
    if not surface.any():
        raise InputError(f"{features.path}: --exclude leaves no surface residue; exclude fewer")
    return dataclasses.replace(features, surface=surface)
