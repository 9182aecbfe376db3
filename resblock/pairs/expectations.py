"""What to expect of a list of residues or pairs: shares that out-of-fold predictions had."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from resblock.errors import InputError


@dataclass(frozen=True)
class Cutoff:
    """What residues or pairs from a probability on were worth.

    Attributes
    ----------
    probability : float
        The smallest that is marked.
    precision : float
        Share of positives among what was marked, of all dimers together.
    recall : float
        Share of the positives that were marked.
    """

    probability: float
    precision: float
    recall: float


@dataclass(frozen=True)
class Expectations:
    """What out-of-fold dimers without a homologue in training tell of a prediction; stored with the weights.

    Attributes
    ----------
    dimers : int
        How many there were.
    residue_scale, residue_shift : float
        Calibration of a residue's log-odds to be in the interface.
    residues, pairs : tuple of Cutoff
        From the most precise on.
    first_pairs : mapping of int to float
        Share of the dimers that had a positive among so many first pairs.
    height_auroc : float
        Rank correlation, over the dimers, between the best log-odds and the AUROC.
    height_interval : (float, float)
        Its 95 % interval, by bootstrap.
    heights : tuple of float
        Best log-odds of the dimers, at the percentiles 0, 10, ..., 100.
    """

    dimers: int
    residue_scale: float
    residue_shift: float
    residues: tuple[Cutoff, ...]
    pairs: tuple[Cutoff, ...]
    first_pairs: Mapping[int, float]
    height_auroc: float
    height_interval: tuple[float, float]
    heights: tuple[float, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for weights and files."""
        return dataclasses.asdict(self)

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Expectations:
        """Read what `as_dict` gave, also after a passage through JSON.

        Raises
        ------
        KeyError, TypeError, ValueError
            If it is anything else.
        """
        cutoffs = {
            name: tuple(Cutoff(**{key: float(value) for key, value in one.items()}) for one in values[name])
            for name in ("residues", "pairs")
        }
        low, high = values["height_interval"]
        return cls(
            dimers=int(values["dimers"]),
            residue_scale=float(values["residue_scale"]),
            residue_shift=float(values["residue_shift"]),
            **cutoffs,
            first_pairs={int(count): float(share) for count, share in values["first_pairs"].items()},
            height_auroc=float(values["height_auroc"]),
            height_interval=(float(low), float(high)),
            heights=tuple(float(value) for value in values["heights"]),
        )

    def threshold(self, measure: str, wanted: float) -> Cutoff:
        """The cutoff of residues that marks most with the wanted precision, or fewest with the wanted recall.

        Raises
        ------
        InputError
            If no cutoff reaches it; the message has the highest that is reached.
        """
        reached = [one for one in self.residues if getattr(one, measure) >= wanted]
        if not reached:
            highest = max(getattr(one, measure) for one in self.residues)
            raise InputError(
                f"cutoff {measure}={wanted:g}: no cutoff reaches it; the highest {measure} is {highest:.2f}"
            )
        return max(reached, key=lambda one: one.recall if measure == "precision" else one.precision)
