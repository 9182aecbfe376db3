"""What surrounds each residue in its own partner: counts, half spheres, means and sums over neighbours.

Every limit is a ramp of `TRANSITION`: a count with a sharp one jumps when a file is rounded anew.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

#: A neighbour goes from counted to not counted over this distance, Angstrom.
TRANSITION: Final = 2.0
#: Residues this accessible count fully among exposed neighbours, per cent of the reference area.
EXPOSED: Final = 10.0
#: Weight of a buried residue among exposed neighbours, so that a mean is never over nothing.
BURIED_WEIGHT: Final = 0.02

_Table = NDArray[np.float64]


def distances(points: _Table) -> _Table:
    """(N, N) distances between N points, Angstrom."""
    squares = (points**2).sum(axis=1)
    result = np.sqrt(np.maximum(squares[:, None] + squares - 2.0 * points @ points.T, 0.0))
    np.fill_diagonal(result, 0.0)
    return np.asarray(result)


def within(distance: _Table, radius: float) -> _Table:
    """1 well inside the radius, 0 well outside, in between a ramp of `TRANSITION`."""
    return np.clip(0.5 + (radius - distance) / TRANSITION, 0.0, 1.0)


def exposure(relative_area: _Table) -> _Table:
    """(N,) weights of residues as exposed neighbours, from their relative accessible area in per cent."""
    return np.clip(relative_area / EXPOSED, BURIED_WEIGHT, 1.0)


def neighbour_counts(distance: _Table, radii: tuple[int, ...]) -> _Table:
    """(N, R) other residues within each radius."""
    return np.column_stack([within(distance, radius).sum(axis=1) - 1.0 for radius in radii])


def half_sphere_exposure(positions: _Table, side: _Table, radii: tuple[int, ...]) -> _Table:
    """C-alphas within each radius, those on the side chain's side and those behind it.

    Hamelryck, Proteins 59:38 (2005).

    Parameters
    ----------
    positions, side
        (N, 3) C-alphas and unit vectors to the side chains.
    radii
        R of them, Angstrom.

    Returns
    -------
    ndarray
        (N, 2 R): up and down for each radius.
    """
    distance = distances(positions)
    height = side @ positions.T - (side * positions).sum(axis=1, keepdims=True)
    above = np.clip(0.5 + height / TRANSITION, 0.0, 1.0)
    columns = []
    for radius in radii:
        near = within(distance, radius)
        np.fill_diagonal(near, 0.0)
        columns += [(near * above).sum(axis=1), (near * (1.0 - above)).sum(axis=1)]
    return np.column_stack(columns)


def neighbour_means(distance: _Table, radius: float, weight: _Table, values: _Table) -> _Table:
    """(N, F) means of (N, F) values over the residues within the radius, each with its weight, itself too."""
    share = within(distance, radius) * weight
    return np.asarray((share @ values) / share.sum(axis=1, keepdims=True))


def neighbour_sums(distance: _Table, radius: float, values: _Table) -> _Table:
    """(N, F) sums of (N, F) values over the residues within the radius, itself too."""
    return np.asarray(within(distance, radius) @ values)
