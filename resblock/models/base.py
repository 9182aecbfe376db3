"""What every model is: two partners are encoded apart, and pairs of their residues get log-odds of touching."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, Generic, Literal, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from resblock.errors import InputError
from resblock.models.calibration import Calibration, probability
from resblock.models.examples import Batch, Drawing, Examples
from resblock.models.losses import PairLoss
from resblock.models.scaling import Scaling
from resblock.pairs import Complex
from resblock.structure import PartnerFeatures, feature_names

Progress = Callable[[int, int], object]


@dataclasses.dataclass(frozen=True)
class Encoding:
    """A partner as a model sees it.

    Attributes
    ----------
    surface
        (n,) int64, the residues whose pairs are ranked.
    """

    surface: NDArray[np.int64]


E = TypeVar("E", bound=Encoding)


@dataclasses.dataclass(frozen=True)
class Best:
    """What is wanted of n x m log-odds where these are too many to hold.

    Attributes
    ----------
    pairs, log_odds
        (N, 2) int64 residues of receptor and ligand, and (N,) float32: the best pairs, the best first; equal ones in
        the order of the residues.
    receptor_maxima, ligand_maxima
        (n,) and (m,) float32, the best log-odds of each surface residue in any pair.
    receptor_sums, ligand_sums
        (n,) and (m,) float64, the sum of the probabilities of each surface residue's pairs: the contacts to expect.
    """

    pairs: NDArray[np.int64]
    log_odds: NDArray[np.float32]
    receptor_maxima: NDArray[np.float32]
    ligand_maxima: NDArray[np.float32]
    receptor_sums: NDArray[np.float64]
    ligand_sums: NDArray[np.float64]


class PairScorer(ABC, Generic[E]):
    """Whatever gives log-odds to pairs of residues of two partners that it has encoded."""

    #: Pairs computed at a time; bounds the memory.
    block_size: ClassVar[int] = 4096

    @property
    @abstractmethod
    def feature_names(self) -> tuple[str, ...]:
        """Columns that a partner must have."""

    @abstractmethod
    def encode(self, partner: PartnerFeatures) -> E:
        """Encode a partner, which may then stand on either side.

        Raises
        ------
        InputError
            If it lacks a column.
        """

    @abstractmethod
    def pair_log_odds(self, receptor: E, ligand: E, pairs: NDArray[np.int64]) -> NDArray[np.float32]:
        """(P,) log-odds that (P, 2) residues of receptor and ligand touch."""

    def blocks(self, receptor: E, ligand: E) -> Iterator[NDArray[np.float32]]:
        """Log-odds of all surface pairs, row by row, (P,) at most `block_size` at a time.

        Raises
        ------
        InputError
            If one is not finite.
        """
        n, m = len(receptor.surface), len(ligand.surface)
        for start in range(0, n * m, self.block_size):
            row, column = np.divmod(np.arange(start, min(start + self.block_size, n * m)), m)
            pairs = np.stack([receptor.surface[row], ligand.surface[column]], axis=1)
            block = self.pair_log_odds(receptor, ligand, pairs)
            if not np.isfinite(block).all():
                raise InputError(
                    "log-odds that are not finite: the network's weights are out of range; use other weights"
                )
            yield block

    def log_odds(self, receptor: E, ligand: E, progress: Progress | None = None) -> NDArray[np.float32]:
        """Log-odds of all pairs of surface residues; the same weights, partners and device give the same bits.

        Parameters
        ----------
        receptor, ligand : Encoding
            Of n and m surface residues, from `encode`.
        progress : callable, optional
            Called with the number of pairs done so far and of all pairs.

        Returns
        -------
        ndarray, shape (n, m)
            float32.
        """
        table = np.empty((len(receptor.surface), len(ligand.surface)), dtype=np.float32)
        done = 0
        for block in self.blocks(receptor, ligand):
            table.reshape(-1)[done : done + len(block)] = block
            done += len(block)
            if progress is not None:
                progress(done, table.size)
        return table

    def complex_log_odds(self, complex: Complex, progress: Progress | None = None) -> NDArray[np.float32]:
        """Encode both partners of a complex and give `log_odds` of their pairs."""
        return self.log_odds(self.encode(complex.receptor), self.encode(complex.ligand), progress)

    def best(self, receptor: E, ligand: E, count: int) -> Best:
        """The best `count` pairs, and maxima and sums over all, without holding all log-odds."""
        n, m = len(receptor.surface), len(ligand.surface)
        maxima = np.full(n, -np.inf, np.float32), np.full(m, -np.inf, np.float32)
        sums = np.zeros(n), np.zeros(m)
        values, places = np.empty(0, np.float32), np.empty(0, np.int64)
        start = 0
        for block in self.blocks(receptor, ligand):
            sides = np.divmod(np.arange(start, start + len(block)), m)
            for side, maximum, total in zip(sides, maxima, sums, strict=True):
                np.maximum.at(maximum, side, block)
                np.add.at(total, side, probability(block).astype(np.float64))
            # A later pair must be better than the last one listed: of equal ones the earlier stays.
            found = np.flatnonzero(block > values[-1]) if len(values) == count > 0 else np.arange(len(block))
            values = np.concatenate([values, block[found]])
            places = np.concatenate([places, start + found])
            order = np.argsort(-values, kind="stable")[:count]
            values, places = values[order], places[order]
            start += len(block)
        row, column = np.divmod(places, max(m, 1))
        pairs = np.stack([receptor.surface[row], ligand.surface[column]], axis=1)
        return Best(pairs, values, *maxima, *sums)


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """Settings that every model has."""

    features: str = "paper"
    """Feature set that the model sees: paper or extended."""
    folding: Literal["none", "surprise", "encodings"] = "none"
    """What it sees besides, of a network for inverse folding (`resblock pretrain`): nothing, how far residues differ
    from what their backbone makes one expect, or the network's encodings as well."""
    positive_weight: float = 0.0
    """Share of the loss that the positives of a batch (windows) or of a complex (residues) have; 0: by their number."""

    def check(self) -> None:
        """Refuse values that mean nothing (`InputError`)."""
        feature_names(self.features)
        self.require(0 <= self.positive_weight < 1, "positive_weight", "from 0 to below 1")

    def require(self, holds: bool, name: str, wanted: str) -> None:
        """Refuse the value of a field unless `holds` (`InputError`)."""
        if not holds:
            raise InputError(f"model.{name} is {getattr(self, name)}; it must be {wanted}")


class Model(nn.Module, PairScorer[E], ABC):
    """One network with the scaling of its input and the calibration of its output.

    Parameters
    ----------
    config : ModelConfig
        Of the model's own class `Config`.
    scaling : Scaling
        Of F columns, over the complexes that the model is trained on.
    card : mapping
        Where the weights come from; plain values.
    calibration : Calibration
        Of the network's log-odds. Training shows it far more positives than surfaces have: the shift takes the share
        among all surface pairs in place of the share among those shown (Elkan, IJCAI 2001, theorem 2).
    """

    #: Names the kind in configurations and files.
    kind: ClassVar[str]
    #: Raise it whenever stored weights would mean something else.
    version: ClassVar[int]
    Config: ClassVar[type[ModelConfig]]
    mean: Tensor
    scale: Tensor
    log_odds_shift: Tensor
    log_odds_scale: Tensor

    def __init__(
        self,
        config: ModelConfig,
        scaling: Scaling,
        card: Mapping[str, Any] | None = None,
        calibration: Calibration | None = None,
    ) -> None:
        super().__init__()
        calibration = calibration or Calibration()
        self.config = config
        self.names = scaling.names
        self.register_buffer("mean", torch.from_numpy(scaling.mean.copy()))
        self.register_buffer("scale", torch.from_numpy(scaling.scale.copy()))
        self.register_buffer("log_odds_shift", torch.tensor(calibration.shift))
        self.register_buffer("log_odds_scale", torch.tensor(calibration.scale))
        self.card = dict(card or {})

    @abstractmethod
    def examples(self, complexes: Sequence[Complex], drawing: Drawing) -> Examples:
        """Residue pairs of complexes to train on; `InputError` where they cannot be had."""

    @abstractmethod
    def forward(self, *inputs: Any) -> Tensor:
        """Log-odds (P,), not calibrated, from the inputs of a `Batch`."""

    @abstractmethod
    def encoded(self, partner: PartnerFeatures) -> E:
        """As `encode`, in evaluation mode and without gradients already."""

    @abstractmethod
    def scored(self, receptor: E, ligand: E, pairs: NDArray[np.int64]) -> Tensor:
        """As `pair_log_odds`, in evaluation mode and without gradients already."""

    def loss(self, batch: Batch, of_pairs: PairLoss) -> Tensor:
        """Training loss of a batch."""
        return of_pairs(self(*batch.inputs), batch.labels, batch.weights)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Columns that the model sees."""
        return self.names

    @property
    def scaling(self) -> Scaling:
        """Columns that the model sees, and what makes them z-scores."""
        return Scaling(self.names, self.mean.cpu().numpy(), self.scale.cpu().numpy())

    def encode(self, partner: PartnerFeatures) -> E:
        """Encode a partner."""
        with self._evaluation():
            return self.encoded(partner)

    def pair_log_odds(self, receptor: E, ligand: E, pairs: NDArray[np.int64]) -> NDArray[np.float32]:
        """(P,) log-odds that (P, 2) residues touch."""
        with self._evaluation():
            return np.asarray(self.scored(receptor, ligand, pairs).cpu().numpy(), dtype=np.float32)

    def calibrated(self, log_odds: Tensor) -> Tensor:
        """Correct the network's log-odds."""
        return self.log_odds_scale * log_odds + self.log_odds_shift

    def calibrate(self, calibration: Calibration) -> None:
        """Correct all log-odds from now on; the order of pairs stays."""
        self.log_odds_scale *= calibration.scale
        self.log_odds_shift.mul_(calibration.scale).add_(calibration.shift)

    @contextmanager
    def _evaluation(self) -> Iterator[None]:
        was_training = self.training
        self.eval()
        try:
            with torch.inference_mode():
                yield
        finally:
            self.train(was_training)
