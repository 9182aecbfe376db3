"""Examples to train on: batches of labelled residue pairs, the same ones for the same seed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info


class Batch(NamedTuple):
    """Residue pairs to train on.

    Attributes
    ----------
    inputs
        Arguments of the model's `forward`, which gives the log-odds of P pairs.
    labels
        (P,) bool, whether the pair is an interface pair.
    weights
        (P,) float32, together 1.
    """

    inputs: tuple[Any, ...]
    labels: Tensor
    weights: Tensor


class Drawing(NamedTuple):
    """What decides the examples of an epoch besides the complexes: batches are shared by `world_size` processes.

    Batches that do not go round are left out, so that all processes make the same number of steps. `chances` has the
    chance of each complex to be in an epoch, above 0 to 1; all are in every epoch where it is empty.
    """

    batch_size: int
    seed: int = 0
    rank: int = 0
    world_size: int = 1
    chances: tuple[float, ...] = ()

    def of(self, places: Sequence[int]) -> Drawing:
        """The same for some of the complexes."""
        return self._replace(chances=tuple(self.chances[place] for place in places) if self.chances else ())


def draw_systematically(chances: NDArray[np.float64], generator: np.random.Generator) -> NDArray[np.int64]:
    """Indices of items, shuffled, each of which is drawn with its chance; equally many every time.

    A chance is lowered by what is needed to make their sum a whole number, or raised if that is below 1 (systematic
    sampling of a random order; Madow 1949).
    """
    order = generator.permutation(len(chances))
    ends = np.cumsum(chances[order])
    count = number_drawn(chances)
    drawn = np.searchsorted(ends * (count / ends[-1]), generator.random() + np.arange(count), side="right")
    return generator.permutation(order[np.minimum(drawn, len(order) - 1)])


def number_drawn(chances: NDArray[np.float64]) -> int:
    """How many items `draw_systematically` draws."""
    return max(int(chances.sum() + 1e-9), 1)


class Examples(IterableDataset[Batch], ABC):
    """Shuffled batches from several complexes. Use it with ``DataLoader(batch_size=None)``.

    An epoch is determined by the seed, the epoch's number and the complexes alone; workers and processes take every
    n-th batch.

    Parameters
    ----------
    drawing : Drawing
    """

    def __init__(self, drawing: Drawing) -> None:
        super().__init__()
        self.drawing = drawing
        self.epoch = 0

    @property
    @abstractmethod
    def batches(self) -> int:
        """Batches of an epoch, of all processes; 0 where there is nothing to train on."""

    @property
    @abstractmethod
    def positive_share(self) -> float:
        """Share of the positives, by weight, among the pairs of an epoch."""

    @abstractmethod
    def __iter__(self) -> Iterator[Batch]:
        """Batches of this process and worker."""

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch of the next iteration."""
        self.epoch = epoch

    def generator(self, *numbers: int) -> np.random.Generator:
        """Random numbers of this epoch, for each of `numbers` others."""
        return np.random.default_rng([self.drawing.seed, self.epoch, *numbers])

    def complexes_drawn(self, count: int) -> NDArray[np.int64]:
        """Indices of those complexes, out of `count`, that are in this epoch, in shuffled order."""
        if not self.drawing.chances:
            return self.generator().permutation(count)
        return draw_systematically(np.array(self.drawing.chances), self.generator())

    def slices(self, count: int) -> Iterator[slice]:
        """Batches of `count` examples that fall to this process and worker."""
        size, rank, world_size = self.drawing.batch_size, self.drawing.rank, self.drawing.world_size
        starts = range(0, count, size)
        if world_size > 1:
            starts = starts[: len(starts) // world_size * world_size][rank::world_size]
        worker = get_worker_info()
        if worker is not None:
            starts = starts[worker.id :: worker.num_workers]
        for start in starts:
            yield slice(start, start + size)


def pair_weights(labels: NDArray[np.bool_], positive_weight: float) -> NDArray[np.float32]:
    """(P,) weights, together 1, of which positives have `positive_weight`; all alike with 0 or without both kinds."""
    count, total = int(labels.sum()), len(labels)
    if not positive_weight or count in (0, total):
        return np.full(total, 1.0 / max(total, 1), dtype=np.float32)
    return np.where(labels, positive_weight / count, (1.0 - positive_weight) / (total - count)).astype(np.float32)
