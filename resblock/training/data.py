"""The batches of a run: pairs drawn for training, and dimers that rank after every epoch."""

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
from resblock.pairs import Dimer
from resblock.pairs.dataset import Closest, Random, Selection, TrainingPairs, standardisation
from resblock.pairs.residues import TrainingResidues
from resblock.training.config import DataConfig, TrainingConfig


@dataclass(frozen=True)
class ValidationDimer:
    """A dimer and the (P, 2) surface pairs that are ranked after every epoch, with their (P,) labels."""

    dimer: Dimer
    pairs: NDArray[np.int64]
    labels: NDArray[np.bool_]

    @classmethod
    def drawn(cls, dimer: Dimer, others: int, seed: int) -> ValidationDimer:
        """All true pairs and `others` of the rest, the same ones for the same seed."""
        labels = dimer.labels()
        true, rest = np.flatnonzero(labels), np.flatnonzero(~labels)
        generator = np.random.default_rng(seed)
        chosen = np.concatenate([true, np.sort(generator.choice(rest, min(others, len(rest)), replace=False))])
        return cls(dimer, dimer.surface_pairs()[chosen], labels[chosen])


class DimerData(L.LightningDataModule):
    """Training and validation dimers as batches, each process its own share of them.

    Parameters
    ----------
    train, validation : sequence of Dimer
        With known contacts.
    config : TrainingConfig
    world_size : int
        Processes that share a batch.
    """

    def __init__(
        self, train: Sequence[Dimer], validation: Sequence[Dimer], config: TrainingConfig, world_size: int = 1
    ) -> None:
        super().__init__()
        self.config = config
        self.world_size = world_size
        self.share = math.ceil(config.optimisation.batch_size / world_size)
        self.train = list(train)
        self._shown_to: dict[int, TrainingPairs | TrainingResidues] = {}
        self.mean, self.scale = standardisation(self.train)
        seed = config.optimisation.seed
        self.validation = [
            ValidationDimer.drawn(dimer, config.data.validation_pairs, seed)
            for dimer in validation
            if dimer.labels().any()
        ]
        if validation and not self.validation:
            raise InputError("no validation dimer has a true pair; choose another split")
        batches, share_shown = self._epoch()
        self.steps_per_epoch = batches // world_size
        if not self.steps_per_epoch:
            raise InputError("the training dimers have too few true pairs for a step; choose another split")
        self.log_odds_shift = _log_odds(_true_share(self.train)) - _log_odds(share_shown)

    def _epoch(self) -> tuple[int, float]:
        """Batches of an epoch, of all processes, and the share of true pairs, by weight, among those shown."""
        shown = self._shown(rank=0)
        if isinstance(shown, TrainingResidues):
            return (shown.batches, shown.true_share) if shown.batches else (0, 0.5)
        _, labels = shown.draw(epoch=0)
        if not labels.any():
            return 0, 0.5  # nothing to learn
        if labels.all():
            raise InputError("every training pair is true; raise data.negatives_per_true_pair")
        return math.ceil(len(labels) / self.share), self.config.data.true_weight or float(labels.mean())

    def _shown(self, rank: int) -> TrainingPairs | TrainingResidues:
        """What the process of this rank learns from; made once, as neighbours take time to find."""
        if rank not in self._shown_to:
            self._shown_to[rank] = self._new_shown(rank)
        return self._shown_to[rank]

    def _new_shown(self, rank: int) -> TrainingPairs | TrainingResidues:
        data, seed = self.config.data, self.config.optimisation.seed
        given = (self.share, self.mean, self.scale, seed, rank, self.world_size)
        if data.reading == "chain":
            return TrainingResidues(self.train, data.negatives_per_dimer, *given, true_weight=data.true_weight)
        return TrainingPairs(self.train, selection(data), *given, side=data.window, true_weight=data.true_weight)

    def train_dataloader(self) -> DataLoader[Any]:
        """Batches of the current epoch; the trainer asks again for every epoch."""
        assert self.trainer is not None
        shown = self._shown(self.trainer.global_rank)
        shown.set_epoch(self.trainer.current_epoch)
        return DataLoader(shown, batch_size=None)

    def val_dataloader(self) -> DataLoader[int]:
        """Indices into `validation`; the processes get equally many, the last ones may lie past the end."""
        assert self.trainer is not None
        shared = math.ceil(len(self.validation) / self.world_size) * self.world_size
        indices = range(self.trainer.global_rank, shared, self.world_size)
        return DataLoader(indices, batch_size=None)  # type: ignore[arg-type]  # any sequence will do


def _true_share(dimers: Sequence[Dimer]) -> float:
    """True pairs among all surface pairs."""
    labels = [dimer.labels() for dimer in dimers]
    return sum(int(true.sum()) for true in labels) / sum(map(len, labels))


def _log_odds(probability: float) -> float:
    return math.log(probability / (1.0 - probability))


def selection(config: DataConfig) -> Selection:
    """The choice of training pairs that a configuration names."""
    if config.selection == "closest":
        return Closest(config.closest_per_true_pair)
    return Random(config.negatives_per_true_pair)
