"""What a random order of the pairs of several dimers is expected to find: exact, no drawing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from resblock.evaluation.ranking import NCPD_PER_MILLE, PERCENTILES


def survival(pairs: int, positives: int) -> NDArray[np.float64]:
    """(N - M + 2,) chance that RFPP is above k = 0, 1, .. N - M + 1, for N pairs with M >= 1 positives."""
    drawn = np.arange(pairs - positives, dtype=np.float64)
    return np.concatenate([[1.0], np.cumprod((pairs - positives - drawn) / (pairs - drawn)), [0.0]])


def percentiles(counts: Sequence[tuple[int, int]]) -> list[float]:
    """Expected RFPP at `PERCENTILES` of dimers with (N, M) pairs and positives.

    A percentile is linear between two order statistics, and so is its mean. An order statistic r is above k if
    fewer than r dimers have their first positive by then, which is a Poisson binomial distribution.
    """
    above = [survival(*count) for count in counts]
    length = max(map(len, above))
    # by_then[r, k]: chance that exactly r dimers have RFPP <= k.
    by_then = np.zeros((len(counts) + 1, length))
    by_then[0] = 1.0
    for chance in above:
        late = np.zeros(length)
        late[: len(chance)] = chance
        found = by_then[:-1] * (1.0 - late)
        by_then *= late
        by_then[1:] += found
    expected = np.cumsum(by_then, axis=0)[:-1].sum(axis=1)
    place = np.array(PERCENTILES) / 100 * (len(counts) - 1)
    return [float(value) for value in np.interp(place, np.arange(len(counts)), expected)]


def hit_chance(pairs: int, positives: int) -> float:
    """Chance of a positive in the first per mille of the pairs."""
    above = survival(pairs, positives)
    return 1.0 - float(above[min(top(pairs), len(above) - 1)])


def mean_log_order(pairs: int, positives: int) -> float:
    """Mean logarithm of RFPP over pairs in per mille."""
    chance = -np.diff(survival(pairs, positives))
    return float(chance @ np.log(1000.0 * np.arange(1, len(chance) + 1) / pairs))


def top(pairs: int) -> int:
    """Number of pairs in the first per mille, which may be none."""
    return int(pairs * NCPD_PER_MILLE / 1000.0)
