"""Ranking all surface pairs of prepared dimers, and how good it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from resblock.pairs import Dimer
from resblock.ranking import DimerResult, dimer_result
from resblock.scoring import Scorer


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
        labels = dimer.labels()
        smaller = min(int(partner.surface.sum()) for partner in (dimer.receptor, dimer.ligand))
        results.append(dimer_result(dimer.code, scorer.score(dimer).reshape(-1), labels, smaller))
        if progress is not None:
            progress(results[-1])
    return results
