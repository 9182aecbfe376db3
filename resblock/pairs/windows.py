"""The window of residue pairs around a pair, 3 x 3 in the paper, as indices."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

#: Residues of each partner in the paper's window: (a-1, a, a+1) x (b-1, b, b+1).
SIDE: Final = 3


def neighbours(linked: NDArray[np.bool_], side: int = SIDE) -> NDArray[np.int64]:
    """(N, side) indices of the residues before, the residue and those after; -1 past the ends of its chain.

    Parameters
    ----------
    linked
        (N,) bool, whether a residue is bonded to the one before it.
    side
        Odd.
    """
    piece = np.cumsum(~linked)
    around = np.arange(len(linked))[:, None] + np.arange(side) - side // 2
    within = (around >= 0) & (around < len(linked))
    within &= piece[np.where(within, around, 0)] == piece[:, None]
    return np.where(within, around, -1)


def window_pairs(
    receptor_neighbours: NDArray[np.int64],
    ligand_neighbours: NDArray[np.int64],
    pairs: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Residue pairs of the windows around P pairs, row by row, packed to the front.

    Parameters
    ----------
    receptor_neighbours, ligand_neighbours
        (n, side) and (m, side) from `neighbours`.
    pairs
        (P, 2) receptor and ligand index.

    Returns
    -------
    steps
        (side * side, P, 2) receptor and ligand index of every step; -1 past the window's length.
    lengths
        (P,) number of steps, 1 to side * side.
    """
    rows = receptor_neighbours[pairs[:, 0]]
    columns = ligand_neighbours[pairs[:, 1]]
    count, side = rows.shape
    window = side**2
    grid = np.empty((count, side, side, 2), dtype=np.int64)
    grid[..., 0] = rows[:, :, None]
    grid[..., 1] = columns[:, None, :]
    steps = grid.reshape(count, window, 2)
    lengths = (rows >= 0).sum(axis=1) * (columns >= 0).sum(axis=1)
    # Few windows reach past an end; the others are packed as they are.
    is_cut = lengths < window
    cut = steps[is_cut]
    missing = (cut < 0).any(axis=-1)
    cut[missing] = -1
    order = np.argsort(missing, axis=1, kind="stable")
    steps[is_cut] = np.take_along_axis(cut, order[:, :, None], axis=1)
    return steps.transpose(1, 0, 2), lengths
