"""Which residues a reader should look at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from resblock.errors import InputError
from resblock.pairs.expectations import Expectations

#: Residues of a partner that are marked unless a cutoff says otherwise, and the largest share of its surface.
MARKED: Final = 20
SHARE: Final = 0.25
MEASURES: Final = ("precision", "recall", "probability", "residues")


@dataclass(frozen=True)
class Marking:
    """A rule that marks residues of either partner.

    Attributes
    ----------
    count : int or None
        So many of the likeliest of each partner.
    probability : float or None
        Those from this probability on.
    words : str
        The rule, for a reader.
    """

    count: int | None
    probability: float | None
    words: str

    def __call__(self, probabilities: NDArray[np.floating]) -> NDArray[np.bool_]:
        """(n,) which of a partner's candidates are marked, by their (n,) probabilities."""
        if self.probability is not None:
            return np.asarray(probabilities >= self.probability)
        count = self.count if self.count is not None else min(MARKED, max(1, int(SHARE * len(probabilities))))
        marked = np.zeros(len(probabilities), dtype=np.bool_)
        marked[np.argsort(-probabilities, kind="stable")[:count]] = True
        return marked


def marking(cutoff: str | None, expectations: Expectations | None) -> Marking:
    """The rule of a cutoff such as ``precision=0.5``; without one, `MARKED` residues of each partner.

    Parameters
    ----------
    cutoff : str, optional
        ``precision=X`` or ``recall=X``: by what out-of-fold dimers told; ``probability=X``; ``residues=N`` of each
        partner.
    expectations : Expectations, optional
        Of the weights.

    Raises
    ------
    InputError
        If it is none of these, no cutoff reaches it, or the weights tell nothing of precision and recall.
    """
    if cutoff is None:
        return Marking(None, None, f"the likeliest {MARKED} of each partner, at most a quarter of its surface")
    measure, _, text = cutoff.partition("=")
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if measure not in MEASURES or not (value >= 1 if measure == "residues" else 0 < value <= 1):
        raise InputError(
            f"cutoff {cutoff!r}: give precision=X, recall=X or probability=X, X above 0 and at most 1, or residues=N"
        )
    if measure == "residues":
        if value != int(value):
            raise InputError(f"cutoff {cutoff!r}: the number of residues must be whole")
        return Marking(int(value), None, f"the likeliest {int(value)} of each partner")
    if measure == "probability":
        return Marking(None, value, f"probability from {value:g} on")
    if expectations is None:
        raise InputError(
            f"cutoff {cutoff!r}: these weights do not say what precision and recall to expect (resblock calibrate); "
            "give probability=X or residues=N"
        )
    found = expectations.threshold(measure, value)
    words = f"probability from {found.probability:.2f} on: precision {found.precision:.2f}, recall {found.recall:.2f}"
    return Marking(None, found.probability, f"{words}, out-of-fold")
