"""What a model finds in each test dimer, and what can be said of several models over dimers and seeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from resblock.evaluation import rank
from resblock.evaluation.ranking import NCPD_PER_MILLE, PERCENTILES, pessimistic_order
from resblock.pairs import Complex
from resblock.study import random_order

#: Raise it whenever a field of `Found` changes or means something else.
VERSION: Final = 1

#: Scores (n_surface_receptor, n_surface_ligand) of a complex's surface pairs, higher for more likely.
PairScores = Callable[[Complex], NDArray[np.floating[Any]]]

RESAMPLES: Final = 2000
#: Lower and upper end of an interval, per cent of the resamples.
ENDS: Final = (2.5, 97.5)


@dataclass(frozen=True, kw_only=True)
class Found:
    """What one model, trained with one seed, finds in one dimer.

    Attributes
    ----------
    model, seed, code
    pairs, positives
        Numbers of surface pairs and of positives.
    rfpp
        Rank of the first positive.
    hits
        Positives in the first per mille of the pairs.
    auroc
    """

    model: str
    seed: int
    code: str
    pairs: int
    positives: int
    rfpp: int
    hits: int
    auroc: float

    @classmethod
    def of(cls, model: str, seed: int, dimer: Complex, scores: NDArray[np.floating[Any]]) -> Found:
        """Rank the pairs of a dimer that has positives and negatives."""
        result = rank(dimer, scores)
        assert result.rfpp is not None
        assert result.auroc is not None
        labels = dimer.labels()
        first = pessimistic_order(scores.reshape(-1), labels)[: random_order.top(len(labels))]
        return cls(
            model=model,
            seed=seed,
            code=dimer.code,
            pairs=result.pairs,
            positives=result.positives,
            rfpp=result.rfpp,
            hits=int(labels[first].sum()),
            auroc=result.auroc,
        )


def rankable(complexes: Sequence[Complex]) -> list[Complex]:
    """Those of two single chains that have positives and negatives."""
    return [dimer for dimer in complexes if dimer.is_dimer and dimer.labels().any() and not dimer.labels().all()]


@dataclass(frozen=True)
class Interval:
    """A metric with the 2.5th and 97.5th percentile of its bootstrap over dimers."""

    value: float
    low: float
    high: float


#: From the (..., S, D) tables of `Found` to (...,) or (..., 9) numbers: a mean over seeds of what is over dimers.
Metric = Callable[[Mapping[str, NDArray[np.float64]]], NDArray[np.float64]]


def rfpp_percentiles(of: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    """RFPP at `PERCENTILES` of the dimers."""
    return np.asarray(np.moveaxis(np.percentile(of["rfpp"], PERCENTILES, axis=-1), 0, -1).mean(axis=-2))


def ncpd(of: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    """Dimers with a positive in the first per mille."""
    return np.asarray((1000.0 * of["rfpp"] / of["pairs"] <= NCPD_PER_MILLE).sum(axis=-1).mean(axis=-1))


def hits(of: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    """Positives in the first per mille, of all dimers."""
    return np.asarray(of["hits"].sum(axis=-1).mean(axis=-1))


def geometric_mean_rank(of: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    """Geometric mean of RFPP over pairs, per mille, over dimers and seeds."""
    return np.asarray(np.exp(np.log(1000.0 * of["rfpp"] / of["pairs"]).mean(axis=(-2, -1))))


def mean_auroc(of: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    """Mean AUROC over dimers and seeds."""
    return np.asarray(of["auroc"].mean(axis=(-2, -1)))


class Comparison:
    """Metrics of models, all on the same dimers, with intervals from the same resamples of these dimers.

    Parameters
    ----------
    found : sequence of Found
        Every model has every dimer with every one of its seeds.
    """

    def __init__(self, found: Sequence[Found]) -> None:
        self.models = list(dict.fromkeys(row.model for row in found))
        self.codes = sorted({row.code for row in found})
        self._tables = {model: self._table([row for row in found if row.model == model]) for model in self.models}
        generator = np.random.default_rng(0)
        self._drawn = generator.integers(len(self.codes), size=(RESAMPLES, len(self.codes)))

    def _table(self, found: Sequence[Found]) -> dict[str, NDArray[np.float64]]:
        """(S, D) values by name."""
        rows = sorted(found, key=lambda row: (row.seed, row.code))
        shape = (-1, len(self.codes))
        names = ("pairs", "positives", "rfpp", "hits", "auroc")
        return {name: np.array([getattr(row, name) for row in rows], dtype=np.float64).reshape(shape) for name in names}

    def seeds(self, model: str) -> int:
        """Number of seeds of a model."""
        return len(self._tables[model]["rfpp"])

    def value(self, model: str, metric: Metric) -> NDArray[np.float64]:
        """Compute a metric on all dimers."""
        return metric(self._tables[model])

    def resampled(self, model: str, metric: Metric) -> NDArray[np.float64]:
        """(RESAMPLES, ...) the metric on dimers drawn with replacement."""
        return metric({name: table[:, self._drawn].swapaxes(0, 1) for name, table in self._tables[model].items()})

    def intervals(self, model: str, metric: Metric) -> list[Interval]:
        """Each number of a metric with its interval."""
        low, high = np.percentile(self.resampled(model, metric), ENDS, axis=0)
        ends = zip(*(np.atleast_1d(x) for x in (self.value(model, metric), low, high)), strict=True)
        return [Interval(*map(float, numbers)) for numbers in ends]

    def ratio(self, model: str, other: str, metric: Metric) -> Interval:
        """A model's metric over another's, on the same dimers."""
        drawn = self.resampled(model, metric) / self.resampled(other, metric)
        value = self.value(model, metric) / self.value(other, metric)
        return Interval(float(value), *map(float, np.percentile(drawn, ENDS)))
