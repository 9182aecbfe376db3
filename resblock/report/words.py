"""What a prediction says, in sentences: the same in the terminal, the report and notebooks."""

from __future__ import annotations

from typing import Final

from resblock.pairs.tables import Results, Side

#: First pairs that the answer speaks of, and that a reader should look at.
FIRST: Final = 10


def answer(results: Results) -> list[str]:
    """What the lists are worth, a sentence each; nothing is claimed that the weights do not hold."""
    told = results.expectations
    lines = [_marked(results)]
    if told is None:
        return lines
    if FIRST in told.first_pairs:
        lines.insert(
            0,
            f"Of lists like this one, the first {FIRST} pairs hold a touching pair in "
            f"{told.first_pairs[FIRST] * told.dimers:.0f} of {told.dimers} dimers without a relative in training.",
        )
    if told.height_interval[0] > 0:
        lines.append(_height(results))
    return lines


def _marked(results: Results) -> str:
    if results.expectations is None:
        counts = " and ".join(f"{len(side.marked)} of the {side.role}" for side in results.sides)
        return f"Residues marked ({results.marking}): {counts}."
    counts = "; ".join(_expected(side) for side in results.sides)
    return f"Residues marked ({results.marking}): {counts}."


def _expected(side: Side) -> str:
    return (
        f"{len(side.marked)} of the {side.role}, about {sum(one.probability for one in side.marked):.0f} of them in "
        "the interface"
    )


def _height(results: Results) -> str:
    """How high the best score stands among those of other dimers, where that tells something."""
    told = results.expectations
    assert told is not None
    best = results.pairs[0].score
    below = sum(best > score for score in told.heights) / len(told.heights)
    low, high = told.height_interval
    return (
        f"The best score is higher than that of {100 * below:.0f} % of those dimers; higher ones come with better "
        f"lists (rank correlation with the AUROC {told.height_auroc:.2f}, 95 % interval {low:.2f} to {high:.2f})."
    )


def truth(results: Results) -> list[str]:
    """What of the lists is true, where the complex is known."""
    if results.truth is None:
        return []
    first = results.pairs[: min(FIRST, len(results.pairs))]
    marked = ", ".join(
        f"{sum(bool(one.in_interface) for one in side.marked)} of {len(side.marked)} marked residues of the {side.role}"
        for side in results.sides
    )
    rank = next((pair.rank for pair in results.pairs if pair.touches), None)
    found = "no pair of candidates touches" if rank is None else f"the first pair that touches has rank {rank}"
    return [
        f"In the known complex {int(results.truth.sum())} of {len(results.pairs)} pairs touch; {found}, and "
        f"{sum(bool(pair.touches) for pair in first)} of the first {len(first)} do; {marked} are in the interface."
    ]
