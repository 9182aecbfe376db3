"""The second reading: every partner is encoded once, residue by residue, and pairs are scored from two encodings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from resblock.nn import ChainNetwork
from resblock.pairs import Dimer
from resblock.pairs.residues import ResidueBatch, Residues, ResidueTables
from resblock.scoring.base import LARGEST_DEVIATION, NetworkScorer
from resblock.scoring.losses import PairLoss


class ChainScorer(NetworkScorer):
    """A `ChainNetwork`, which treats both orders of the partners alike."""

    format = "resblock.ChainScorer"
    format_version = 2
    network: ChainNetwork

    @staticmethod
    def build_network(config: Mapping[str, Any]) -> ChainNetwork:
        """Build a `ChainNetwork`."""
        return ChainNetwork.from_config(config)

    def forward(self, residues: Residues, pairs: Tensor) -> Tensor:
        """Logits (P,) of (2, P) pairs of rows."""
        logits: Tensor = self.network(*_cut(residues), pairs)
        return logits

    def loss(self, batch: ResidueBatch, of_pairs: PairLoss) -> Tensor:
        """Loss of a batch's pairs."""
        return of_pairs(self(batch.residues, batch.pairs), batch.labels, batch.weights)

    def pair_scores(self, dimer: Dimer, batches: Iterable[NDArray[np.int64]]) -> Iterator[Tensor]:
        """Probabilities from encodings that are computed once."""
        device = self.mean.device
        tables = ResidueTables([dimer], self.mean.cpu().numpy(), self.scale.cpu().numpy())
        residues, starts = tables.gather([0])
        encoded = self.network.encode(*(tensor.to(device) for tensor in _cut(residues)))
        receptor, ligand = encoded[: starts[0, 1]], encoded[starts[0, 1] :]
        for pairs in batches:
            rows, columns = torch.from_numpy(np.ascontiguousarray(pairs.T)).to(device)
            yield self.probability(self.network.head(receptor, ligand, (rows, columns)))


def _cut(residues: Residues) -> Residues:
    return residues._replace(features=residues.features.clamp(-LARGEST_DEVIATION, LARGEST_DEVIATION))
