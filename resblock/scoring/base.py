"""What all scorers share: the interface, and what surrounds a network that scores pairs."""

from __future__ import annotations

import dataclasses
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, Final, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from resblock.errors import InputError
from resblock.pairs import Dimer
from resblock.pairs.dataset import surface_batches
from resblock.scoring.calibration import Calibration
from resblock.scoring.files import Stored, unusable, write_weights
from resblock.scoring.losses import PairLoss
from resblock.structure.features import FEATURE_SETS

#: Standardised features are cut at this many standard deviations; an odd residue must not decide alone.
LARGEST_DEVIATION: Final = 6.0

Progress = Callable[[int, int], object]
Self = TypeVar("Self", bound="NetworkScorer")


class Scorer(Protocol):
    """Whatever scores the residue pairs of a dimer."""

    card: dict[str, Any]
    """Where the weights come from."""

    @property
    def feature_set(self) -> str:
        """Name of the features that a dimer needs."""

    def score(self, dimer: Dimer, progress: Progress | None = None) -> NDArray[np.float32]:
        """Score all pairs of surface residues, (n_surface_receptor, n_surface_ligand), 0 to 1."""

    def calibrate(self, calibration: Calibration) -> None:
        """Correct the log-odds of all scores from now on."""

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a file for `load_scorer`, all or nothing."""


class NetworkScorer(nn.Module, ABC):
    """A network with the scaling of its input and the calibration of its output.

    Features enter as z-scores, with absent pKa values imputed first (`resblock.pairs.dataset`) and cut at
    `LARGEST_DEVIATION`.

    Parameters
    ----------
    network : Module
        With a dataclass `config`.
    mean, scale : (F,) float32
        Of the features over the training part, from `resblock.pairs.dataset.standardisation`.
    feature_names : sequence of str
        Names of the F features.
    card : mapping
        Where the weights come from; plain values.
    log_odds_shift : float
        Added to the network's log-odds: training shows it far more true pairs than a surface has, and this takes
        the share among all surface pairs in place of the share among those shown (Elkan, IJCAI 2001, theorem 2).
    log_odds_scale : float
        Multiplies the network's log-odds before; see `calibrate`.
    """

    #: Names the kind of scorer in a file.
    format: ClassVar[str]
    #: Raise it whenever stored weights would mean something else.
    format_version: ClassVar[int]
    #: Pairs per pass.
    batch_size = 4096
    mean: Tensor
    scale: Tensor
    log_odds_shift: Tensor
    log_odds_scale: Tensor

    def __init__(
        self,
        network: nn.Module,
        mean: NDArray[np.float32],
        scale: NDArray[np.float32],
        feature_names: Sequence[str],
        card: Mapping[str, Any] | None = None,
        log_odds_shift: float = 0.0,
        log_odds_scale: float = 1.0,
    ) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.from_numpy(mean.copy()))
        self.register_buffer("scale", torch.from_numpy(scale.copy()))
        self.register_buffer("log_odds_shift", torch.tensor(log_odds_shift))
        self.register_buffer("log_odds_scale", torch.tensor(log_odds_scale))
        self.feature_names = tuple(feature_names)
        self.card = dict(card or {})

    @staticmethod
    @abstractmethod
    def build_network(config: Mapping[str, Any]) -> nn.Module:
        """Build the network from the fields of its configuration."""

    @abstractmethod
    def loss(self, batch: Any, of_pairs: PairLoss) -> Tensor:
        """Training loss of a batch of the kind that this scorer learns from."""

    @abstractmethod
    def pair_scores(self, dimer: Dimer, batches: Iterable[NDArray[np.int64]]) -> Iterator[Tensor]:
        """Probabilities (P,) of each batch of (P, 2) residue pairs; called in evaluation mode, without gradients."""

    def probability(self, log_odds: Tensor) -> Tensor:
        """Turn the network's log-odds into probabilities for the share of true pairs that surfaces have."""
        return torch.sigmoid(self.log_odds_scale * log_odds + self.log_odds_shift)

    def calibrate(self, calibration: Calibration) -> None:
        """Correct the log-odds of all scores from now on; the order of pairs stays."""
        self.log_odds_scale *= calibration.scale
        self.log_odds_shift.mul_(calibration.scale).add_(calibration.shift)

    def score(self, dimer: Dimer, progress: Progress | None = None) -> NDArray[np.float32]:
        """Score all pairs of surface residues; the same weights, dimer and device give the same bits.

        Parameters
        ----------
        dimer : Dimer
            Its features must be the ones the network learned from.
        progress : callable, optional
            Called with the number of pairs scored so far and of all pairs.

        Returns
        -------
        ndarray, shape (n_surface_receptor, n_surface_ligand)
            float32, 0 to 1.

        Raises
        ------
        InputError
            If the dimer has other features.
        """
        shape = tuple(int(partner.surface.sum()) for partner in (dimer.receptor, dimer.ligand))
        scores = np.empty(shape, dtype=np.float32)
        done = 0
        for batch in self._evaluated(dimer, surface_batches(dimer, self.batch_size)):
            scores.reshape(-1)[done : done + len(batch)] = batch
            done += len(batch)
            if progress is not None:
                progress(done, scores.size)
        return scores

    def score_pairs(self, dimer: Dimer, pairs: NDArray[np.int64]) -> NDArray[np.float32]:
        """Score (P, 2) chosen pairs of residues in the same way: (P,) float32."""
        (scores,) = self._evaluated(dimer, [pairs])
        return scores

    def _evaluated(self, dimer: Dimer, batches: Iterable[NDArray[np.int64]]) -> Iterator[NDArray[np.float32]]:
        if dimer.feature_names != self.feature_names:
            raise InputError(
                f"{dimer.code}: has the features {_few(dimer.feature_names)}; "
                f"the weights need {_few(self.feature_names)}"
                + (f" (resblock prepare --features {self.feature_set})" if self.feature_set else "")
            )
        with self._evaluation_mode():
            scores = self.pair_scores(dimer, batches)
            while True:
                with torch.inference_mode():
                    batch = next(scores, None)
                if batch is None:
                    return
                yield batch.cpu().numpy()

    @contextmanager
    def _evaluation_mode(self) -> Iterator[None]:
        was_training = self.training
        self.eval()
        try:
            yield
        finally:
            self.train(was_training)

    @property
    def feature_set(self) -> str:
        """Name of the feature set; empty if it has none."""
        return next((name for name, columns in FEATURE_SETS.items() if columns == self.feature_names), "")

    def stored(self) -> Stored:
        """What a file holds: weights, scaling, configuration, feature names and card."""
        config: Any = self.network.config
        description = {
            "format": self.format,
            "format_version": self.format_version,
            "config": dataclasses.asdict(config),
            "feature_names": self.feature_names,
            "card": self.card,
        }
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in self.state_dict().items()}
        return Stored(description, tensors)

    @classmethod
    def from_stored(cls: type[Self], stored: Stored, path: str | os.PathLike[str]) -> Self:
        """Build from what `stored` gave.

        Raises
        ------
        InputError
            If it is of another version, or does not fit together.
        """
        description, state = stored
        if description.get("format_version") != cls.format_version:
            raise unusable(path, f"format version {description.get('format_version')}, wanted {cls.format_version}")
        try:
            scorer = cls(
                cls.build_network(description["config"]),
                state["mean"].numpy(),
                state["scale"].numpy(),
                description["feature_names"],
                description["card"],
                float(state["log_odds_shift"]),
                float(state["log_odds_scale"]),
            )
            scorer.load_state_dict(state)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise unusable(path, " ".join(str(error).split())) from None
        return scorer.eval()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write one safetensors file, all or nothing."""
        write_weights(path, self.stored())


def _few(names: Sequence[str]) -> str:
    """Names as a list, cut after a dozen."""
    return ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
