"""Residues near each residue of its own partner, and how the two stand to each other."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from resblock.structure.backbone import Backbone
from resblock.structure.neighbourhood import distances
from resblock.structure.shape import surface_normals

#: Nearest residues that a residue looks at.
NEIGHBOURS: Final = 16
#: Centres of the bumps that a distance is written as, and their width, Angstrom.
DISTANCE_BUMPS: Final = (4.0, 6.0, 8.0, 10.0, 12.0, 15.0)
BUMP_WIDTH: Final = 2.0
#: Numbers of an edge besides the bumps: the distance, five cosines, and two that tell who is next along the chain.
_OTHER_NUMBERS: Final = 8
#: Numbers that describe a residue and one of its neighbours.
EDGE_SIZE: Final = len(DISTANCE_BUMPS) + _OTHER_NUMBERS


def nearest_residues(
    centres: NDArray[np.floating], side: NDArray[np.floating], linked: NDArray[np.bool_], count: int = NEIGHBOURS
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The nearest residues of each residue and what a network is told of each.

    Nothing in it changes when the partner is turned or shifted. The nearest come first; where two are
    equally near, the earlier in the chain.

    Parameters
    ----------
    centres, side
        (N, 3) positions of N residues, Angstrom, and unit vectors to their side chains.
    linked
        (N,) whether a residue is bonded to the one before it.
    count
        K.

    Returns
    -------
    neighbours
        (N, K) indices; -1 where the partner has too few residues.
    edges
        (N, K, `EDGE_SIZE`): bumps of the distance of the residues' centres; the distance over 10
        Angstrom; cosines between the way to the neighbour, both side chains and both surface normals
        (way and own side, way and its side, both sides, way and own normal, both normals); whether
        the neighbour is the next or the next but one along the chain. Zeros where there is none.
    """
    size = len(centres)
    positions, sides = centres.astype(np.float64), side.astype(np.float64)
    distance = distances(positions)
    normals = surface_normals(distance, positions)
    np.fill_diagonal(distance, np.inf)
    found = np.argsort(distance, axis=1, kind="stable")[:, : min(count, size - 1)]
    neighbours = np.full((size, count), -1)
    neighbours[:, : found.shape[1]] = found
    near = np.take_along_axis(distance, found, axis=1)[..., None]
    way = (positions[found] - positions[:, None]) / np.maximum(near, 1e-3)
    along = np.cumsum(~linked)
    apart = np.where(along[found] == along[:, None], np.abs(found - np.arange(size)[:, None]), 0)[..., None]

    def cosine(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray((first * second).sum(axis=-1, keepdims=True))

    edges = np.zeros((size, count, EDGE_SIZE), dtype=np.float32)
    edges[:, : found.shape[1]] = np.concatenate(
        [
            np.exp(-(((near - np.array(DISTANCE_BUMPS)) / BUMP_WIDTH) ** 2)),
            near / 10.0,
            cosine(way, sides[:, None]),
            cosine(way, sides[found]),
            cosine(sides[:, None], sides[found]),
            cosine(way, normals[:, None]),
            cosine(normals[:, None], normals[found]),
            apart == 1,
            apart == 2,
        ],
        axis=-1,
    )
    return neighbours, edges


def nearest_backbones(backbone: Backbone, count: int) -> NDArray[np.int64]:
    """The residues whose alpha carbons are nearest to that of each residue, itself first.

    Nothing but the backbone is looked at: side chains would tell which types they are.

    Parameters
    ----------
    backbone
        N residues. Where an atom is missing, a residue is nobody's neighbour and has none.
    count
        K.

    Returns
    -------
    ndarray
        (N, K) indices; -1 where there are too few.
    """
    known = np.flatnonzero(np.isfinite(backbone.atoms).all(axis=(1, 2)))
    neighbours = np.full((len(backbone.ca), count), -1)
    found = np.argsort(distances(backbone.ca[known]), axis=1, kind="stable")[:, :count]
    neighbours[known, : found.shape[1]] = known[found]
    return neighbours
