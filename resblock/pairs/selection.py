"""Which residue pairs of a complex a model is trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from resblock.errors import InputError
from resblock.pairs.complex import Complex
from resblock.pairs.windows import neighbours, window_pairs

Pairs = NDArray[np.int64]


class Selection(Protocol):
    """Chooses a complex's training pairs."""

    @property
    def fixed(self) -> bool:
        """Whether it chooses the same pairs every time."""

    def __call__(self, complex: Complex, generator: np.random.Generator) -> tuple[Pairs, NDArray[np.bool_]]:
        """(P, 2) receptor-ligand pairs and (P,) labels."""


@dataclass(frozen=True)
class Closest:
    """The paper's selection: the closest surface pairs and the 3 x 3 pairs around each.

    Attributes
    ----------
    multiple
        Pairs taken for every positive, before the pairs around them are added.
    """

    multiple: float = 10.0
    fixed: ClassVar[bool] = True

    def __call__(self, complex: Complex, generator: np.random.Generator) -> tuple[Pairs, NDArray[np.bool_]]:
        """The same pairs every time; pairs around that are no surface pairs are left out."""
        surface = np.ix_(complex.receptor.surface, complex.ligand.surface)
        positive = _positives(complex)
        if complex.distance is None:
            raise InputError(f"{complex.code}: no distances; prepare it with the bound complex")
        distance = np.full_like(complex.distance, np.inf)
        distance[surface] = np.nan_to_num(complex.distance[surface], nan=np.inf)
        count = min(round(self.multiple * int(positive.sum())), int(np.isfinite(distance).sum()))
        nearest = np.argsort(distance, axis=None, kind="stable")[:count]
        pairs = np.stack(np.unravel_index(nearest, distance.shape), axis=1)
        steps, _ = window_pairs(neighbours(complex.receptor.linked), neighbours(complex.ligand.linked), pairs)
        around = steps.reshape(-1, 2)
        chosen = np.zeros_like(positive)
        chosen[tuple(around[around[:, 0] >= 0].T)] = True
        is_surface = np.zeros_like(positive)
        is_surface[surface] = True
        pairs = np.argwhere((chosen | positive) & is_surface)
        return pairs, positive[tuple(pairs.T)]


@dataclass(frozen=True)
class Random:
    """All positives and, drawn afresh each time, negatives from anywhere on the surface.

    Attributes
    ----------
    negatives_per_positive
        Negatives for every positive.
    """

    negatives_per_positive: float = 20.0
    fixed: ClassVar[bool] = False

    def __call__(self, complex: Complex, generator: np.random.Generator) -> tuple[Pairs, NDArray[np.bool_]]:
        """Positives first."""
        labels = complex.labels()
        positives, negatives = np.flatnonzero(labels), np.flatnonzero(~labels)
        count = min(round(self.negatives_per_positive * len(positives)), len(negatives))
        drawn = generator.choice(negatives, count, replace=False, shuffle=False)
        chosen = np.concatenate([positives, drawn])
        return complex.surface_pairs()[chosen], labels[chosen]


def _positives(complex: Complex) -> NDArray[np.bool_]:
    """(n, m) whether each residue pair is an interface pair of two surface residues."""
    positive = np.zeros((len(complex.receptor), len(complex.ligand)), dtype=np.bool_)
    positive[np.ix_(complex.receptor.surface, complex.ligand.surface)] = complex.labels().reshape(complex.surface_shape)
    return positive
