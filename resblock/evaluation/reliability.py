"""Whether a probability means what it says."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

#: Limits between the probabilities that `reliability` looks at together.
LIMITS: Final = (1e-5, 1e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)


@dataclass(frozen=True)
class Reliability:
    """Pairs with probabilities from `low` to `high`: how many, their mean, and the share of positives among them."""

    low: float
    high: float
    pairs: int
    mean_probability: float
    positive_share: float


def reliability(probabilities: NDArray[np.float32], labels: NDArray[np.bool_]) -> list[Reliability]:
    """Compare probabilities (P,) with the share of positives by their labels (P,), between `LIMITS`.

    Ranges without a pair are left out.
    """
    limits = (0.0, *LIMITS, 1.0)
    place = np.searchsorted(LIMITS, probabilities, side="right")
    rows = []
    for k, (low, high) in enumerate(itertools.pairwise(limits)):
        here = place == k
        if here.any():
            means = float(probabilities[here].mean(dtype=np.float64)), float(labels[here].mean())
            rows.append(Reliability(low, high, int(here.sum()), *means))
    return rows
