"""What a search found: its trials, and the settings that they have in common."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from resblock.evaluation import Metrics
from resblock.evaluation.ranking import ncpd
from resblock.sweep.space import Cell, Value, value_of
from resblock.training.config import TrainingConfig


@dataclass(frozen=True)
class Trained:
    """A finished trial.

    Attributes
    ----------
    cell
        Values of the varied fields.
    seed
    validation_auroc
        Mean over the validation complexes.
    results
        One of each test complex.
    """

    cell: Cell
    seed: int
    validation_auroc: float
    results: tuple[Metrics, ...]

    def orders(self) -> dict[str, float]:
        """Accuracy order of every test complex that has a positive."""
        return {result.code: result.accuracy_order for result in self.results if result.accuracy_order is not None}


@dataclass(frozen=True)
class Setting:
    """Trials that differ by their seeds alone."""

    cell: Cell
    trials: tuple[Trained, ...]

    @property
    def validation_auroc(self) -> float:
        """Mean over complexes and seeds."""
        return float(np.mean([trial.validation_auroc for trial in self.trials]))

    @property
    def test_auroc(self) -> float | None:
        """Mean over complexes and seeds."""
        values = [result.auroc for trial in self.trials for result in trial.results if result.auroc is not None]
        return float(np.mean(values)) if values else None

    @property
    def ncpd(self) -> float:
        """Mean over seeds."""
        return float(np.mean([ncpd(list(trial.orders().values())) for trial in self.trials]))

    @property
    def mean_rank(self) -> float | None:
        """Geometric mean of the accuracy order over complexes and seeds, per mille."""
        return _geometric_mean(order for trial in self.trials for order in trial.orders().values())

    def order(self, code: str) -> float | None:
        """Accuracy order of a complex, the geometric mean over seeds."""
        return _geometric_mean(trial.orders()[code] for trial in self.trials if code in trial.orders())


@dataclass(frozen=True)
class Findings:
    """Everything that a search found.

    Attributes
    ----------
    trials
        At least one.
    grid
        Fields and values of a grid; empty for drawn trials.
    base
        Its values are those of the other fields where one field is looked at, if the grid has them; else those of the
        setting that is best on validation.
    """

    trials: Sequence[Trained]
    grid: Mapping[str, tuple[Value, ...]]
    base: TrainingConfig

    @cached_property
    def settings(self) -> list[Setting]:
        """Settings in the order of their first trials."""
        found: list[Setting] = []
        for cell in (trial.cell for trial in self.trials):
            if all(setting.cell != cell for setting in found):
                found.append(Setting(cell, tuple(trial for trial in self.trials if trial.cell == cell)))
        return found

    @property
    def codes(self) -> list[str]:
        """Test complexes that have a positive."""
        return list(self.trials[0].orders())

    @property
    def varied(self) -> list[str]:
        """Fields of a grid with more than one value."""
        return [field for field, values in self.grid.items() if len(values) > 1]

    @cached_property
    def fixed(self) -> Cell:
        """Where one field of a grid varies, what the others are."""
        best = max(self.settings, key=lambda setting: setting.validation_auroc)
        usual = {field: value_of(self.base, field) for field in self.grid}
        return {
            field: usual[field] if usual[field] in values else best.cell[field] for field, values in self.grid.items()
        }

    def along(self, *fields: str) -> list[Setting]:
        """Settings that differ from `fixed` in these fields at most."""
        return [
            setting
            for setting in self.settings
            if all(setting.cell[other] == value for other, value in self.fixed.items() if other not in fields)
        ]


def _geometric_mean(values: Iterable[float]) -> float | None:
    found = list(values)
    return float(np.exp(np.mean(np.log(found)))) if found else None
