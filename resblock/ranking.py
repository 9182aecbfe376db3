"""How well a ranking of residue pairs finds the interface: the paper's measures and its baselines.

Ties are broken pessimistically throughout: among pairs with equal scores, true pairs come last. A
scorer that gives every pair the same score therefore earns the worst rank, never luck.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

#: NCPD counts dimers with a true pair among this part of their pairs, per mille.
NCPD_PER_MILLE: Final = 1.0
PERCENTILES: Final = (10, 20, 30, 40, 50, 60, 70, 80, 90)
#: Random draws after which the paper gives up.
TRUNCATED_DRAWS: Final = 1000


@dataclass(frozen=True)
class DimerResult:
    """One row of an evaluation. Without a true pair everything behind `true_pairs` is None.

    Attributes
    ----------
    code
        Name of the complex.
    pairs, true_pairs
        Numbers of ranked pairs and of true ones among them.
    rfpp
        Rank of the first positive prediction, 1 the best.
    accuracy_order
        RFPP over the number of pairs, per mille.
    expected_random_rfpp
        Mean RFPP of a random order.
    auroc
        Area under the ROC curve; None also if every pair is true.
    precision_top_l5
        True part of the first L/5 pairs; L: surface residues of the smaller partner.
    """

    code: str
    pairs: int
    true_pairs: int
    rfpp: int | None
    accuracy_order: float | None
    expected_random_rfpp: float | None
    auroc: float | None
    precision_top_l5: float | None


@dataclass(frozen=True)
class RankingSummary:
    """An evaluation in one line. Without a ranked dimer everything but the counts is None.

    Attributes
    ----------
    dimers, ranked
        Numbers of dimers, and of those with a true pair; the rest is about the latter.
    ncpd
        Number of dimers with a true pair in the first per mille of their pairs.
    rfpp_percentiles
        RFPP at the percentiles `PERCENTILES` of the dimers, by their number as a string.
    median_rfpp, median_accuracy_order, median_expected_random_rfpp
        Medians over dimers.
    geometric_mean_accuracy_order
        The accuracy order's geometric mean over dimers, less noisy than `ncpd`.
    median_auroc, mean_auroc, mean_precision_top_l5
        Medians and means over dimers.
    """

    dimers: int
    ranked: int
    ncpd: int
    rfpp_percentiles: dict[str, float] | None
    median_rfpp: float | None
    median_accuracy_order: float | None
    median_expected_random_rfpp: float | None
    geometric_mean_accuracy_order: float | None
    median_auroc: float | None
    mean_auroc: float | None
    mean_precision_top_l5: float | None


def pessimistic_order(scores: ArrayLike, labels: ArrayLike) -> NDArray[np.int64]:
    """(P,) indices from the highest score to the lowest; of equal scores, true pairs last.

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
    values, true = _checked(scores, labels)
    return np.lexsort((true, -values))


def rfpp(scores: ArrayLike, labels: ArrayLike) -> int | None:
    """Rank of the first positive prediction, 1 the best; None if no pair is true."""
    values, true = _checked(scores, labels)
    if not true.any():
        return None
    best = values[true].max()
    return int((values > best).sum() + ((values == best) & ~true).sum()) + 1


def accuracy_order(rank: int, pairs: int) -> float:
    """Rank over the number of pairs, per mille."""
    return 1000.0 * rank / pairs


def ncpd(accuracy_orders: ArrayLike, per_mille: float = NCPD_PER_MILLE) -> int:
    """Number of dimers whose first true pair is within the first `per_mille` of their pairs."""
    return int((np.asarray(accuracy_orders, dtype=np.float64) <= per_mille).sum())


def percentiles(values: ArrayLike) -> dict[str, float]:
    """Values at `PERCENTILES`, linear between dimers."""
    found = np.percentile(np.asarray(values, dtype=np.float64), PERCENTILES)
    return {str(p): float(v) for p, v in zip(PERCENTILES, found, strict=True)}


def expected_random_rfpp(pairs: int, true_pairs: int) -> float | None:
    """Mean RFPP over all orders of N pairs with M true ones, (N + 1) / (M + 1); None if M is 0."""
    return (pairs + 1) / (true_pairs + 1) if true_pairs else None


def truncated_random_rfpp(pairs: int, true_pairs: int, draws: int = TRUNCATED_DRAWS) -> float:
    """Mean RFPP of the paper's baseline: draws without replacement, `draws` if none was true.

    The chance that the first k draws are all false is hypergeometric; the mean is its sum over
    k = 0 .. draws - 1.
    """
    drawn = np.arange(min(draws, pairs) - 1, dtype=np.float64)
    survival = np.cumprod(np.maximum(pairs - true_pairs - drawn, 0.0) / (pairs - drawn))
    # Beyond the last pair there is nothing to draw: without a true pair the rank is `draws`.
    missing = float(draws - min(draws, pairs)) if true_pairs == 0 else 0.0
    return 1.0 + float(survival.sum()) + missing


def auroc(scores: ArrayLike, labels: ArrayLike) -> float | None:
    """Chance that a true pair scores higher than a false one, ties counting half.

    None if no pair or every pair is true.
    """
    values, true = _checked(scores, labels)
    positives = int(true.sum())
    negatives = len(true) - positives
    if not positives or not negatives:
        return None
    _, group, count = np.unique(values, return_inverse=True, return_counts=True)
    mean_rank = np.cumsum(count) - (count - 1) / 2.0
    rank_sum = float(mean_rank[group[true]].sum())
    return (rank_sum - positives * (positives + 1) / 2.0) / (positives * negatives)


def precision_top_l5(scores: ArrayLike, labels: ArrayLike, smaller_surface: int) -> float | None:
    """True part of the first L/5 pairs, rounded down but at least one; None if no pair is true.

    Parameters
    ----------
    scores, labels
        (P,).
    smaller_surface
        L: number of surface residues of the smaller partner.
    """
    values, true = _checked(scores, labels)
    if not true.any():
        return None
    top = pessimistic_order(values, true)[: max(1, smaller_surface // 5)]
    return float(true[top].mean())


def dimer_result(code: str, scores: ArrayLike, labels: ArrayLike, smaller_surface: int) -> DimerResult:
    """All measures of one dimer from the scores and labels of its P surface pairs."""
    values, true = _checked(scores, labels)
    pairs, true_pairs = len(true), int(true.sum())
    rank = rfpp(values, true)
    return DimerResult(
        code=code,
        pairs=pairs,
        true_pairs=true_pairs,
        rfpp=rank,
        accuracy_order=None if rank is None else accuracy_order(rank, pairs),
        expected_random_rfpp=expected_random_rfpp(pairs, true_pairs),
        auroc=auroc(values, true),
        precision_top_l5=precision_top_l5(values, true, smaller_surface),
    )


def summary(results: Sequence[DimerResult]) -> RankingSummary:
    """Summary over dimers; those without a true pair are counted and otherwise left out."""

    def known(name: str) -> list[float]:
        return [v for r in results if (v := getattr(r, name)) is not None]

    def median(name: str) -> float | None:
        return float(np.median(values)) if (values := known(name)) else None

    def mean(name: str) -> float | None:
        return float(np.mean(values)) if (values := known(name)) else None

    ranks, orders = known("rfpp"), known("accuracy_order")
    return RankingSummary(
        dimers=len(results),
        ranked=len(ranks),
        ncpd=ncpd(orders),
        rfpp_percentiles=percentiles(ranks) if ranks else None,
        median_rfpp=median("rfpp"),
        median_accuracy_order=median("accuracy_order"),
        median_expected_random_rfpp=median("expected_random_rfpp"),
        geometric_mean_accuracy_order=float(np.exp(np.log(orders).mean())) if orders else None,
        median_auroc=median("auroc"),
        mean_auroc=mean("auroc"),
        mean_precision_top_l5=mean("precision_top_l5"),
    )


def _checked(scores: ArrayLike, labels: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    values = np.asarray(scores, dtype=np.float64)
    true = np.asarray(labels, dtype=np.bool_)
    if values.ndim != 1 or values.shape != true.shape:
        raise ValueError(f"scores {values.shape} and labels {true.shape}: equal lengths are needed")
    if np.isnan(values).any():
        raise ValueError("scores: some are not numbers; a ranking needs all of them")
    return values, true
