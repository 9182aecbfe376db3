"""Metrics of complexes whose surface pairs were ranked, and their summary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from resblock.evaluation.ranking import (
    accuracy_order,
    auroc,
    checked,
    expected_random_rfpp,
    ncpd,
    percentiles,
    precision_top_l5,
    rfpp,
)


@dataclass(frozen=True)
class Metrics:
    """One row of an evaluation. Without a positive everything behind `positives` is None.

    Attributes
    ----------
    code
        Name of the complex.
    pairs, positives
        Numbers of ranked pairs and of positives among them.
    rfpp
        Rank of the first positive prediction, 1 the best.
    accuracy_order
        RFPP over the number of pairs, per mille.
    expected_random_rfpp
        Mean RFPP of a random order.
    auroc
        Area under the ROC curve; None also if every pair is positive.
    precision_top_l5
        Share of positives in the first L/5 pairs; L: surface residues of the smaller partner.
    """

    code: str
    pairs: int
    positives: int
    rfpp: int | None
    accuracy_order: float | None
    expected_random_rfpp: float | None
    auroc: float | None
    precision_top_l5: float | None


@dataclass(frozen=True)
class MetricsSummary:
    """An evaluation in one line. Without a ranked complex everything but the counts is None.

    Attributes
    ----------
    complexes, ranked
        Numbers of complexes, and of those with a positive; the rest is about the latter.
    ncpd
        Number of complexes with a positive in the first per mille of their pairs.
    rfpp_percentiles
        RFPP at the percentiles `PERCENTILES` of the complexes, by their number as a string.
    median_rfpp, median_accuracy_order, median_expected_random_rfpp
        Medians over complexes.
    geometric_mean_rank
        The accuracy order's geometric mean over complexes, less noisy than `ncpd`.
    median_auroc, mean_auroc, mean_precision_top_l5
        Medians and means over complexes.
    """

    complexes: int
    ranked: int
    ncpd: int
    rfpp_percentiles: dict[str, float] | None
    median_rfpp: float | None
    median_accuracy_order: float | None
    median_expected_random_rfpp: float | None
    geometric_mean_rank: float | None
    median_auroc: float | None
    mean_auroc: float | None
    mean_precision_top_l5: float | None


def metrics_of(code: str, scores: ArrayLike, labels: ArrayLike, smaller_surface: int) -> Metrics:
    """All metrics of one complex from the scores and labels of its P surface pairs."""
    values, positive = checked(scores, labels)
    pairs, positives = len(positive), int(positive.sum())
    rank = rfpp(values, positive)
    return Metrics(
        code=code,
        pairs=pairs,
        positives=positives,
        rfpp=rank,
        accuracy_order=None if rank is None else accuracy_order(rank, pairs),
        expected_random_rfpp=expected_random_rfpp(pairs, positives),
        auroc=auroc(values, positive),
        precision_top_l5=precision_top_l5(values, positive, smaller_surface),
    )


def summarise(results: Sequence[Metrics]) -> MetricsSummary:
    """Summary over complexes; those without a positive are counted and otherwise left out."""

    def known(name: str) -> list[float]:
        return [v for r in results if (v := getattr(r, name)) is not None]

    def median(name: str) -> float | None:
        return float(np.median(values)) if (values := known(name)) else None

    def mean(name: str) -> float | None:
        return float(np.mean(values)) if (values := known(name)) else None

    ranks, orders = known("rfpp"), known("accuracy_order")
    return MetricsSummary(
        complexes=len(results),
        ranked=len(ranks),
        ncpd=ncpd(orders),
        rfpp_percentiles=percentiles(ranks) if ranks else None,
        median_rfpp=median("rfpp"),
        median_accuracy_order=median("accuracy_order"),
        median_expected_random_rfpp=median("expected_random_rfpp"),
        geometric_mean_rank=float(np.exp(np.log(orders).mean())) if orders else None,
        median_auroc=median("auroc"),
        mean_auroc=mean("auroc"),
        mean_precision_top_l5=mean("precision_top_l5"),
    )
