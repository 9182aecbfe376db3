"""The paper's model: each pair is the sequence of the 3 x 3 pairs around it (Liu & Gong 2019, "Input")."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from resblock.errors import InputError
from resblock.models.base import Encoding, Model, ModelConfig
from resblock.models.calibration import Calibration
from resblock.models.examples import Batch, Drawing, Examples, pair_weights
from resblock.models.scaling import Scaling
from resblock.nn import ResAttnLSTM, ResAttnLSTMConfig
from resblock.ops import OUTPUT_PEEPHOLES
from resblock.pairs import SIDE, Complex, neighbours, window_pairs
from resblock.pairs.selection import Closest, Pairs, Random, Selection
from resblock.structure import PartnerFeatures


@dataclasses.dataclass(frozen=True)
class WindowModelConfig(ModelConfig, ResAttnLSTMConfig):
    """Settings of a `WindowModel`; the defaults are the paper's."""

    window: int = SIDE
    """Residues of each partner in the window of a pair, odd; 1 for the pair alone."""
    selection: Literal["closest", "random"] = "closest"
    """Pairs to train on: the closest in the bound complex, or negatives drawn afresh every epoch."""
    closest_per_positive: float = 10.0
    """With `closest`: pairs for every positive, before their neighbours are added."""
    negatives_per_positive: float = 8.0
    """With `random`: negatives drawn for every positive."""

    def check(self) -> None:
        """Refuse values that mean nothing."""
        super().check()
        self.require(self.hidden_size >= 1, "hidden_size", "at least 1")
        self.require(self.num_layers >= 1, "num_layers", "at least 1")
        self.require(0 <= self.input_dropout < 1, "input_dropout", "from 0 to below 1")
        self.require(0 <= self.dropout < 1, "dropout", "from 0 to below 1")
        self.require(self.output_peephole in OUTPUT_PEEPHOLES, "output_peephole", " or ".join(OUTPUT_PEEPHOLES))
        self.require(self.window >= 1 and self.window % 2 == 1, "window", "odd and at least 1")
        self.require(self.closest_per_positive > 0, "closest_per_positive", "above 0")
        self.require(self.negatives_per_positive > 0, "negatives_per_positive", "above 0")

    def chosen_pairs(self) -> Selection:
        """The choice of training pairs."""
        return (
            Closest(self.closest_per_positive) if self.selection == "closest" else Random(self.negatives_per_positive)
        )


@dataclasses.dataclass(frozen=True)
class WindowEncoding(Encoding):
    """A partner's residues with those beside each along its chain.

    Attributes
    ----------
    table
        (N + 1, F) float32 z-scores; the last row is zero.
    around
        (N, side) int64 of `resblock.pairs.neighbours`.
    """

    table: Tensor
    around: NDArray[np.int64]


class WindowModel(Model[WindowEncoding]):
    """A `ResAttnLSTM` of two classes and input size 2F on windows.

    The score of a pair is the mean, over both orders of the partners, of the probability that the network gives it;
    its log-odds are those of that mean.
    """

    kind = "windows"
    version = 1
    Config = WindowModelConfig
    config: WindowModelConfig

    def __init__(
        self,
        config: WindowModelConfig,
        scaling: Scaling,
        card: Mapping[str, Any] | None = None,
        calibration: Calibration | None = None,
    ) -> None:
        super().__init__(config, scaling, card, calibration)
        options = {field.name: getattr(config, field.name) for field in dataclasses.fields(ResAttnLSTMConfig)}
        options |= {"input_size": 2 * len(scaling.names), "num_classes": 2}
        options |= {"bidirectional": False, "batch_first": False, "stacked": True}
        self.network = ResAttnLSTM(**options)

    def examples(self, complexes: Sequence[Complex], drawing: Drawing) -> WindowExamples:
        """Windows of the configuration's pairs."""
        return WindowExamples(self, complexes, drawing)

    def forward(self, windows: Tensor, lengths: Tensor) -> Tensor:
        """Log-odds (P,) of windows (side * side, P, 2F) of z-scores with their lengths (P,)."""
        negative, positive = self.network(windows, lengths).unbind(1)
        log_odds: Tensor = positive - negative
        return log_odds

    def encoded(self, partner: PartnerFeatures) -> WindowEncoding:
        """Z-scores and neighbours along the chain: the network itself sees pairs only."""
        table = np.pad(self.scaling.standardised(partner), ((0, 1), (0, 0)))
        around = neighbours(partner.linked, self.config.window)
        return WindowEncoding(partner.surface_residues, torch.from_numpy(table).to(self.mean.device), around)

    def scored(self, receptor: WindowEncoding, ligand: WindowEncoding, pairs: NDArray[np.int64]) -> Tensor:
        """Log-odds of the mean probability over both orders of the partners."""
        ahead = self.calibrated(self(*windows_around(receptor, ligand, pairs)))
        back = self.calibrated(self(*windows_around(ligand, receptor, pairs[:, ::-1])))
        # In float64, as differences of large logarithms would lose digits.
        both = torch.stack([ahead, back]).double()
        touching, apart = (torch.logsumexp(nn.functional.logsigmoid(sign * both), 0) for sign in (1, -1))
        return touching - apart


def windows_around(first: WindowEncoding, second: WindowEncoding, pairs: Pairs) -> tuple[Tensor, Tensor]:
    """Windows around pairs of residues.

    Parameters
    ----------
    first, second : WindowEncoding
    pairs : (P, 2) int64
        Residue of the first and of the second.

    Returns
    -------
    windows
        (side * side, P, 2F) float32, time first; zero past the length.
    lengths
        (P,) int64, 1 to side * side.
    """
    steps, lengths = window_pairs(first.around, second.around, pairs)
    device = first.table.device
    # Index -1, a step past the end of a window, finds the row of zeros at the end.
    rows, columns = (torch.from_numpy(np.ascontiguousarray(steps[..., side])).to(device) for side in (0, 1))
    windows = torch.cat([first.table[rows], second.table[columns]], dim=-1)
    return windows, torch.from_numpy(lengths).to(device)


class WindowExamples(Examples):
    """Windows of labelled pairs, each shown in one of both orders of the partners, by chance.

    Parameters
    ----------
    model : WindowModel
    complexes : sequence of Complex
        With known contacts.
    drawing : Drawing
        A batch is a number of pairs.
    """

    def __init__(self, model: WindowModel, complexes: Sequence[Complex], drawing: Drawing) -> None:
        super().__init__(drawing)
        self._config = model.config
        self._selection = model.config.chosen_pairs()
        self._complexes = tuple(complexes)
        encodings = [model.encode(partner) for complex in complexes for partner in complex.partners]
        self._offsets = np.cumsum([0, *(len(one.around) for one in encodings)])[:-1].reshape(-1, 2)
        self._all = _joined(encodings, self._offsets.reshape(-1))
        self._chosen: dict[int, tuple[Pairs, NDArray[np.bool_]]] = {}  # pairs of a fixed selection, by complex
        _, labels = self.draw(epoch=0)
        if labels.any() and labels.all():
            raise InputError("every training pair is positive; raise model.negatives_per_positive")
        self._count, self._positives = len(labels), float(labels.mean()) if labels.any() else 0.0

    @property
    def batches(self) -> int:
        """Batches of an epoch, of all processes."""
        return math.ceil(self._count / self.drawing.batch_size) if self._positives else 0

    @property
    def positive_share(self) -> float:
        """Share of the positives, by weight."""
        return self._config.positive_weight or self._positives

    def draw(self, epoch: int) -> tuple[Pairs, NDArray[np.bool_]]:
        """(P, 2) rows of the joined encoding and (P,) labels of an epoch, of all processes."""
        self.set_epoch(epoch)
        rows, labels = [], []
        for k in sorted(self.complexes_drawn(len(self._complexes)).tolist()):
            complex = self._complexes[k]
            pairs, positive = self._chosen.get(k) or self._selection(complex, self.generator(k))
            if self._selection.fixed:
                self._chosen[k] = pairs, positive
            rows.append(pairs + self._offsets[k])
            labels.append(positive)
        generator = self.generator(len(self._complexes))
        order = generator.permutation(sum(map(len, labels)))
        shuffled = np.concatenate(rows)[order]
        swapped = generator.random(len(order)) < 0.5
        shuffled[swapped] = shuffled[swapped, ::-1]
        return shuffled, np.concatenate(labels)[order]

    def __iter__(self) -> Iterator[Batch]:
        """Batches of this process and worker."""
        rows, labels = self.draw(self.epoch)
        for batch in self.slices(len(rows)):
            weights = pair_weights(labels[batch], self._config.positive_weight)
            inputs = windows_around(self._all, self._all, rows[batch])
            yield Batch(inputs, torch.from_numpy(labels[batch]), torch.from_numpy(weights))


def _joined(encodings: Sequence[WindowEncoding], offsets: NDArray[np.int64]) -> WindowEncoding:
    """One encoding of all residues, so that a batch can mix complexes and both orders of the partners."""
    tables = [one.table[:-1].cpu() for one in encodings]
    around = [
        np.where(one.around >= 0, one.around + offset, -1) for one, offset in zip(encodings, offsets, strict=True)
    ]
    zeros = torch.zeros_like(encodings[0].table[:1].cpu())
    return WindowEncoding(np.empty(0, np.int64), torch.cat([*tables, zeros]), np.concatenate(around))
