"""The paper's reading: each pair is the sequence of the 3 x 3 pairs around it (Liu & Gong 2019, "Input")."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from resblock.nn import ResAttnLSTM
from resblock.pairs import Dimer
from resblock.pairs.dataset import PairWindows, WindowBatch
from resblock.pairs.windows import SIDE
from resblock.scoring.base import LARGEST_DEVIATION, NetworkScorer
from resblock.scoring.files import Stored, unusable
from resblock.scoring.losses import PairLoss


class WindowScorer(NetworkScorer):
    """A `ResAttnLSTM` of two classes and input size 2F on windows.

    The score of a pair is the mean, over both orders of the partners, of the probability that the network gives it,
    for the share of true pairs that surfaces have.
    """

    format = "resblock.WindowScorer"
    format_version = 3
    #: Residues of each partner in a window; the paper's unless the network was trained on others.
    side = SIDE

    @staticmethod
    def build_network(config: Mapping[str, Any]) -> ResAttnLSTM:
        """Build a `ResAttnLSTM`."""
        return ResAttnLSTM.from_config(config)

    def forward(self, windows: Tensor, lengths: Tensor) -> Tensor:
        """Logits (P, 2) of windows (side * side, P, 2F) of z-scores with their lengths (P,)."""
        logits: Tensor = self.network(windows.clamp(-LARGEST_DEVIATION, LARGEST_DEVIATION), lengths)
        return logits

    def loss(self, batch: WindowBatch, of_pairs: PairLoss) -> Tensor:
        """Loss of a batch's pairs."""
        return of_pairs(self._log_odds(batch.windows, batch.lengths), batch.labels, batch.weights)

    def pair_scores(self, dimer: Dimer, batches: Iterable[NDArray[np.int64]]) -> Iterator[Tensor]:
        """Mean probabilities over both orders of the partners."""
        windows = PairWindows([dimer], self.mean.cpu().numpy(), self.scale.cpu().numpy(), self.mean.device, self.side)
        for pairs in batches:
            rows = windows.rows(0, pairs)
            orders = [self._probability(*windows.gather(order)) for order in (rows, rows[:, ::-1])]
            yield (orders[0] + orders[1]) / 2

    def stored(self) -> Stored:
        """What a file holds; also the size of the windows."""
        stored = super().stored()
        return stored._replace(description={**stored.description, "side": self.side})

    @classmethod
    def from_stored(cls, stored: Stored, path: str | os.PathLike[str]) -> WindowScorer:
        """Build from what `stored` gave; files without a size are of the paper's windows."""
        scorer = super().from_stored(stored, path)
        side = stored.description.get("side", SIDE)
        if not (isinstance(side, int) and side >= 1 and side % 2 == 1):
            raise unusable(path, f"windows of {side} residues")
        scorer.side = side
        return scorer

    def _probability(self, windows: Tensor, lengths: Tensor) -> Tensor:
        return self.probability(self._log_odds(windows, lengths))

    def _log_odds(self, windows: Tensor, lengths: Tensor) -> Tensor:
        other, true = self(windows, lengths).unbind(1)
        log_odds: Tensor = true - other
        return log_odds
