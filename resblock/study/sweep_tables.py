"""What a sweep found, as tables and heat maps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from resblock.ranking import DimerResult, ncpd
from resblock.study.part import Cell as TableCell
from resblock.study.part import Table, save_figure, style
from resblock.study.space import Cell, Value, label
from resblock.training.config import TrainingConfig

#: Name of the table of all settings.
SETTINGS: Final = "settings"
#: The two tables of the paper that a sweep is about.
_OF_THE_PAPER: Final = {"network.num_layers": "Table 1. ", "network.hidden_size": "Table 2. "}
_ORDER: Final = "Accuracy order: RFPP over the number of pairs, per mille."
_NCPD: Final = "dimers with a true pair in the first per mille"

Choices = Mapping[str, tuple[Value, ...]]


@dataclass(frozen=True)
class Trained:
    """A finished trial.

    Attributes
    ----------
    cell
        Values of the varied fields.
    seed
    validation_auroc
        Mean over the validation dimers.
    results
        One of each test dimer.
    """

    cell: Cell
    seed: int
    validation_auroc: float
    results: tuple[DimerResult, ...]

    def orders(self) -> dict[str, float]:
        """Accuracy order of every test dimer that has a true pair."""
        return {result.code: result.accuracy_order for result in self.results if result.accuracy_order is not None}


@dataclass(frozen=True)
class _Setting:
    """Trials that differ by their seeds alone."""

    cell: Cell
    trials: tuple[Trained, ...]

    @property
    def validation_auroc(self) -> float:
        return float(np.mean([trial.validation_auroc for trial in self.trials]))

    @property
    def test_auroc(self) -> float | None:
        values = [result.auroc for trial in self.trials for result in trial.results if result.auroc is not None]
        return float(np.mean(values)) if values else None

    @property
    def ncpd(self) -> float:
        return float(np.mean([ncpd(list(trial.orders().values())) for trial in self.trials]))

    def order(self, code: str) -> float | None:
        """Accuracy order of a dimer, the geometric mean over seeds."""
        return _geometric_mean(trial.orders()[code] for trial in self.trials if code in trial.orders())

    @property
    def mean_order(self) -> float | None:
        return _geometric_mean(order for trial in self.trials for order in trial.orders().values())


def tables(trials: Sequence[Trained], choices: Choices, base: TrainingConfig, about: str) -> list[Table]:
    """One table for each field that varies, one of all settings, and one with every dimer of every trial.

    Parameters
    ----------
    trials
        At least one.
    choices
        Fields and values of a grid; empty for drawn trials.
    base
        Its values are those of the other fields in the table of one field, where the grid has them; else those of the
        setting that is best on validation.
    about
        For the notes: on what it was measured.
    """
    settings = _settings(trials)
    by_field = [
        _table_of(field, _line(settings, field, _fixed(settings, choices, base)), about)
        for field in choices
        if len(choices[field]) > 1
    ]
    return [*by_field, _all_settings(settings, about), _all_dimers(trials, about)]


def figures(trials: Sequence[Trained], choices: Choices, base: TrainingConfig, out: Path) -> list[Path]:
    """Heat maps of a grid: dimers by settings and, where two fields vary, one by the other."""
    settings = _settings(trials)
    codes = _codes(settings)
    if not choices or not codes:
        return []
    paths = [
        _heat_map(
            [[setting.order(code) for setting in settings] for code in codes],
            (codes, [_values(setting.cell) for setting in settings]),
            ("", ", ".join(_short(field) for field in choices)),
            out,
            "sweep_dimers",
        )
    ]
    varied = [field for field in choices if len(choices[field]) > 1]
    if len(varied) >= 2:
        first, second = varied[:2]
        fixed = _fixed(settings, choices, base)
        found = {
            (setting.cell[first], setting.cell[second]): setting.mean_order
            for setting in settings
            if all(setting.cell[field] == fixed[field] for field in varied[2:])
        }
        rows, columns = choices[first], choices[second]
        paths.append(
            _heat_map(
                [[found.get((row, column)) for column in columns] for row in rows],
                ([str(row) for row in rows], [str(column) for column in columns]),
                (_short(first), _short(second)),
                out,
                "sweep",
            )
        )
    return paths


def _settings(trials: Sequence[Trained]) -> list[_Setting]:
    found: list[_Setting] = []
    for cell in (trial.cell for trial in trials):
        if all(setting.cell != cell for setting in found):
            found.append(_Setting(cell, tuple(trial for trial in trials if trial.cell == cell)))
    return found


def _fixed(settings: Sequence[_Setting], choices: Choices, base: TrainingConfig) -> Cell:
    """Where one field varies, what the others are."""
    best = max(settings, key=lambda setting: setting.validation_auroc)
    fixed = {}
    for field, values in choices.items():
        section, _, name = field.partition(".")
        usual: Value = getattr(getattr(base, section), name)
        fixed[field] = usual if usual in values else best.cell[field]
    return fixed


def _line(settings: Sequence[_Setting], field: str, fixed: Cell) -> list[_Setting]:
    """The settings that differ from `fixed` in one field at most."""
    return [
        setting
        for setting in settings
        if all(setting.cell[other] == value for other, value in fixed.items() if other != field)
    ]


def _table_of(field: str, line: Sequence[_Setting], about: str) -> Table:
    others = {name: value for name, value in line[0].cell.items() if name != field}
    rows: list[tuple[TableCell, ...]] = [(code, *(setting.order(code) for setting in line)) for code in _codes(line)]
    summaries: tuple[tuple[str, Callable[[_Setting], float | None]], ...] = (
        ("geometric mean", lambda setting: setting.mean_order),
        ("NCPD", lambda setting: setting.ncpd),
        ("mean AUROC", lambda setting: setting.test_auroc),
        ("mean validation AUROC", lambda setting: setting.validation_auroc),
    )
    rows += [(name, *(of(setting) for setting in line)) for name, of in summaries]
    return Table(
        name=f"by_{_short(field)}",
        title=f"{_OF_THE_PAPER.get(field, '')}Accuracy order (per mille) of the test dimers, by {_short(field)}",
        columns=("dimer", *(f"{_short(field)} {setting.cell[field]}" for setting in line)),
        rows=rows,
        note=f"{f'With {label(others)}. ' if others else ''}{_ORDER} NCPD: {_NCPD}. Over seeds: geometric means of "
        f"accuracy orders, means of the rest. {about}",
    )


def _all_settings(settings: Sequence[_Setting], about: str) -> Table:
    fields = list(settings[0].cell)
    best_first = sorted(settings, key=lambda setting: -setting.validation_auroc)
    return Table(
        name=SETTINGS,
        title="All settings, the best on the validation dimers first",
        columns=(
            *map(_short, fields),
            "seeds",
            "validation AUROC",
            "test gm order",
            "test NCPD",
            "test AUROC",
        ),
        rows=[
            (
                *(setting.cell[field] for field in fields),
                ", ".join(str(trial.seed) for trial in setting.trials),
                setting.validation_auroc,
                setting.mean_order,
                setting.ncpd,
                setting.test_auroc,
            )
            for setting in best_first
        ],
        note=f"{_ORDER} gm order: its geometric mean over dimers and seeds; NCPD: {_NCPD}; AUROC: means. {about}",
    )


def _all_dimers(trials: Sequence[Trained], about: str) -> Table:
    fields = list(trials[0].cell)
    return Table(
        name="trials",
        title="Every test dimer in every trial",
        columns=(*map(_short, fields), "seed", "dimer", "pairs", "true pairs", "RFPP", "accuracy order", "AUROC"),
        rows=[
            (
                *(trial.cell[field] for field in fields),
                trial.seed,
                *(result.code, result.pairs, result.true_pairs, result.rfpp, result.accuracy_order, result.auroc),
            )
            for trial in trials
            for result in trial.results
        ],
        note=f"{_ORDER} {about}",
    )


def _heat_map(
    values: Sequence[Sequence[float | None]],
    labels: tuple[Sequence[str], Sequence[str]],
    names: tuple[str, str],
    out: Path,
    name: str,
) -> Path:
    """Draw accuracy orders; the colour is their logarithm, as one rank more matters most at the top of a list."""
    from matplotlib.colors import LogNorm
    from matplotlib.figure import Figure

    matrix: NDArray[np.float64] = np.array(values, dtype=np.float64)  # None becomes NaN
    rows, columns = labels
    with style():
        figure = Figure(figsize=(2.5 + 0.42 * len(columns), 1.5 + 0.3 * len(rows)), layout="constrained")
        axes = figure.add_subplot()
        image = axes.imshow(matrix, cmap="viridis_r", norm=LogNorm(), aspect="auto")
        axes.set_xticks(range(len(columns)), columns, rotation=90 if max(map(len, columns)) > 4 else 0)
        axes.set_yticks(range(len(rows)), rows)
        axes.set_ylabel(names[0])
        axes.set_xlabel(names[1])
        middle = np.sqrt(np.nanmin(matrix) * np.nanmax(matrix))
        for row, column in np.argwhere(np.isfinite(matrix)):
            value = matrix[row, column]
            ink = "white" if value > middle else "black"
            number = f"{value:.2g}" if value < 100 else f"{value:.0f}"
            axes.text(column, row, number, ha="center", va="center", color=ink, fontsize=6)
        scale = figure.colorbar(image, ax=axes, label="accuracy order (per mille)").ax.yaxis
        scale.set_major_formatter("{x:g}")
        scale.set_minor_formatter("{x:g}")
    return save_figure(figure, out, name)


def _codes(settings: Sequence[_Setting]) -> list[str]:
    return [result.code for result in settings[0].trials[0].results if result.accuracy_order is not None]


def _values(cell: Cell) -> str:
    return ", ".join(map(str, cell.values()))


def _short(field: str) -> str:
    return field.rpartition(".")[2]


def _geometric_mean(values: Iterable[float]) -> float | None:
    found = list(values)
    return float(np.exp(np.mean(np.log(found)))) if found else None
