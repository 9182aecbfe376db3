"""Backbone of a partner: atoms, angles, and the side each residue turns its side chain to."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

_Positions = NDArray[np.float64]


@dataclass(frozen=True)
class Backbone:
    """Backbone of N residues in the partner's canonical frame.

    Attributes
    ----------
    atoms
        (N, 4, 3) positions of N, CA, C and O, Angstrom; NaN where the file lacks the atom.
    linked
        (N,) bool, whether a residue is bonded to the one before it.
    """

    atoms: _Positions
    linked: NDArray[np.bool_]

    @property
    def n(self) -> _Positions:
        """(N, 3) nitrogens."""
        return self.atoms[:, 0]

    @property
    def ca(self) -> _Positions:
        """(N, 3) C-alphas."""
        return self.atoms[:, 1]

    @property
    def c(self) -> _Positions:
        """(N, 3) carbonyl carbons."""
        return self.atoms[:, 2]

    @cached_property
    def side(self) -> _Positions:
        """(N, 3) unit vectors from C-alpha to the ideal C-beta, for glycine too; zero where an atom is missing."""
        # C-beta of an ideal L-amino acid from its backbone: Dauparas et al., Science 378:49 (2022), code.
        first, second = self.ca - self.n, self.c - self.ca
        side = -0.58273431 * np.cross(first, second) + 0.56802827 * first - 0.54067466 * second
        return np.nan_to_num(unit(side))


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
