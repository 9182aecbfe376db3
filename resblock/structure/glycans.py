"""Residues that carry a sugar, which keeps other proteins away from them."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from resblock.structure.geometry import pairs_within
from resblock.structure.partner import Partner
from resblock.structure.table import AtomTable

#: Atoms that a glycan is bonded to, by the residue they belong to.
_BEARERS: Final = {"ASN": "ND2", "SER": "OG", "THR": "OG1"}
#: A bond of 1.4 Angstrom, and room for poor models.
_BOND: Final = 1.9


def glycosylated(partner: Partner, atoms: AtomTable) -> NDArray[np.bool_]:
    """Which of the partner's residues are bonded to the first carbon of a sugar.

    Parameters
    ----------
    partner : Partner
        Of N residues.
    atoms : AtomTable
        Everything in the file.

    Returns
    -------
    ndarray of bool, shape (N,)
    """
    bearing = [
        k
        for k, (atom, owner) in enumerate(zip(partner.atom_names, partner.atom_residue.tolist(), strict=True))
        if _BEARERS.get(partner.residues[owner].parent) == atom
    ]
    sugars = np.flatnonzero((atoms.atom == "C1") & atoms.hetero)
    found = np.zeros(len(partner), dtype=np.bool_)
    points = np.concatenate([partner.coordinates[bearing], atoms.xyz[sugars]])
    finite = np.isfinite(points).all(axis=1)
    if not (len(sugars) and finite.all()):
        return found
    pairs = pairs_within(points, _BOND)
    bonded = pairs[(pairs[:, 0] < len(bearing)) & (pairs[:, 1] >= len(bearing)), 0]
    found[partner.atom_residue[np.array(bearing, dtype=np.int64)[bonded]]] = True
    return found
