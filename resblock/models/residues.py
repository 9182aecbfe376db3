"""Every partner is encoded once, residue by residue, and a symmetric head scores pairs of two encodings."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from resblock.models.base import Encoding, Model, ModelConfig
from resblock.models.calibration import Calibration
from resblock.models.examples import Batch, Drawing, Examples, number_drawn, pair_weights
from resblock.models.scaling import Scaling
from resblock.nn import BLOCKS, NEIGHBOUR_BLOCKS, PairHead, ResidueEncoder
from resblock.pairs import Complex
from resblock.structure import PartnerFeatures
from resblock.structure.graph import EDGE_SIZE, nearest_residues


@dataclasses.dataclass(frozen=True)
class ResidueModelConfig(ModelConfig):
    """Settings of a `ResidueModel`."""

    features: str = "extended"
    """Feature set that the model sees: paper or extended."""
    positive_weight: float = 0.5
    """Share of the loss of a complex that its positives have; 0: by their number."""
    size: int = 64
    """Features of an encoding."""
    encoder: str = ""
    """Blocks in turn, each attention, mean or lstm; empty: every residue by itself."""
    lstm_layers: int = 2
    """Layers of each direction of an lstm block."""
    pair_size: int = 64
    """Features of a pair in the head."""
    input_dropout: float = 0.1
    """Of the features."""
    dropout: float = 0.2
    """Inside the blocks and before the head."""
    negatives_per_complex: int = 2000
    """Negatives drawn afresh every epoch from each complex, beside all of its positives."""

    @property
    def blocks(self) -> tuple[str, ...]:
        """Blocks of the encoder."""
        return tuple(self.encoder.split())

    def check(self) -> None:
        """Refuse values that mean nothing."""
        super().check()
        self.require(self.size >= 2 and self.size % 2 == 0, "size", "even and at least 2")
        self.require(set(self.blocks) <= set(BLOCKS), "encoder", f"a list of {', '.join(BLOCKS)} with blanks between")
        self.require(self.lstm_layers >= 1, "lstm_layers", "at least 1")
        self.require(self.pair_size >= 2, "pair_size", "at least 2")
        self.require(0 <= self.input_dropout < 1, "input_dropout", "from 0 to below 1")
        self.require(0 <= self.dropout < 1, "dropout", "from 0 to below 1")
        self.require(self.negatives_per_complex >= 1, "negatives_per_complex", "at least 1")


class Residues(NamedTuple):
    """R residues of one or several partners, one partner after the other: what the encoder takes.

    Attributes
    ----------
    features
        (R, F) float32 z-scores.
    neighbours
        (R, K) int64, rows of the nearest residues of the same partner; -1 where there is none.
    edges
        (R, K, E) float32 of `resblock.structure.graph.nearest_residues`.
    lengths
        (B,) int64, residues of each of the B chains in turn; together R.
    """

    features: Tensor
    neighbours: Tensor
    edges: Tensor
    lengths: Tensor

    @classmethod
    def joined(cls, parts: Sequence[Residues]) -> tuple[Residues, NDArray[np.int64]]:
        """Residues of several partners as one, and the row where each partner begins."""
        starts = np.cumsum([0, *(len(part.features) for part in parts)])[:-1]
        neighbours = [
            torch.where(part.neighbours >= 0, part.neighbours + int(start), -1)
            for part, start in zip(parts, starts, strict=True)
        ]
        features, edges, lengths = (
            torch.cat([getattr(part, name) for part in parts]) for name in ("features", "edges", "lengths")
        )
        return cls(features, torch.cat(neighbours), edges, lengths), starts


@dataclasses.dataclass(frozen=True)
class ResidueEncoding(Encoding):
    """A partner's residues as vectors.

    Attributes
    ----------
    residues
        (N, size) float32.
    """

    residues: Tensor


class ResidueModel(Model[ResidueEncoding]):
    """A `ResidueEncoder` and a `PairHead`, which treats both orders of the partners alike."""

    kind = "residues"
    version = 1
    Config = ResidueModelConfig
    config: ResidueModelConfig

    def __init__(
        self,
        config: ResidueModelConfig,
        scaling: Scaling,
        card: Mapping[str, Any] | None = None,
        calibration: Calibration | None = None,
    ) -> None:
        super().__init__(config, scaling, card, calibration)
        self.encoder = ResidueEncoder(
            len(scaling.names),
            EDGE_SIZE,
            size=config.size,
            blocks=config.blocks,
            lstm_layers=config.lstm_layers,
            input_dropout=config.input_dropout,
            dropout=config.dropout,
        )
        self.head = PairHead(config.size, config.pair_size, config.dropout)

    def examples(self, complexes: Sequence[Complex], drawing: Drawing) -> ResidueExamples:
        """Whole complexes, each with all of its positives."""
        return ResidueExamples(self, complexes, drawing)

    def forward(self, residues: Residues, pairs: Tensor) -> Tensor:
        """Log-odds (P,) of (2, P) pairs of rows."""
        encoded = self.encoder(*residues)
        log_odds: Tensor = self.head(encoded, encoded, (pairs[0], pairs[1]))
        return log_odds

    def residues(self, partner: PartnerFeatures) -> Residues:
        """What the encoder takes of a partner."""
        if set(self.config.blocks) & set(NEIGHBOUR_BLOCKS):
            neighbours, edges = nearest_residues(partner.centres, partner.sides, partner.linked)
        else:
            neighbours = np.empty((len(partner), 0), np.int64)
            edges = np.empty((len(partner), 0, EDGE_SIZE), np.float32)
        lengths = np.diff(np.append(partner.chain_starts, len(partner)))
        return Residues(*map(torch.from_numpy, (self.scaling.standardised(partner), neighbours, edges, lengths)))

    def encoded(self, partner: PartnerFeatures) -> ResidueEncoding:
        """Run the encoder."""
        inputs = (tensor.to(self.mean.device) for tensor in self.residues(partner))
        return ResidueEncoding(partner.surface_residues, self.encoder(*inputs))

    def scored(self, receptor: ResidueEncoding, ligand: ResidueEncoding, pairs: NDArray[np.int64]) -> Tensor:
        """Run the head."""
        rows, columns = torch.from_numpy(np.ascontiguousarray(pairs.T)).to(self.mean.device)
        return self.calibrated(self.head(receptor.residues, ligand.residues, (rows, columns)))


class ResidueExamples(Examples):
    """Complexes in shuffled order, each with all of its positives and negatives that are drawn afresh.

    Complexes without a positive, or without a negative, are left out. Each complex weighs as much as the next.

    Parameters
    ----------
    model : ResidueModel
    complexes : sequence of Complex
        With known contacts.
    drawing : Drawing
        A batch is a number of complexes.
    """

    def __init__(self, model: ResidueModel, complexes: Sequence[Complex], drawing: Drawing) -> None:
        places = [k for k, one in enumerate(complexes) if (labels := one.labels()).any() and not labels.all()]
        usable = [complexes[k] for k in places]
        super().__init__(drawing.of(places))
        self._config = model.config
        self._partners = [[model.residues(partner) for partner in one.partners] for one in usable]
        self._surfaces = [tuple(partner.surface_residues for partner in one.partners) for one in usable]
        # Places among the surface pairs, which are wanted at every step.
        self._positives = [np.flatnonzero(one.labels()) for one in usable]
        self._negatives = [np.flatnonzero(~one.labels()) for one in usable]

    @property
    def batches(self) -> int:
        """Batches of an epoch, of all processes."""
        chances = self.drawing.chances
        count = number_drawn(np.array(chances)) if chances else len(self._positives)
        return -(-count // self.drawing.batch_size)

    @property
    def positive_share(self) -> float:
        """Share of the positives, by weight."""
        drawn = self._config.negatives_per_complex
        by_number = [len(positives) / (len(positives) + drawn) for positives in self._positives]
        return self._config.positive_weight or float(np.mean(by_number))

    def __iter__(self) -> Iterator[Batch]:
        """Batches of this process and worker."""
        order = self.complexes_drawn(len(self._positives)).tolist()
        for batch in self.slices(len(order)):
            yield self._batch(order[batch])

    def _batch(self, indices: Sequence[int]) -> Batch:
        residues, starts = Residues.joined([partner for index in indices for partner in self._partners[index]])
        pairs, labels, weights = [], [], []
        for index, (receptor_start, ligand_start) in zip(indices, starts.reshape(-1, 2), strict=True):
            places, positive = self._drawn(index)
            receptor, ligand = self._surfaces[index]
            row, column = np.divmod(places, len(ligand))
            pairs.append(np.stack([receptor[row] + receptor_start, ligand[column] + ligand_start]))
            labels.append(positive)
            weights.append(pair_weights(positive, self._config.positive_weight) / len(indices))
        return Batch(
            (residues, torch.from_numpy(np.concatenate(pairs, axis=1))),
            torch.from_numpy(np.concatenate(labels)),
            torch.from_numpy(np.concatenate(weights)),
        )

    def _drawn(self, index: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Places of positives and negatives among the surface pairs, and their labels."""
        positives, negatives = self._positives[index], self._negatives[index]
        drawn = negatives[self.generator(index).integers(len(negatives), size=self._config.negatives_per_complex)]
        places = np.concatenate([positives, drawn])
        return places, np.arange(len(places)) < len(positives)
