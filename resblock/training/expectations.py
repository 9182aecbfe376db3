"""What to expect of lists of residues and pairs, from log-odds that are out-of-fold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from resblock.evaluation.ranking import auroc
from resblock.models import interface_log_odds, probability
from resblock.pairs.expectations import Cutoff, Expectations
from resblock.training.calibration import fit_calibration

#: Numbers of first pairs that are looked at.
COUNTS: Final = (1, 5, 10, 20, 50, 100)
#: Precisions between which cutoffs stand, and what a cutoff has to mark: fewer tell nothing of a precision.
PRECISIONS: Final = tuple(np.round(np.arange(0.02, 1.0, 0.02), 2).tolist())
FEWEST: Final = 50
#: Draws of dimers for an interval.
DRAWS: Final = 2000


def fit_expectations(
    log_odds: Sequence[NDArray[np.float32]], labels: Sequence[NDArray[np.bool_]], alone: Sequence[bool]
) -> Expectations | None:
    """Find what residues and pairs are worth, for proteins without a relative in training.

    Residues are calibrated, and cutoffs looked at, on the dimers without a homologue alone.

    Parameters
    ----------
    log_odds : sequence of arrays, shape (n, m)
        Of each dimer, out-of-fold and calibrated.
    labels : sequence of bool arrays, shape (n, m)
        Whether each pair touches.
    alone : sequence of bool
        Whether a dimer has no homologue among the complexes that its models were trained on.

    Returns
    -------
    Expectations or None
        None where no dimer is alone and has positives and negatives.
    """
    residues = [np.concatenate(interface_log_odds(table)).astype(np.float32) for table in log_odds]
    inside = [np.concatenate([table.any(axis=1), table.any(axis=0)]) for table in labels]
    chosen = [k for k, one in enumerate(alone) if one and 0 < labels[k].sum() < labels[k].size]
    if not chosen:
        return None
    of_chosen, in_interface = (np.concatenate([of[k] for k in chosen]) for of in (residues, inside))
    calibration = fit_calibration(of_chosen, in_interface)
    heights = np.array([log_odds[k].max() for k in chosen], dtype=np.float64)
    areas = np.array([auroc(log_odds[k].reshape(-1), labels[k].reshape(-1)) for k in chosen])
    of_residues = probability(calibration(of_chosen))
    of_pairs = probability(np.concatenate([log_odds[k].reshape(-1) for k in chosen]))
    return Expectations(
        dimers=len(chosen),
        residue_scale=calibration.scale,
        residue_shift=calibration.shift,
        residues=cutoffs(of_residues, in_interface),
        pairs=cutoffs(of_pairs, np.concatenate([labels[k].reshape(-1) for k in chosen])),
        first_pairs={count: _found(log_odds, labels, chosen, count) for count in COUNTS},
        height_auroc=_rank_correlation(heights, areas),
        height_interval=_interval(heights, areas),
        heights=tuple(probability(np.percentile(heights, np.arange(0, 101, 10)).astype(np.float32)).tolist()),
    )


def cutoffs(probabilities: NDArray[np.float32], labels: NDArray[np.bool_]) -> tuple[Cutoff, ...]:
    """For each of `PRECISIONS` that is reached, the smallest probability from which on it is; the most precise first.

    Parameters
    ----------
    probabilities, labels : (P,) arrays
        Of residues or pairs of all dimers together.
    """
    order = np.argsort(-probabilities, kind="stable")
    sorted_probabilities, found = probabilities[order], np.cumsum(labels[order])
    precision = found / np.arange(1, len(order) + 1)
    # Equal ones are marked together, so that only the last of them can end what is marked.
    ends = np.append(sorted_probabilities[1:] < sorted_probabilities[:-1], True)
    ends[: min(FEWEST, len(ends)) - 1] = False
    rows: dict[int, Cutoff] = {}
    for wanted in reversed(PRECISIONS):
        reached = np.flatnonzero(ends & (precision >= wanted))
        if len(reached):
            last = int(reached[-1])
            cutoff = float(sorted_probabilities[last]), float(precision[last]), float(found[last] / max(found[-1], 1))
            rows.setdefault(last, Cutoff(*cutoff))
    return tuple(rows.values())


def _found(
    log_odds: Sequence[NDArray[np.float32]], labels: Sequence[NDArray[np.bool_]], chosen: Sequence[int], count: int
) -> float:
    """Share of dimers that have a positive among the first pairs."""
    hits = [labels[k].reshape(-1)[np.argsort(-log_odds[k].reshape(-1), kind="stable")[:count]].any() for k in chosen]
    return float(np.mean(hits))


def _rank_correlation(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Spearman's; 0 where one does not vary. Ties, which bootstrap draws have, get their mean rank."""
    one, other = _ranks(first), _ranks(second)
    if len(first) < 2 or not (np.ptp(one) > 0 and np.ptp(other) > 0):
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[place])


def _interval(first: NDArray[np.float64], second: NDArray[np.float64]) -> tuple[float, float]:
    """The 95 % interval of their rank correlation, over dimers drawn with replacement."""
    generator = np.random.default_rng(0)
    draws = generator.integers(len(first), size=(DRAWS, len(first)))
    low, high = np.percentile([_rank_correlation(first[k], second[k]) for k in draws], [2.5, 97.5])
    return float(low), float(high)
