"""Ranking all surface pairs of prepared dimers, and how good it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from resblock.pairs import Dimer
from resblock.ranking import DimerResult, dimer_result
from resblock.scoring import Scorer, diverse_order


def rank(dimer: Dimer, scores: NDArray[np.float32], diverse: bool = False) -> DimerResult:
    """Rank a dimer's surface pairs by scores (n_surface_receptor, n_surface_ligand), or by `diverse_order` of them."""
    values: ArrayLike = scores.reshape(-1)
    if diverse:
        places = np.empty(scores.size)
        places[diverse_order(dimer, scores)] = np.arange(scores.size)
        values = -places
    smaller = min(int(partner.surface.sum()) for partner in (dimer.receptor, dimer.ligand))
    return dimer_result(dimer.code, values, dimer.labels(), smaller)


def evaluate(
    scorer: Scorer,
    dimers: Sequence[Dimer],
    progress: Callable[[DimerResult], object] | None = None,
    diverse: bool = False,
) -> list[DimerResult]:
    """Rank every dimer's surface pairs.

    Parameters
    ----------
    scorer : Scorer
    dimers : sequence of Dimer
        With known contacts.
    progress : callable, optional
        Called with each result.
    diverse : bool
        In the order of `resblock.scoring.diverse_order` instead of that of the scores.

    Raises
    ------
    InputError
        If a dimer has other features than the scorer needs, or no known contacts.
    """
    results = []
    for dimer in dimers:
        results.append(rank(dimer, scorer.score(dimer), diverse))
        if progress is not None:
            progress(results[-1])
    return results
