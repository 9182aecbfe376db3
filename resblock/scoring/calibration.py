"""Whether a score means what it says, and what to correct where it does not."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

#: Probabilities are kept this far from 0 and 1, where float32 has no log-odds.
_SMALLEST: Final = 1e-7
#: Limits between the scores that `reliability` looks at together.
LIMITS: Final = (1e-5, 1e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)


@dataclass(frozen=True)
class Calibration:
    """A correction of scores: log-odds are multiplied by `scale`, then `shift` is added (Platt 1999)."""

    scale: float = 1.0
    shift: float = 0.0

    def __call__(self, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        """Correct scores, (P,) probabilities; the order stays where `scale` is above 0."""
        corrected = torch.from_numpy(self.scale * log_odds(scores) + self.shift)
        return np.asarray(torch.sigmoid(corrected).numpy(), dtype=np.float32)


@dataclass(frozen=True)
class Reliability:
    """Pairs with scores from `low` to `high`: how many, their mean score, and the share of true ones among them."""

    low: float
    high: float
    pairs: int
    mean_score: float
    true_share: float


def fit_calibration(scores: NDArray[np.float32], labels: NDArray[np.bool_]) -> Calibration:
    """Find the correction under which the labels are most likely; every pair counts the same.

    As Platt (1999) has it, a label is taken for a probability a little short of 1 or 0, so that scores that tell all
    true pairs from all others are not made infinitely sure.

    Parameters
    ----------
    scores : ndarray, shape (P,)
        Probabilities of pairs that the scorer did not learn from.
    labels : ndarray of bool, shape (P,)
        Whether each touches.
    """
    true = int(labels.sum())
    targets = torch.from_numpy(np.where(labels, (true + 1) / (true + 2), 1 / (len(labels) - true + 2)))
    inputs = torch.from_numpy(log_odds(scores))
    weights = torch.tensor([1.0, 0.0], dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([weights], max_iter=200, tolerance_grad=1e-10, line_search_fn="strong_wolfe")

    def loss() -> float:
        optimiser.zero_grad()
        value = nn.functional.binary_cross_entropy_with_logits(weights[0] * inputs + weights[1], targets)
        value.backward()  # type: ignore[no-untyped-call]
        return value.item()

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    return Calibration(*weights.tolist())


def reliability(scores: NDArray[np.float32], labels: NDArray[np.bool_]) -> list[Reliability]:
    """Compare scores (P,) with the share of true pairs by their labels (P,), between `LIMITS`.

    Ranges without a pair are left out.
    """
    limits = (0.0, *LIMITS, 1.0)
    place = np.searchsorted(LIMITS, scores, side="right")
    rows = []
    for k, (low, high) in enumerate(itertools.pairwise(limits)):
        here = place == k
        if here.any():
            means = float(scores[here].mean(dtype=np.float64)), float(labels[here].mean())
            rows.append(Reliability(low, high, int(here.sum()), *means))
    return rows


def log_odds(probability: NDArray[np.float32]) -> NDArray[np.float64]:
    """Logarithm of p / (1 - p), of the same shape."""
    return np.asarray(torch.logit(torch.from_numpy(probability.astype(np.float64)), eps=_SMALLEST).numpy())
