"""What a model finds in each test dimer, and what can be said of several models over dimers and seeds."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from resblock.evaluation import rank
from resblock.pairs import Dimer
from resblock.ranking import NCPD_PER_MILLE, PERCENTILES, pessimistic_order
from resblock.study import random_order

#: Scores (n_surface_receptor, n_surface_ligand) of a dimer's surface pairs, higher for more likely.
PairScores = Callable[[Dimer], NDArray[np.floating[Any]]]

RESAMPLES: Final = 2000
#: Lower and upper end of an interval, per cent of the resamples.
ENDS: Final = (2.5, 97.5)


@dataclass(frozen=True)
class Found:
    """What one model, trained with one seed, finds in one dimer.

    Attributes
    ----------
    model, seed, code
    pairs, true_pairs
        Numbers of surface pairs and of true ones.
    rfpp
        Rank of the first true pair.
    hits
        True pairs in the first per mille of the pairs.
    auroc
    """

    model: str
    seed: int
    code: str
    pairs: int
    true_pairs: int
    rfpp: int
    hits: int
    auroc: float

    @classmethod
    def of(cls, model: str, seed: int, dimer: Dimer, scores: NDArray[np.floating[Any]]) -> Found:
        """Rank the pairs of a dimer that has true and other ones."""
        result = rank(dimer, scores)
        assert result.rfpp is not None
        assert result.auroc is not None
        labels = dimer.labels()
        first = pessimistic_order(scores.reshape(-1), labels)[: random_order.top(len(labels))]
        return cls(
            model,
            seed,
            dimer.code,
            result.pairs,
            result.true_pairs,
            result.rfpp,
            int(labels[first].sum()),
            result.auroc,
        )


def rankable(dimers: Sequence[Dimer]) -> list[Dimer]:
    """Dimers of two single chains that have true pairs and others."""
    return [dimer for dimer in dimers if dimer.is_dimer and dimer.labels().any() and not dimer.labels().all()]


@dataclass(frozen=True)
class Interval:
    """A figure with the 2.5th and 97.5th percentile of its bootstrap over dimers."""

    value: float
    low: float
    high: float


#: Of the (..., S, D) tables of `Found`, each figure (...,) or (..., 9): a mean over seeds of what is over dimers.
Figure = Callable[[Mapping[str, NDArray[np.float64]]], NDArray[np.float64]]


def rfpp_percentiles(of: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    """RFPP at `PERCENTILES` of the dimers."""
    return np.asarray(np.moveaxis(np.percentile(of["rfpp"], PERCENTILES, axis=-1), 0, -1).mean(axis=-2))


def ncpd(of: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    """Dimers with a true pair in the first per mille."""
    return np.asarray((1000.0 * of["rfpp"] / of["pairs"] <= NCPD_PER_MILLE).sum(axis=-1).mean(axis=-1))


def hits(of: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    """True pairs in the first per mille, of all dimers."""
    return np.asarray(of["hits"].sum(axis=-1).mean(axis=-1))


def geometric_mean_order(of: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    """Geometric mean of RFPP over pairs, per mille, over dimers and seeds."""
    return np.asarray(np.exp(np.log(1000.0 * of["rfpp"] / of["pairs"]).mean(axis=(-2, -1))))


def mean_auroc(of: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    """Mean AUROC over dimers and seeds."""
    return np.asarray(of["auroc"].mean(axis=(-2, -1)))


class Comparison:
    """Figures of models, all on the same dimers, with intervals from the same resamples of these dimers.

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
        names = ("pairs", "true_pairs", "rfpp", "hits", "auroc")
        return {name: np.array([getattr(row, name) for row in rows], dtype=np.float64).reshape(shape) for name in names}

    def seeds(self, model: str) -> int:
        """Number of seeds of a model."""
        return len(self._tables[model]["rfpp"])

    def value(self, model: str, figure: Figure) -> NDArray[np.float64]:
        """Compute a figure on all dimers."""
        return figure(self._tables[model])

    def resampled(self, model: str, figure: Figure) -> NDArray[np.float64]:
        """(RESAMPLES, ...) the figure on dimers drawn with replacement."""
        return figure({name: table[:, self._drawn].swapaxes(0, 1) for name, table in self._tables[model].items()})

    def intervals(self, model: str, figure: Figure) -> list[Interval]:
        """Each number of a figure with its interval."""
        low, high = np.percentile(self.resampled(model, figure), ENDS, axis=0)
        ends = zip(*(np.atleast_1d(x) for x in (self.value(model, figure), low, high)), strict=True)
        return [Interval(*map(float, numbers)) for numbers in ends]

    def ratio(self, model: str, other: str, figure: Figure) -> Interval:
        """A model's figure over another's, on the same dimers."""
        drawn = self.resampled(model, figure) / self.resampled(other, figure)
        value = self.value(model, figure) / self.value(other, figure)
        return Interval(float(value), *map(float, np.percentile(drawn, ENDS)))


def as_values(found: Sequence[Found]) -> list[dict[str, Any]]:
    """Plain values that `Found(**values)` takes."""
    return [dataclasses.asdict(row) for row in found]
