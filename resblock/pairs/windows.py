"""The 3 x 3 window of residue pairs around a pair, as indices."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

#: Steps of a full window: (a-1, a, a+1) x (b-1, b, b+1).
WINDOW: Final = 9


def neighbours(linked: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(N, 3) indices of the residue before, the residue and the one after; -1 where the chain ends.

    Parameters
    ----------
    linked
        (N,) bool, whether a residue is bonded to the one before it.
    """
    here = np.arange(len(linked))
    follows = linked.copy()
    follows[:1] = False
    leads = np.append(follows[1:], False)[: len(linked)]
    return np.stack([np.where(follows, here - 1, -1), here, np.where(leads, here + 1, -1)], axis=1)


def window_pairs(
    receptor_neighbours: NDArray[np.int64],
    ligand_neighbours: NDArray[np.int64],
    pairs: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Residue pairs of the windows around P pairs, row by row, packed to the front.

    Parameters
    ----------
    receptor_neighbours, ligand_neighbours
        (n, 3) and (m, 3) from `neighbours`.
    pairs
        (P, 2) receptor and ligand index.

    Returns
    -------
    steps
        (9, P, 2) receptor and ligand index of every step; -1 past the window's length.
    lengths
        (P,) number of steps, 1 to 9.
    """
    rows = receptor_neighbours[pairs[:, 0]]
    columns = ligand_neighbours[pairs[:, 1]]
    count = len(pairs)
    grid = np.empty((count, 3, 3, 2), dtype=np.int64)
    grid[..., 0] = rows[:, :, None]
    grid[..., 1] = columns[:, None, :]
    steps = grid.reshape(count, WINDOW, 2)
    missing = (steps < 0).any(axis=-1)
    steps[missing] = -1
    order = np.argsort(missing, axis=1, kind="stable")
    packed = np.take_along_axis(steps, order[:, :, None], axis=1)
    return packed.transpose(1, 0, 2), WINDOW - missing.sum(axis=1)
