"""How well a ranking of residue pairs finds the interface: the paper's metrics and its baselines.

Ties are broken pessimistically throughout: of pairs with equal scores, positives come last. A scorer
that gives every pair the same score therefore earns the worst rank, never luck.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

#: NCPD counts dimers with a positive among this part of their pairs, per mille.
NCPD_PER_MILLE: Final = 1.0
PERCENTILES: Final = (10, 20, 30, 40, 50, 60, 70, 80, 90)
#: Random draws after which the paper gives up.
TRUNCATED_DRAWS: Final = 1000


def pessimistic_order(scores: ArrayLike, labels: ArrayLike) -> NDArray[np.int64]:
    """(P,) indices from the highest score to the lowest; of equal scores, positives last.

    Parameters
    ----------
    scores
        (P,) finite, higher for more likely.
    labels
        (P,) bool.

    Raises
    ------
    ValueError
        The lengths differ, or a score is not a number.
    """
    values, positive = checked(scores, labels)
    return np.lexsort((positive, -values))


def rfpp(scores: ArrayLike, labels: ArrayLike) -> int | None:
    """Rank of the first positive prediction, 1 the best; None if no pair is positive."""
    values, positive = checked(scores, labels)
    if not positive.any():
        return None
    best = values[positive].max()
    return int((values > best).sum() + ((values == best) & ~positive).sum()) + 1


def accuracy_order(rank: int, pairs: int) -> float:
    """Rank over the number of pairs, per mille."""
    return 1000.0 * rank / pairs


def ncpd(accuracy_orders: ArrayLike, per_mille: float = NCPD_PER_MILLE) -> int:
    """Number of dimers whose first positive is within the first `per_mille` of their pairs."""
    return int((np.asarray(accuracy_orders, dtype=np.float64) <= per_mille).sum())


def percentiles(values: ArrayLike) -> dict[str, float]:
    """Values at `PERCENTILES`, linear between dimers."""
    found = np.percentile(np.asarray(values, dtype=np.float64), PERCENTILES)
    return {str(p): float(v) for p, v in zip(PERCENTILES, found, strict=True)}


def expected_random_rfpp(pairs: int, positives: int) -> float | None:
    """Mean RFPP over all orders of N pairs with M positives, (N + 1) / (M + 1); None if M is 0."""
    return (pairs + 1) / (positives + 1) if positives else None


def truncated_random_rfpp(pairs: int, positives: int, draws: int = TRUNCATED_DRAWS) -> float:
    """Mean RFPP of the paper's baseline: draws without replacement, `draws` if none was positive.

    The chance that the first k draws are all negatives is hypergeometric; the mean is its sum over
    k = 0 .. draws - 1.
    """
    drawn = np.arange(min(draws, pairs) - 1, dtype=np.float64)
    survival = np.cumprod(np.maximum(pairs - positives - drawn, 0.0) / (pairs - drawn))
    # Beyond the last pair there is nothing to draw: without a positive the rank is `draws`.
    missing = float(draws - min(draws, pairs)) if positives == 0 else 0.0
    return 1.0 + float(survival.sum()) + missing


def auroc(scores: ArrayLike, labels: ArrayLike) -> float | None:
    """Chance that a positive scores higher than a negative, ties counting half.

    None if no pair or every pair is positive.
    """
    values, positive = checked(scores, labels)
    positives = int(positive.sum())
    negatives = len(positive) - positives
    if not positives or not negatives:
        return None
    _, group, count = np.unique(values, return_inverse=True, return_counts=True)
    mean_rank = np.cumsum(count) - (count - 1) / 2.0
    rank_sum = float(mean_rank[group[positive]].sum())
    return (rank_sum - positives * (positives + 1) / 2.0) / (positives * negatives)


def precision_top_l5(scores: ArrayLike, labels: ArrayLike, smaller_surface: int) -> float | None:
    """Share of positives in the first L/5 pairs, rounded down but at least one; None if no pair is positive.

    Parameters
    ----------
    scores, labels
        (P,).
    smaller_surface
        L: number of surface residues of the smaller partner.
    """
    values, positive = checked(scores, labels)
    if not positive.any():
        return None
    top = pessimistic_order(values, positive)[: max(1, smaller_surface // 5)]
    return float(positive[top].mean())


def checked(scores: ArrayLike, labels: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Scores and labels as arrays, refused (`ValueError`) where they are no ranking."""
    values = np.asarray(scores, dtype=np.float64)
    positive = np.asarray(labels, dtype=np.bool_)
    if values.ndim != 1 or values.shape != positive.shape:
        raise ValueError(f"scores {values.shape} and labels {positive.shape}: equal lengths are needed")
    if np.isnan(values).any():
        raise ValueError("scores: some are not numbers; a ranking needs all of them")
    return values, positive
