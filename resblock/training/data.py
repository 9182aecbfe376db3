"""The batches of a run: examples to train on, and complexes that are ranked after every epoch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import lightning as L
import numpy as np
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from resblock.errors import InputError
from resblock.models import Calibration, Drawing, Examples, Model
from resblock.pairs import Complex
from resblock.training.choice import chances, drawable
from resblock.training.config import TrainingConfig


@dataclass(frozen=True)
class ValidationComplex:
    """A complex and the (P, 2) surface pairs that are ranked after every epoch, with their (P,) labels."""

    complex: Complex
    pairs: NDArray[np.int64]
    labels: NDArray[np.bool_]

    @classmethod
    def drawn(cls, complex: Complex, negatives: int, seed: int) -> ValidationComplex:
        """Take all positives and `negatives` of the rest, the same ones for the same seed."""
        labels = complex.labels()
        positives, rest = np.flatnonzero(labels), np.flatnonzero(~labels)
        generator = np.random.default_rng(seed)
        drawn = np.sort(generator.choice(rest, min(negatives, len(rest)), replace=False))
        chosen = np.concatenate([positives, drawn])
        return cls(complex, complex.surface_pairs()[chosen], labels[chosen])


class TrainingData(L.LightningDataModule):
    """Training and validation complexes as batches, each process its own share of them.

    Parameters
    ----------
    model : Model
        To be trained.
    train, validation : sequence of Complex
        With known contacts.
    config : TrainingConfig
    world_size : int
        Processes that share a batch.
    """

    def __init__(
        self,
        model: Model[Any],
        train: Sequence[Complex],
        validation: Sequence[Complex],
        config: TrainingConfig,
        *,
        world_size: int = 1,
    ) -> None:
        super().__init__()
        self.model = model
        # What has no chance at all takes no memory.
        self.train = drawable(train, config.data)
        self._chances = chances(self.train, config.data)
        self.config = config
        self.world_size = world_size
        self._examples: dict[int, Examples] = {}
        seed = config.optimisation.seed
        self.validation = [
            ValidationComplex.drawn(complex, config.data.validation_pairs, seed)
            for complex in validation
            if complex.labels().any()
        ]
        if validation and not self.validation:
            raise InputError("no validation complex has a positive; choose another split")
        examples = self._of_rank(0)
        self.steps_per_epoch = examples.batches // world_size
        if not self.steps_per_epoch:
            raise InputError("the training complexes have too few positives for a step; choose another split")
        self.prior = Calibration(shift=_log_odds(_positive_share(self.train)) - _log_odds(examples.positive_share))

    def _of_rank(self, rank: int) -> Examples:
        """Examples for the process of this rank; made once, as neighbours take time to find."""
        if rank not in self._examples:
            optimisation = self.config.optimisation
            share = math.ceil(optimisation.batch_size / self.world_size)
            drawing = Drawing(share, optimisation.seed, rank, self.world_size, self._chances)
            self._examples[rank] = self.model.examples(self.train, drawing)
        return self._examples[rank]

    def train_dataloader(self) -> DataLoader[Any]:
        """Batches of the current epoch; the trainer asks again for every epoch."""
        assert self.trainer is not None
        examples = self._of_rank(self.trainer.global_rank)
        examples.set_epoch(self.trainer.current_epoch)
        return DataLoader(examples, batch_size=None)

    def val_dataloader(self) -> DataLoader[int]:
        """Indices into `validation`; the processes get equally many, the last ones may lie past the end."""
        assert self.trainer is not None
        shared = math.ceil(len(self.validation) / self.world_size) * self.world_size
        indices = range(self.trainer.global_rank, shared, self.world_size)
        return DataLoader(indices, batch_size=None)  # type: ignore[arg-type]  # any sequence will do


def _positive_share(complexes: Sequence[Complex]) -> float:
    """Positives among all surface pairs."""
    labels = [complex.labels() for complex in complexes]
    return sum(int(positive.sum()) for positive in labels) / sum(map(len, labels))


def _log_odds(probability: float) -> float:
    return math.log(probability / (1.0 - probability))
