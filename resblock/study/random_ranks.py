"""The rank of the first positive in a random order: exactly, and by drawing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from resblock.evaluation.ranking import TRUNCATED_DRAWS
from resblock.study.random_order import survival

#: Draws of the paper's random baseline.
PAPER_DRAWS: Final = 10**10
#: Draws that are compared, the paper's at last.
DRAWS: Final = (10**4, 10**6, 10**8, PAPER_DRAWS)


@dataclass(frozen=True)
class Simulation:
    """Mean rank over so many random orders, and its standard error as estimated from them."""

    draws: int
    mean: float
    standard_error: float


def simulate(pairs: int, positives: int, draws: int, seed: int) -> Simulation:
    """Draw pairs without replacement until one is positive, `TRUNCATED_DRAWS` times at most, as the paper does.

    All experiments go on together: of those without a positive after k draws, the next draw ends a binomial number.
    So the cost does not depend on the number of draws.

    Parameters
    ----------
    pairs, positives : int
        N pairs, M positives among them.
    draws : int
        Experiments, at least 2.
    seed : int
    """
    counts = first_ranks(pairs, positives, draws, np.random.default_rng(seed))
    ranks = np.arange(1, len(counts) + 1)
    mean = float(counts @ ranks) / draws
    variance = float(counts @ (ranks - mean) ** 2) / (draws - 1)
    return Simulation(draws, mean, math.sqrt(variance / draws))


def first_ranks(pairs: int, positives: int, draws: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """How many of the experiments of `simulate` ended at rank 1, 2, ..., `TRUNCATED_DRAWS`: int64."""
    counts = np.zeros(TRUNCATED_DRAWS, dtype=np.int64)
    left = draws
    for drawn in range(min(TRUNCATED_DRAWS, pairs)):
        counts[drawn] = generator.binomial(left, min(1.0, positives / (pairs - drawn)))
        left -= int(counts[drawn])
    counts[-1] += left
    return counts


def standard_deviation(pairs: int, positives: int) -> float:
    """Standard deviation of the truncated rank in one random order with a positive, exactly."""
    drawn = np.arange(1, TRUNCATED_DRAWS)
    # Chance that the first 1, 2, ... draws are all negative: E[R] = 1 + sum, E[R^2] = 1 + sum (2 k + 1).
    longer = survival(pairs, positives)[1:TRUNCATED_DRAWS]
    mean, square = 1.0 + longer.sum(), 1.0 + float(longer @ (2.0 * drawn[: len(longer)] + 1.0))
    return math.sqrt(max(0.0, square - mean**2))
