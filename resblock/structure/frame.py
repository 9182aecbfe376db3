"""A partner's own frame: the same coordinates however the file was rotated or shifted."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def canonical_frame(coordinates: NDArray[np.float64]) -> NDArray[np.float64]:
    """Coordinates on the principal axes, largest extent first, origin at the centre.

    An axis points to the side of its positive third moment; the last one makes the frame
    right-handed. Nothing computed here can carry the placement of a partner relative to the other,
    and libraries whose result depends on the axes (PROPKA places hydrogens along them) give the
    same result for every placement. For a perfectly symmetric set of points the axes are arbitrary
    but still of this partner alone.

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
    _, axes = np.linalg.eigh(centred.T @ centred)
    axes = axes[:, ::-1].copy()
    skew = ((centred @ axes) ** 3).sum(axis=0)
    axes *= np.where(skew < 0, -1.0, 1.0)
    if np.linalg.det(axes) < 0:
        axes[:, 2] *= -1.0
    return np.asarray(centred @ axes, dtype=np.float64)
