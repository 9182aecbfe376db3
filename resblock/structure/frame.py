"""A partner's own frame: the same coordinates however the file was turned or shifted."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def canonical_frame(coordinates: NDArray[np.float64]) -> NDArray[np.float64]:
    """Coordinates in a right-handed frame fixed to the atoms, origin at their centre.

    The first axis is the trend of the positions along the order of the atoms, the second their
    bend. Unlike principal axes, both have a sign, also in a symmetric oligomer, so that rounding
    cannot turn the frame over. Nothing computed here can carry the placement of a partner relative
    to the other, and libraries whose result depends on the axes (PROPKA places hydrogens along
    them) give the same result for every placement.

    Parameters
    ----------
    coordinates
        (A, 3), Angstrom.

    Returns
    -------
    ndarray
        (A, 3) float64, Angstrom.
    """
    centred = coordinates - coordinates.mean(axis=0)
    order = np.linspace(-1.0, 1.0, len(centred))
    moments = np.stack([order, order**2]) @ centred
    axes, triangle = np.linalg.qr(moments.T)
    axes *= np.where(np.diag(triangle) < 0, -1.0, 1.0)
    basis = np.column_stack([axes, np.cross(axes[:, 0], axes[:, 1])])
    return np.asarray(centred @ basis, dtype=np.float64)
