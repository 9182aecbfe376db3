"""Figure 4: the accuracy order of every test dimer under every model."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from matplotlib.figure import Figure

from resblock.evaluation import Metrics, summarise
from resblock.evaluation.ranking import NCPD_PER_MILLE
from resblock.study.accuracy import MODELS, ncpd_sentence, rank_test_dimers
from resblock.study.part import Study
from resblock.sweep.drawing import save_figure, style
from resblock.sweep.results import Cell, Result, Table

VERSION: Final = 1

#: The row of a random order.
RANDOM: Final = "random order"


def run(study: Study) -> Result:
    """Train every model with every seed and rank the test dimers."""
    found = {f"{name}, seed {seed}": rank_test_dimers(study, name, seed) for name in MODELS for seed in study.seeds}
    orders = {label: [result.accuracy_order for result in results] for label, results in found.items()}
    first = next(iter(found.values()))
    orders[RANDOM] = [
        None if result.expected_random_rfpp is None else 1000.0 * result.expected_random_rfpp / result.pairs
        for result in first
    ]
    codes = [result.code for result in first]
    note = (
        f"{study.about()} All models were trained on these dimers alone, the included weights on more. "
        "Accuracy order: RFPP over the number of surface pairs, per mille."
    )
    rows: list[tuple[Cell, ...]] = [(label, *values) for label, values in orders.items()]
    tables = [
        Table("orders", "Accuracy order of each test dimer, per mille", ("model", *codes), rows=rows, note=note),
        Table(
            "models",
            "Models on the test dimers",
            ("model", "NCPD", "dimers", "RFPP median", "geometric mean rank", "AUROC median", "AUROC mean"),
            rows=[_summary_row(label, results) for label, results in found.items()],
            note=f"{note} NCPD: dimers with a positive in the first per mille; geometric mean rank: of the accuracy "
            "order.",
        ),
    ]
    sentences = [f"{label}: NCPD {ncpd_sentence(results)}." for label, results in found.items()]
    return Result(tables, [_plot(codes, orders, study.out)], " ".join(sentences))


def _summary_row(label: str, results: list[Metrics]) -> tuple[Cell, ...]:
    found = summarise(results)
    return (
        label,
        found.ncpd,
        found.ranked,
        found.median_rfpp,
        found.geometric_mean_rank,
        found.median_auroc,
        found.mean_auroc,
    )


def _plot(codes: list[str], orders: dict[str, list[float | None]], out: Path) -> Path:
    models = list(dict.fromkeys(label.partition(",")[0] for label in orders))
    width = 0.8 / len(models)
    with style():
        figure = Figure(figsize=(8.0, 3.6), layout="constrained")
        axes = figure.subplots()
        for number, model in enumerate(models):
            seeds = [values for label, values in orders.items() if label.partition(",")[0] == model]
            known = np.array([[np.nan if value is None else value for value in values] for values in seeds])
            places = np.arange(len(codes)) + (number - (len(models) - 1) / 2) * width
            colour = "0.6" if model == RANDOM else f"C{number}"
            axes.plot(np.tile(places, len(seeds)), known.ravel(), "o", color=colour, markersize=3, label=model)
        axes.axhline(NCPD_PER_MILLE, color="0.3", linewidth=0.8, linestyle="--")
        axes.set_yscale("log")
        axes.set_xticks(range(len(codes)), codes)
        axes.set(ylabel="accuracy order, per mille", title="First positive: one point a seed")
        axes.grid(axis="y", alpha=0.3, linewidth=0.4)
        axes.legend(frameon=False, ncols=len(models), loc="upper center", bbox_to_anchor=(0.5, -0.08))
        return save_figure(figure, out, "figure4")
