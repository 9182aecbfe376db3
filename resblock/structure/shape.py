"""The shape of a partner around each residue: protrusion, convexity, flatness, and the whole's size."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from resblock.structure.backbone import unit
from resblock.structure.neighbourhood import neighbour_means, within

#: Radius of the sphere around an atom whose filling is looked at, Angstrom.
PROTRUSION_RADIUS: Final = 10.0
#: Mean volume of a heavy atom in a protein, cubic Angstrom (Pintar et al., see `protrusion`).
ATOM_VOLUME: Final = 20.1
#: Radius of the neighbourhood that the surface's normal is taken from, Angstrom.
NORMAL_RADIUS: Final = 14.0
#: Atoms whose neighbours are counted at a time; bounds the memory of large partners.
_BLOCK: Final = 256

_Table = NDArray[np.float64]


def protrusion(coordinates: _Table, owner: NDArray[np.int64]) -> _Table:
    """Mean and largest protrusion of each residue's atoms: empty over filled volume of a sphere.

    CX of Pintar, Carugo & Pongor, Bioinformatics 18:980 (2002), with a soft sphere.

    Parameters
    ----------
    coordinates, owner
        (A, 3) and (A,) heavy atoms, Angstrom, and their residues.

    Returns
    -------
    ndarray
        (N, 2), without unit.
    """
    squares = (coordinates**2).sum(axis=1)
    count = np.empty(len(coordinates))
    for start in range(0, len(coordinates), _BLOCK):
        block = coordinates[start : start + _BLOCK]
        gap = np.maximum((block**2).sum(axis=1)[:, None] + squares - 2.0 * block @ coordinates.T, 0.0)
        count[start : start + _BLOCK] = within(np.sqrt(gap), PROTRUSION_RADIUS).sum(axis=1)
    sphere = 4.0 / 3.0 * np.pi * PROTRUSION_RADIUS**3
    value = sphere / (count * ATOM_VOLUME) - 1.0
    size = int(owner[-1]) + 1
    largest = np.full(size, -np.inf)
    np.maximum.at(largest, owner, value)
    return np.column_stack([np.bincount(owner, value) / np.bincount(owner), largest])


def convexity(distance: _Table, centres: _Table, side: _Table, radii: tuple[int, ...]) -> _Table:
    """How far each residue stands out from the mean of its neighbours, Angstrom.

    Parameters
    ----------
    distance, centres, side
        (N, N) of `resblock.structure.neighbourhood.distances`, (N, 3) in Angstrom, and (N, 3) unit vectors.
    radii
        R of them, Angstrom.

    Returns
    -------
    ndarray
        (N, 3 R): for each radius the offset's length, its part away from the partner's centre, and
        its part in the direction of the side chain.
    """
    outward = unit(centres - centres.mean(axis=0))
    equal = np.ones(len(centres))
    columns = []
    for radius in radii:
        offset = centres - neighbour_means(distance, radius, equal, centres)
        columns += [
            np.linalg.norm(offset, axis=1),
            (offset * outward).sum(axis=1),
            (offset * side).sum(axis=1),
        ]
    return np.column_stack(columns)


def surface_normals(distance: _Table, centres: _Table) -> _Table:
    """(N, 3) directions in which residues stand out, of length below 1: shorter where little stands out.

    Parameters
    ----------
    distance, centres
        (N, N) of `resblock.structure.neighbourhood.distances` and (N, 3), Angstrom.
    """
    offset = centres - neighbour_means(distance, NORMAL_RADIUS, np.ones(len(centres)), centres)
    # The length added in the denominator keeps the direction from jumping where nothing stands out.
    return np.asarray(offset / np.sqrt((offset**2).sum(axis=1, keepdims=True) + 1.0))


def flatness(distance: _Table, centres: _Table, weight: _Table, radii: tuple[int, ...]) -> _Table:
    """How flat the exposed residues around each residue lie.

    Parameters
    ----------
    distance, centres
        (N, N) of `resblock.structure.neighbourhood.distances` and (N, 3), Angstrom.
    weight
        (N,) of `resblock.structure.neighbourhood.exposure`.
    radii
        R of them, Angstrom.

    Returns
    -------
    ndarray
        (N, 3 R): for each radius the spread across the best plane (Angstrom), that spread over the
        widest one along it, and the mean height of the neighbours over the tangent plane (Angstrom;
        negative on a knob, positive in a pocket).
    """
    normal = surface_normals(distance, centres)
    products = (centres[:, :, None] * centres[:, None, :]).reshape(-1, 9)
    columns = []
    for radius in radii:
        mean = neighbour_means(distance, radius, weight, centres)
        second = neighbour_means(distance, radius, weight, products).reshape(-1, 3, 3)
        spread = np.sqrt(np.maximum(np.linalg.eigvalsh(second - mean[:, :, None] * mean[:, None, :]), 0.0))
        columns += [
            spread[:, 0],
            spread[:, 0] / (spread[:, 2] + 1.0),
            ((mean - centres) * normal).sum(axis=1),
        ]
    return np.column_stack(columns)


def whole(centres: _Table, accessible: _Table) -> _Table:
    """(N, 4) the partner's size, and where in it each residue lies.

    The logarithm of the number of residues, the root of the accessible area and the radius of
    gyration (both Angstrom), and the distance from the centre over the latter.
    """
    size = len(centres)
    offset = np.linalg.norm(centres - centres.mean(axis=0), axis=1)
    gyration = np.sqrt((offset**2).mean())
    same = np.broadcast_to([np.log(size), np.sqrt(accessible.sum()), gyration], (size, 3))
    return np.column_stack([same, offset / gyration])
