"""Ranking all surface pairs of prepared complexes, and how good it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from resblock.evaluation.metrics import Metrics, metrics_of
from resblock.models import PairScorer
from resblock.pairs import Complex
from resblock.pairs.diverse import diverse_order


def rank(complex: Complex, scores: NDArray[np.floating[Any]], diverse: bool = False) -> Metrics:
    """Rank a complex's surface pairs by scores (n_surface_receptor, n_surface_ligand), or by their `diverse_order`."""
    values: ArrayLike = scores.reshape(-1)
    if diverse:
        places = np.empty(scores.size)
        places[diverse_order(*complex.surface_centres, scores)] = np.arange(scores.size)
        values = -places
    return metrics_of(complex.code, values, complex.labels(), min(complex.surface_shape))


def evaluate(
    model: PairScorer[Any],
    complexes: Sequence[Complex],
    progress: Callable[[Metrics], object] | None = None,
    diverse: bool = False,
) -> list[Metrics]:
    """Rank every complex's surface pairs.

    Parameters
    ----------
    model : Ensemble or Model
    complexes : sequence of Complex
        With known contacts.
    progress : callable, optional
        Called with each result.
    diverse : bool
        In the order of `resblock.pairs.diverse.diverse_order` instead of that of the log-odds.

    Raises
    ------
    InputError
        If a complex lacks a feature that the model needs, or has no known contacts.
    """
    results = []
    for complex in complexes:
        results.append(rank(complex, model.complex_log_odds(complex), diverse))
        if progress is not None:
            progress(results[-1])
    return results
