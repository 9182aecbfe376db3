"""Tensors from dimers, residue by residue: each partner once, and the pairs to train on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import IterableDataset

from resblock.pairs.dataset import batches_here, pair_weights, same_features, standardised_features
from resblock.pairs.dimer import Dimer, DimerPartner
from resblock.pairs.graph import nearest_residues


class Residues(NamedTuple):
    """R residues of several partners, one partner after the other.

    Attributes
    ----------
    features
        (R, F) float32.
    neighbours
        (R, K) int64, rows of the nearest residues of the same partner; -1 where there is none.
    edges
        (R, K, E) float32 of `resblock.pairs.graph.nearest_residues`.
    lengths
        (B,) int64, residues of each of the B chains in turn; together R.
    partners
        (2D,) int64, residues of the receptor and of the ligand of each of D dimers in turn; together R.
    """

    features: Tensor
    neighbours: Tensor
    edges: Tensor
    lengths: Tensor
    partners: Tensor


class ResidueBatch(NamedTuple):
    """Residue pairs of several dimers to learn from.

    Attributes
    ----------
    residues
        Of all partners.
    pairs
        (2, P) int64, rows of the receptor's and the ligand's residue.
    labels
        (P,) bool.
    weights
        (P,) float32, together 1. Each dimer weighs as much as the next.
    """

    residues: Residues
    pairs: Tensor
    labels: Tensor
    weights: Tensor


class ResidueTables:
    """Residues of any of several dimers, standardised and with their neighbours.

    Parameters
    ----------
    dimers
        Share one set of F features.
    mean, scale
        (F,) of `resblock.pairs.dataset.standardisation`; features are left as they are if None.
    """

    def __init__(
        self,
        dimers: Sequence[Dimer],
        mean: NDArray[np.float32] | None = None,
        scale: NDArray[np.float32] | None = None,
    ) -> None:
        same_features(dimers)
        self._partners = [
            tuple(_residues(partner, mean, scale) for partner in (dimer.receptor, dimer.ligand)) for dimer in dimers
        ]

    def gather(self, indices: Sequence[int]) -> tuple[Residues, NDArray[np.int64]]:
        """Residues of the dimers at `indices`, and (D, 2) the row where each receptor and ligand begins."""
        parts = [partner for index in indices for partner in self._partners[index]]
        starts = np.cumsum([0, *(len(part.features) for part in parts)])[:-1]
        neighbours = [
            torch.where(part.neighbours >= 0, part.neighbours + int(start), -1)
            for part, start in zip(parts, starts, strict=True)
        ]
        residues = Residues(
            torch.cat([part.features for part in parts]),
            torch.cat(neighbours),
            torch.cat([part.edges for part in parts]),
            torch.cat([part.lengths for part in parts]),
            torch.cat([part.partners for part in parts]),
        )
        return residues, starts.reshape(-1, 2)


class TrainingResidues(IterableDataset[ResidueBatch]):
    """Batches of dimers in shuffled order, each with all of its true pairs and as many others, drawn afresh.

    An epoch is determined by the seed, the epoch's number and the dimers alone. Dimers without a true pair are left
    out. Use it with ``DataLoader(batch_size=None)``; workers and ranks take every n-th batch.

    Parameters
    ----------
    dimers
        With known contacts.
    negatives
        Pairs that are not true, drawn with replacement from each dimer.
    batch_size
        Dimers in a batch.
    mean, scale
        (F,) of `resblock.pairs.dataset.standardisation`.
    seed
        Of order and negatives.
    true_weight
        Share of a dimer's weight that its true pairs have together; by default every pair weighs the same.
    rank, world_size
        Place of this process among those that train together; the batches of an epoch that do not go round are left
        out, so that all ranks make the same number of steps.
    """

    def __init__(
        self,
        dimers: Sequence[Dimer],
        negatives: int,
        batch_size: int,
        mean: NDArray[np.float32] | None = None,
        scale: NDArray[np.float32] | None = None,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        true_weight: float = 0.0,
    ) -> None:
        super().__init__()
        # Kept as they are needed at every step: indices of the surface residues, and of true and other pairs.
        labels = [dimer.labels() for dimer in dimers]
        usable = [k for k, true in enumerate(labels) if true.any() and not true.all()]
        self._true = [np.flatnonzero(labels[k]) for k in usable]
        self._others = [np.flatnonzero(~labels[k]) for k in usable]
        self._surfaces = [
            (np.flatnonzero(dimers[k].receptor.surface), np.flatnonzero(dimers[k].ligand.surface)) for k in usable
        ]
        self._tables = ResidueTables([dimers[k] for k in usable], mean, scale) if usable else None
        self._negatives = negatives
        self._batch_size = batch_size
        self._seed = seed
        self._rank = rank
        self._world_size = world_size
        self._true_weight = true_weight
        self._epoch = 0

    @property
    def true_share(self) -> float:
        """Share of the weight that true pairs have, by number where no other was asked for."""
        by_number = [len(true) / (len(true) + self._negatives) for true in self._true]
        return self._true_weight or float(np.mean(by_number))

    @property
    def batches(self) -> int:
        """Batches of an epoch, of all ranks."""
        return -(-len(self._true) // self._batch_size)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch of the next iteration."""
        self._epoch = epoch

    def __iter__(self) -> Iterator[ResidueBatch]:
        """Batches of this rank and worker."""
        order = np.random.default_rng([self._seed, self._epoch]).permutation(len(self._true)).tolist()
        for batch in batches_here(len(order), self._batch_size, self._rank, self._world_size):
            yield self._batch(order[batch])

    def _batch(self, indices: Sequence[int]) -> ResidueBatch:
        assert self._tables is not None
        residues, starts = self._tables.gather(indices)
        pairs, labels, weights = [], [], []
        for index, start in zip(indices, starts, strict=True):
            drawn, true = self._drawn(index)
            receptor, ligand = self._surfaces[index]
            row, column = np.divmod(drawn, len(ligand))
            pairs.append(np.stack([receptor[row] + start[0], ligand[column] + start[1]]))
            labels.append(true)
            weights.append(pair_weights(true, self._true_weight) / len(indices))
        return ResidueBatch(
            residues,
            torch.from_numpy(np.concatenate(pairs, axis=1)),
            torch.from_numpy(np.concatenate(labels)),
            torch.from_numpy(np.concatenate(weights)),
        )

    def _drawn(self, index: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        generator = np.random.default_rng([self._seed, self._epoch, index])
        others = self._others[index]
        drawn = others[generator.integers(len(others), size=self._negatives)]
        true = np.zeros(len(self._true[index]) + len(drawn), dtype=np.bool_)
        true[: len(self._true[index])] = True
        return np.concatenate([self._true[index], drawn]), true


def _residues(partner: DimerPartner, mean: NDArray[np.float32] | None, scale: NDArray[np.float32] | None) -> Residues:
    neighbours, edges = nearest_residues(partner)
    chains = np.array([residue.chain for residue in partner.residues])
    first = np.flatnonzero(np.append(True, chains[1:] != chains[:-1]))
    lengths = np.diff(np.append(first, len(chains)))
    return Residues(
        torch.from_numpy(standardised_features(partner, mean, scale)),
        torch.from_numpy(neighbours),
        torch.from_numpy(edges),
        torch.from_numpy(lengths),
        torch.tensor([len(partner)]),
    )
