"""A list whose first pairs lie apart: neighbours of what is listed already say little new."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from resblock.structure.neighbourhood import distances

#: Pairs that are chosen one by one; the others follow by their log-odds.
CHOSEN: Final = 300
#: Residues that lie so far apart, in Angstrom, count as half as near as a residue to itself.
HALF_NEAR: Final = 5.0
#: What the log-odds of a pair lose for a pair in the same place.
PENALTY: Final = 1.0


def diverse_order(
    receptor_centres: NDArray[np.floating], ligand_centres: NDArray[np.floating], log_odds: NDArray[np.float32]
) -> NDArray[np.int64]:
    """Order pairs so that each of the first is likely, and far from those before it.

    The pair with the highest log-odds is listed; all others lose `PENALTY` times the nearness of their receptor
    residues to the listed one's, times that of their ligand residues, which is 2^-(d / HALF_NEAR)^2 at a distance of d;
    and so on. An interface is found sooner where the log-odds favour a wrong patch, and its other pairs come later.

    Parameters
    ----------
    receptor_centres, ligand_centres : ndarray, shape (n, 3) and (m, 3)
        Of the residues whose pairs are ranked, Angstrom.
    log_odds : ndarray, shape (n, m)
        From a model.

    Returns
    -------
    ndarray of int64, shape (n * m,)
        Places in the flattened table, first the first of the list.
    """
    receptor, ligand = (_nearness(centres) for centres in (receptor_centres, ligand_centres))
    left = log_odds.astype(np.float32)
    chosen = np.empty(min(CHOSEN, left.size), dtype=np.int64)
    for place in range(len(chosen)):
        chosen[place] = left.argmax()
        row, column = divmod(int(chosen[place]), left.shape[1])
        left -= PENALTY * np.multiply.outer(receptor[row], ligand[column])
        left[row, column] = -np.inf
    likeliest_first = np.argsort(-log_odds.reshape(-1), kind="stable")
    return np.concatenate([chosen, likeliest_first[~np.isin(likeliest_first, chosen)]])


def _nearness(positions: NDArray[np.floating]) -> NDArray[np.float32]:
    apart = distances(positions.astype(np.float64))
    return np.exp2(-((apart / HALF_NEAR) ** 2)).astype(np.float32)
