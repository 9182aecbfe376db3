"""Ranking all surface pairs of prepared dimers, and how good it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from resblock.pairs import Dimer
from resblock.ranking import DimerResult, dimer_result
from resblock.scoring import Scorer


def rank(dimer: Dimer, scores: NDArray[np.float32]) -> DimerResult:
    """Rank a dimer's surface pairs by scores (n_surface_receptor, n_surface_ligand)."""
    smaller = min(int(partner.surface.sum()) for partner in (dimer.receptor, dimer.ligand))
    return dimer_result(dimer.code, scores.reshape(-1), dimer.labels(), smaller)


def evaluate(
    scorer: Scorer, dimers: Sequence[Dimer], progress: Callable[[DimerResult], object] | None = None
) -> list[DimerResult]:
    """Rank every dimer's surface pairs.

    Parameters
    ----------
    scorer : Scorer
    dimers : sequence of Dimer
        With known contacts.
    progress : callable, optional
        Called with each result.

    Raises
    ------
    InputError
        If a dimer has other features than the scorer needs, or no known contacts.
    """
    results = []
    for dimer in dimers:
        results.append(rank(dimer, scorer.score(dimer)))
        if progress is not None:
            progress(results[-1])
    return results
