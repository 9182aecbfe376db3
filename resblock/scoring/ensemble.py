"""Several scorers as one: the mean of their log-odds."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from resblock.errors import InputError
from resblock.pairs import Dimer
from resblock.scoring.base import NetworkScorer, Progress
from resblock.scoring.calibration import Calibration, log_odds
from resblock.scoring.files import Stored, write_weights

FORMAT: Final = "resblock.EnsembleScorer"
FORMAT_VERSION: Final = 1


class EnsembleScorer:
    """The mean of the members' log-odds, as a probability.

    Parameters
    ----------
    members : sequence of NetworkScorer
        One or more that need the same features; they may be of different kinds.
    card : mapping
        Where the weights come from; plain values.

    Raises
    ------
    InputError
        If there is none, or they need different features.
    """

    def __init__(self, members: Sequence[NetworkScorer], card: Mapping[str, Any] | None = None) -> None:
        if not members:
            raise InputError("an average needs at least one scorer; name the weights")
        for member in members:
            if member.feature_names != members[0].feature_names:
                raise InputError("scorers that need different features cannot be averaged; train them on the same data")
        self.members = tuple(members)
        self.card = dict(card or {})

    @classmethod
    def of(cls, scorers: Sequence[NetworkScorer | EnsembleScorer]) -> EnsembleScorer:
        """Average scorers, where an average counts as its members."""
        members: list[NetworkScorer] = []
        for scorer in scorers:
            members += [scorer] if isinstance(scorer, NetworkScorer) else scorer.members
        return cls(members)

    @property
    def feature_set(self) -> str:
        """Name of the feature set of all members."""
        return self.members[0].feature_set

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the features that a dimer needs."""
        return self.members[0].feature_names

    def score(self, dimer: Dimer, progress: Progress | None = None) -> NDArray[np.float32]:
        """Score all pairs of surface residues, (n_surface_receptor, n_surface_ligand) float32, 0 to 1."""
        total = np.zeros([int(partner.surface.sum()) for partner in (dimer.receptor, dimer.ligand)])
        for number, member in enumerate(self.members):

            def show(done: int, pairs: int, before: int = number) -> None:
                if progress is not None:
                    progress(before * pairs + done, len(self.members) * pairs)

            total = total + log_odds(member.score(dimer, show))
        mean = total / len(self.members)
        return np.asarray(1.0 / (1.0 + np.exp(-mean)), dtype=np.float32)

    def calibrate(self, calibration: Calibration) -> None:
        """Correct the log-odds of all scores from now on: that of the mean is the mean of the members'."""
        for member in self.members:
            member.calibrate(calibration)

    def stored(self) -> Stored:
        """What a file holds: the members' descriptions, and their tensors under their numbers."""
        parts = [member.stored() for member in self.members]
        description = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "members": [part.description for part in parts],
            "card": self.card,
        }
        tensors = {f"{k}.{name}": tensor for k, part in enumerate(parts) for name, tensor in part.tensors.items()}
        return Stored(description, tensors)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write one safetensors file, all or nothing."""
        write_weights(path, self.stored())


def member_parts(stored: Stored) -> list[Stored]:
    """Take what `EnsembleScorer.stored` gave apart into that of its members."""
    return [
        Stored(
            description,
            {name.partition(".")[2]: t for name, t in stored.tensors.items() if name.startswith(f"{k}.")},
        )
        for k, description in enumerate(stored.description["members"])
    ]
