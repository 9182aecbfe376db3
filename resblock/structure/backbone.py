"""Backbone of a partner: atoms, angles, and the side each residue turns its side chain to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from resblock.structure.frame import canonical_frame
from resblock.structure.read import Partner

_Positions = NDArray[np.float64]


@dataclass(frozen=True)
class Backbone:
    """Positions in the partner's canonical frame, Angstrom; NaN where the file lacks the atom.

    Attributes
    ----------
    n, ca, c
        (N, 3) of N residues.
    side
        (N, 3) unit vectors from C-alpha to the ideal C-beta, for glycine too; zero where the
        backbone is incomplete.
    linked
        (N,) bool, whether a residue is bonded to the one before it.
    """

    n: _Positions
    ca: _Positions
    c: _Positions
    side: _Positions
    linked: NDArray[np.bool_]


def backbone(partner: Partner) -> Backbone:
    """Backbone of all residues of a partner."""
    xyz = canonical_frame(partner.coordinates)
    atoms = {name: np.full((len(partner.residues), 3), np.nan) for name in ("N", "CA", "C")}
    for name, residue, position in zip(partner.atom_names, partner.atom_residue, xyz, strict=True):
        if name in atoms:
            atoms[name][residue] = position
    n, ca, c = atoms.values()
    # C-beta of an ideal L-amino acid from its backbone: Dauparas et al., Science 378:49 (2022), code.
    first, second = ca - n, c - ca
    side = -0.58273431 * np.cross(first, second) + 0.56802827 * first - 0.54067466 * second
    return Backbone(n, ca, c, np.nan_to_num(unit(side)), partner.linked)


def unit(vectors: _Positions) -> _Positions:
    """Vectors of length one in the direction of `vectors`; zero stays zero."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.where(length == 0.0, 1.0, length))


def torsions(chain: Backbone) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Phi and psi of every residue, (N,) radians; NaN at chain ends and where atoms are missing."""
    phi, psi = np.full((2, len(chain.ca)), np.nan)
    bonded = chain.linked[1:]
    phi[1:] = np.where(bonded, _dihedral(chain.c[:-1], chain.n[1:], chain.ca[1:], chain.c[1:]), np.nan)
    psi[:-1] = np.where(bonded, _dihedral(chain.n[:-1], chain.ca[:-1], chain.c[:-1], chain.n[1:]), np.nan)
    return phi, psi


def _dihedral(first: _Positions, second: _Positions, third: _Positions, fourth: _Positions) -> NDArray[np.float64]:
    axis = unit(third - second)
    before, after = first - second, fourth - third
    before = before - (before * axis).sum(axis=-1, keepdims=True) * axis
    after = after - (after * axis).sum(axis=-1, keepdims=True) * axis
    return np.asarray(np.arctan2((np.cross(axis, before) * after).sum(axis=-1), (before * after).sum(axis=-1)))


def secondary_structure(chain: Backbone) -> NDArray[np.float64]:
    """Degrees, 0 to 1, to which each residue is in a helix, in a strand and in neither.

    From distances between C-alphas two to four apart, as P-SEA has them (Labesse et al., CABIOS
    13:291, 1997), with ramps in place of its limits. A residue is in the best of the stretches that
    hold it; a helix goes before a strand.

    Returns
    -------
    ndarray
        (N, 3); each row sums to 1.
    """
    two, three, four = (_along_chain(chain, step) for step in (2, 3, 4))
    helix = _spread(_near(three, 5.3, 0.7) * _near(four, 6.4, 0.9), 5)
    strand = _spread(_near(two, 6.7, 0.6) * _near(three, 9.9, 0.9) * _near(four, 12.4, 1.1), 5) * (1.0 - helix)
    return np.column_stack([helix, strand, 1.0 - helix - strand])


def _along_chain(chain: Backbone, step: int) -> NDArray[np.float64]:
    """(N,) distance to the C-alpha `step` residues on, Angstrom; NaN where the chain ends before."""
    size = len(chain.ca)
    distance = np.full(size, np.nan)
    if size > step:
        whole = np.lib.stride_tricks.sliding_window_view(chain.linked[1:], step).all(axis=1)
        distance[:-step] = np.where(whole, np.linalg.norm(chain.ca[step:] - chain.ca[:-step], axis=1), np.nan)
    return distance


def _near(values: NDArray[np.float64], ideal: float, tolerance: float) -> NDArray[np.float64]:
    """1 well within the tolerance, 0 well beyond it, in between a ramp of half of it."""
    return np.clip(2.5 - 2.0 * np.abs(values - ideal) / tolerance, 0.0, 1.0)


def _spread(starts: NDArray[np.float64], length: int) -> NDArray[np.float64]:
    """Largest value of the stretches of `length` residues that hold a residue, by where they start."""
    padded = np.concatenate([np.zeros(length - 1), np.nan_to_num(starts)])
    return np.asarray(np.lib.stride_tricks.sliding_window_view(padded, length).max(axis=1))
