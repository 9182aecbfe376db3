"""Which points lie near one another."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

#: Rows of three cells along the last axis that lie behind a cell, with the cell's own: every two neighbours once.
_ROWS_BEHIND: Final = ((0, 1), (1, -1), (1, 0), (1, 1))


def pairs_within(points: NDArray[np.float64], distance: float) -> NDArray[np.int64]:
    """(P, 2) indices i < j of any two points at most `distance` apart, in order.

    The points are sorted into cells of that size, so that time and memory grow with the points and the pairs.

    Parameters
    ----------
    points
        (N, 3), finite, and at most a million distances wide.
    distance
        Above zero, in the points' unit.
    """
    if not len(points):
        return np.empty((0, 2), dtype=np.int64)
    cells = np.floor((points - points.min(axis=0)) / distance).astype(np.int64)
    depth, height = (int(size) + 3 for size in cells.max(axis=0)[:0:-1])
    cell = (cells[:, 0] * height + cells[:, 1]) * depth + cells[:, 2]
    order = np.argsort(cell, kind="stable")
    cell = cell[order]
    place = np.arange(len(cell))
    # Of a point's own row, only what follows it.
    rows = [(place + 1, np.searchsorted(cell, cell + 1, "right"))]
    for x, y in _ROWS_BEHIND:
        middle = cell + (x * height + y) * depth
        rows.append((np.searchsorted(cell, middle - 1, "left"), np.searchsorted(cell, middle + 1, "right")))
    found = []
    for start, stop in rows:
        counts = stop - start
        first = np.repeat(place, counts)
        second = np.arange(len(first)) - np.repeat(np.cumsum(counts) - counts - start, counts)
        pairs = order[np.column_stack([first, second])]
        found.append(pairs[((points[pairs[:, 0]] - points[pairs[:, 1]]) ** 2).sum(axis=1) <= distance**2])
    pairs = np.sort(np.concatenate(found), axis=1)
    return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
