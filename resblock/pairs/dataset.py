"""Tensors from dimers: windows gathered on the fly, and the pairs to train on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from resblock.errors import InputError
from resblock.pairs.dimer import Dimer, DimerPartner
from resblock.pairs.windows import SIDE, neighbours, window_pairs
from resblock.structure.scales import NEUTRAL_PKA

Pairs = NDArray[np.int64]


class WindowBatch(NamedTuple):
    """Windows of residue pairs to learn from.

    Attributes
    ----------
    windows
        (side * side, P, 2F) float32.
    lengths
        (P,) int64, steps of each.
    labels
        (P,) bool, whether the pair is true.
    weights
        (P,) float32, together 1.
    """

    windows: Tensor
    lengths: Tensor
    labels: Tensor
    weights: Tensor


def imputed_features(partner: DimerPartner) -> NDArray[np.float32]:
    """(N, F) features with `NEUTRAL_PKA` in place of NaN."""
    return np.where(np.isnan(partner.features), np.float32(NEUTRAL_PKA), partner.features)


def standardised_features(
    partner: DimerPartner, mean: NDArray[np.float32] | None, scale: NDArray[np.float32] | None
) -> NDArray[np.float32]:
    """(N, F) imputed features as z-scores; left as they are where `mean` and `scale` are None."""
    table = imputed_features(partner)
    if mean is not None:
        table = table - mean
    if scale is not None:
        table = table / scale
    return np.asarray(table, dtype=np.float32)


def standardisation(dimers: Sequence[Dimer]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and standard deviation of each imputed feature over the surface residues of `dimers`.

    Returns
    -------
    mean, scale
        (F,) float32 each; `scale` is 1 where a feature does not vary.

    Raises
    ------
    InputError
        There is no dimer, or they have different features.
    """
    same_features(dimers)
    surface = np.concatenate(
        [imputed_features(partner)[partner.surface] for dimer in dimers for partner in (dimer.receptor, dimer.ligand)]
    ).astype(np.float64)
    scale = surface.std(axis=0)
    scale[scale == 0.0] = 1.0
    return surface.mean(axis=0).astype(np.float32), scale.astype(np.float32)


def surface_batches(dimer: Dimer, batch_size: int) -> Iterator[Pairs]:
    """All of `dimer.surface_pairs()` in order, at most `batch_size` rows at a time.

    The pairs are made as they are asked for, so that the memory does not grow with the dimer.
    """
    receptor = np.flatnonzero(dimer.receptor.surface)
    ligand = np.flatnonzero(dimer.ligand.surface)
    total = len(receptor) * len(ligand)
    for start in range(0, total, batch_size):
        row, column = np.divmod(np.arange(start, min(start + batch_size, total)), len(ligand))
        yield np.stack([receptor[row], ligand[column]], axis=1)


class PairWindows:
    """Windows of residue pairs from any of several dimers.

    The residues of all partners stand in one table; a pair is two row numbers of it, so that a
    batch can mix dimers and both orders of the partners.

    Parameters
    ----------
    dimers
        Share one set of F features.
    mean, scale
        (F,) of `standardisation`; features are left as they are if None.
    device
        Where the windows are made.
    side
        Residues of each partner in a window, odd.
    """

    def __init__(
        self,
        dimers: Sequence[Dimer],
        mean: NDArray[np.float32] | None = None,
        scale: NDArray[np.float32] | None = None,
        device: torch.device | str = "cpu",
        side: int = SIDE,
    ) -> None:
        same_features(dimers)
        tables, around, offsets = [], [], []
        rows = 0
        for dimer in dimers:
            for partner in (dimer.receptor, dimer.ligand):
                near = neighbours(partner.linked, side)
                tables.append(standardised_features(partner, mean, scale))
                around.append(np.where(near >= 0, near + rows, -1))
                offsets.append(rows)
                rows += len(partner)
        table = np.concatenate(tables)
        # Index -1, a step past the end of a window, finds the row of zeros at the end.
        padded = np.concatenate([table, np.zeros_like(table[:1])])
        self._table = torch.from_numpy(padded).to(device)
        self._neighbours = np.concatenate(around)
        self._offsets = np.array(offsets, dtype=np.int64).reshape(-1, 2)

    def rows(self, index: int, pairs: Pairs) -> Pairs:
        """(P, 2) table rows of receptor-ligand pairs of the dimer at `index`.

        Reversing the columns gives the same pairs with the partners in the other order.
        """
        return np.asarray(pairs + self._offsets[index])

    def gather(self, rows: Pairs) -> tuple[Tensor, Tensor]:
        """Windows around pairs of table rows.

        Parameters
        ----------
        rows
            (P, 2) from `rows`, either column first.

        Returns
        -------
        windows
            (side * side, P, 2F) float32, time first; zero past the length.
        lengths
            (P,) int64, 1 to side * side.
        """
        steps, lengths = window_pairs(self._neighbours, self._neighbours, rows)
        index = torch.from_numpy(np.ascontiguousarray(steps)).to(self._table.device)
        windows = self._table[index].flatten(2)
        return windows, torch.from_numpy(lengths).to(self._table.device)


class Selection(Protocol):
    """Chooses a dimer's training pairs."""

    @property
    def fixed(self) -> bool:
        """Whether it chooses the same pairs every time."""

    def __call__(self, dimer: Dimer, generator: np.random.Generator) -> tuple[Pairs, NDArray[np.bool_]]:
        """(P, 2) receptor-ligand pairs and (P,) labels."""


@dataclass(frozen=True)
class Closest:
    """The paper's selection: the closest surface pairs and the 3 x 3 pairs around each.

    Attributes
    ----------
    multiple
        Pairs kept for every true one, before the pairs around them are added.
    """

    multiple: float = 10.0
    fixed: ClassVar[bool] = True

    def __call__(self, dimer: Dimer, generator: np.random.Generator) -> tuple[Pairs, NDArray[np.bool_]]:
        """The same pairs every time; pairs around that are no surface pairs are left out."""
        surface = np.ix_(dimer.receptor.surface, dimer.ligand.surface)
        true = _contacts(dimer)
        if dimer.distance is None:
            raise InputError(f"{dimer.code}: no distances; prepare it with the bound complex")
        distance = np.full_like(dimer.distance, np.inf)
        distance[surface] = np.nan_to_num(dimer.distance[surface], nan=np.inf)
        count = min(round(self.multiple * int(true.sum())), int(np.isfinite(distance).sum()))
        nearest = np.argsort(distance, axis=None, kind="stable")[:count]
        pairs = np.stack(np.unravel_index(nearest, distance.shape), axis=1)
        steps, _ = window_pairs(neighbours(dimer.receptor.linked), neighbours(dimer.ligand.linked), pairs)
        around = steps.reshape(-1, 2)
        chosen = np.zeros_like(true)
        chosen[tuple(around[around[:, 0] >= 0].T)] = True
        is_surface = np.zeros_like(true)
        is_surface[surface] = True
        pairs = np.argwhere((chosen | true) & is_surface)
        return pairs, true[tuple(pairs.T)]


@dataclass(frozen=True)
class Random:
    """All true surface pairs and, drawn afresh each time, others from anywhere on the surface.

    Attributes
    ----------
    negatives_per_positive
        Others for every true pair.
    """

    negatives_per_positive: float = 20.0
    fixed: ClassVar[bool] = False

    def __call__(self, dimer: Dimer, generator: np.random.Generator) -> tuple[Pairs, NDArray[np.bool_]]:
        """True pairs first."""
        labels = dimer.labels()
        true, other = np.flatnonzero(labels), np.flatnonzero(~labels)
        count = min(round(self.negatives_per_positive * len(true)), len(other))
        drawn = generator.choice(other, count, replace=False, shuffle=False)
        chosen = np.concatenate([true, drawn])
        return dimer.surface_pairs()[chosen], labels[chosen]


class TrainingPairs(IterableDataset[WindowBatch]):
    """Shuffled batches of windows with labels, from several dimers.

    An epoch is determined by the seed, the epoch's number and the dimers alone. Every pair is shown
    in one of both orders of the partners, by chance. Use it with ``DataLoader(batch_size=None)``;
    workers and ranks take every n-th batch.

    Parameters
    ----------
    dimers
        With known contacts.
    selection
        `Closest` or `Random`.
    batch_size
        Pairs in a batch.
    mean, scale
        (F,) of `standardisation`.
    seed
        Of selection, order and shuffling.
    rank, world_size
        Place of this process among those that train together; the batches of an epoch that do not
        go round are left out, so that all ranks make the same number of steps.
    side
        Residues of each partner in a window, odd.
    true_weight
        Share of a batch's weight that its true pairs have together; by default every pair weighs the same.
    """

    def __init__(
        self,
        dimers: Sequence[Dimer],
        selection: Selection,
        batch_size: int,
        mean: NDArray[np.float32] | None = None,
        scale: NDArray[np.float32] | None = None,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        side: int = SIDE,
        true_weight: float = 0.0,
    ) -> None:
        super().__init__()
        self._dimers = tuple(dimers)
        self._windows = PairWindows(dimers, mean, scale, side=side)
        self._selection = selection
        self._batch_size = batch_size
        self._seed = seed
        self._rank = rank
        self._world_size = world_size
        self._true_weight = true_weight
        self._epoch = 0
        self._chosen: dict[int, tuple[Pairs, NDArray[np.bool_]]] = {}  # of a fixed selection, by dimer

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch of the next iteration."""
        self._epoch = epoch

    def draw(self, epoch: int) -> tuple[Pairs, NDArray[np.bool_]]:
        """(P, 2) table rows for `PairWindows.gather`, and (P,) labels, of all ranks."""
        rows, labels = [], []
        for k, dimer in enumerate(self._dimers):
            pairs, true = self._chosen.get(k) or self._selection(dimer, np.random.default_rng([self._seed, epoch, k]))
            if self._selection.fixed:
                self._chosen[k] = pairs, true
            rows.append(self._windows.rows(k, pairs))
            labels.append(true)
        generator = np.random.default_rng([self._seed, epoch, len(self._dimers)])
        order = generator.permutation(sum(map(len, labels)))
        shuffled = np.concatenate(rows)[order]
        swapped = generator.random(len(order)) < 0.5
        shuffled[swapped] = shuffled[swapped, ::-1]
        return shuffled, np.concatenate(labels)[order]

    def __iter__(self) -> Iterator[WindowBatch]:
        """Batches of this rank and worker."""
        rows, labels = self.draw(self._epoch)
        for batch in batches_here(len(rows), self._batch_size, self._rank, self._world_size):
            windows, lengths = self._windows.gather(rows[batch])
            weights = pair_weights(labels[batch], self._true_weight)
            yield WindowBatch(windows, lengths, torch.from_numpy(labels[batch]), torch.from_numpy(weights))


def pair_weights(true: NDArray[np.bool_], true_weight: float) -> NDArray[np.float32]:
    """(P,) weights, together 1, of which true pairs have `true_weight`; all alike with 0 or one kind of pairs only."""
    count, total = int(true.sum()), len(true)
    if not true_weight or count in (0, total):
        return np.full(total, 1.0 / max(total, 1), dtype=np.float32)
    return np.where(true, true_weight / count, (1.0 - true_weight) / (total - count)).astype(np.float32)


def batches_here(count: int, batch_size: int, rank: int, world_size: int) -> Iterator[slice]:
    """Batches of `count` examples that fall to this rank and worker: every n-th, the same number for all ranks."""
    starts = range(0, count, batch_size)
    if world_size > 1:
        starts = starts[: len(starts) // world_size * world_size][rank::world_size]
    worker = get_worker_info()
    if worker is not None:
        starts = starts[worker.id :: worker.num_workers]
    for start in starts:
        yield slice(start, start + batch_size)


def _contacts(dimer: Dimer) -> NDArray[np.bool_]:
    """(n, m) true pairs among the surface pairs."""
    true = np.zeros((len(dimer.receptor), len(dimer.ligand)), dtype=np.bool_)
    true[np.ix_(dimer.receptor.surface, dimer.ligand.surface)] = dimer.labels().reshape(
        int(dimer.receptor.surface.sum()), int(dimer.ligand.surface.sum())
    )
    return true


def same_features(dimers: Sequence[Dimer]) -> None:
    """Refuse dimers whose features differ, and an empty list (`InputError`)."""
    if not dimers:
        raise InputError("dimers: none given")
    for dimer in dimers:
        if dimer.feature_names != dimers[0].feature_names:
            raise InputError(f"{dimer.code}: its features differ from those of {dimers[0].code}; prepare them alike")
