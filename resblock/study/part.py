"""What every part of the study gets, and what is left of it.

A part is a module with ``run(study: Study) -> Result`` and a ``VERSION``, to be raised whenever its results change:
what was computed with another version is computed anew, and nothing else is. It trains through `Study.trained`, so that
what is finished and unchanged is not trained again, and writes figures with `resblock.sweep.drawing.save_figure`.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from resblock.models import Ensemble
from resblock.study.random_ranks import DRAWS
from resblock.sweep.experiment import Experiment
from resblock.sweep.results import Result
from resblock.training.config import TrainingConfig

#: Epochs of the quick setting.
QUICK_EPOCHS: Final = 2


@dataclass(frozen=True, kw_only=True)
class Study(Experiment):
    """What a part gets; `out` is its own directory, and all parts share `runs`.

    Attributes
    ----------
    quick
        Small networks, few epochs: a check that everything runs, whose numbers mean nothing.
    structures
        Directory of the benchmark's files, `CODE/receptor_unbound.pdb.gz` and so on; None if there is none.
    draws
        Numbers of random orders to draw, each at least 2.
    """

    quick: bool = False
    structures: Path | None = None
    draws: tuple[int, ...] = DRAWS

    def about(self) -> str:
        """On what is measured, for notes."""
        return f"{super().about()}{' Quick setting: the numbers mean nothing.' * self.quick}"

    def shortened(self, config: TrainingConfig) -> TrainingConfig:
        """The configuration; of the quick setting, with `QUICK_EPOCHS` epochs at most."""
        if not self.quick:
            return config
        epochs = min(QUICK_EPOCHS, config.optimisation.epochs)
        return dataclasses.replace(config, optimisation=dataclasses.replace(config.optimisation, epochs=epochs))

    def trained(self, name: str, config: TrainingConfig, seed: int) -> Ensemble:
        """Train, shortened in the quick setting, or take the run that is there already."""
        return super().trained(name, self.shortened(config), seed)


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A part that is done: its result, on what, and by which command and commit, where that is known."""

    name: str
    title: str
    about: str
    seconds: float
    result: Result
    command: str = ""
    commit: str = ""
