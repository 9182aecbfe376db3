"""`resblock evaluate`."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from resblock.cli.console import output, progress_bar

if TYPE_CHECKING:
    from resblock.ranking import DimerResult


def evaluate(
    data: Annotated[Path, typer.Argument(help="Directory of prepared dimers (resblock prepare).")],
    weights: Annotated[Path | None, typer.Option(help="Of resblock train, or paper; else those included.")] = None,
    split: Annotated[
        str | None,
        typer.Option(
            help="List of codes, those of one part are ranked, or the name of an included one: paper_test, "
            "without_paper_test, included_weights, all. All dimers without it."
        ),
    ] = None,
    part: Annotated[str, typer.Option(help="train, validation or test; codes without a part are test.")] = "test",
    json_file: Annotated[Path | None, typer.Option("--json", help="File for the figures as JSON.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    diverse: Annotated[bool, typer.Option("--diverse", help="Rank as predict --diverse does.")] = False,
) -> None:
    """Rank all surface pairs of prepared dimers and say how good the ranking is.

    Of the prepared features, those are taken that the weights need.
    """
    from resblock.pairs import load_dimers
    from resblock.ranking import summary
    from resblock.scoring import choose_device, load_scorer
    from resblock.structure.files import write_atomically
    from resblock.training.evaluation import evaluate as rank
    from resblock.training.split import find_list, part_of

    codes = None if split is None else part_of(find_list(split), part)
    scorer = load_scorer(weights, choose_device(device))
    dimers = load_dimers(data, codes, scorer.feature_names)
    with progress_bar() as bar:
        task = bar.add_task("ranking", total=len(dimers))
        results = rank(scorer, dimers, lambda result: bar.update(task, advance=1, description=result.code), diverse)
    figures = dataclasses.asdict(summary(results))
    output.print(_dimers_table(results, diverse))
    output.print(figures_table("Summary", figures))
    if json_file is not None:
        report = {"diverse": diverse, "summary": figures, "dimers": [dataclasses.asdict(result) for result in results]}
        content = json.dumps(report, indent=2, allow_nan=False) + "\n"
        write_atomically(json_file, lambda stream: stream.write(content.encode()))


def figures_table(title: str, figures: Mapping[str, Any]) -> Table:
    """Lay out a `resblock.ranking.RankingSummary`, as a dictionary, for the terminal."""
    table = Table(title=title, show_header=False)
    table.add_column("figure")
    table.add_column("value", justify="right")
    for name, value in figures.items():
        if isinstance(value, Mapping):
            label = f"RFPP at percentiles {min(value, key=int)} to {max(value, key=int)}"
            table.add_row(label, " ".join(_cell(rank, 0) for rank in value.values()))
        else:
            table.add_row(_LABELS[name], _cell(value, 3))
    return table


_LABELS = {
    "dimers": "dimers",
    "ranked": "with true pairs",
    "ncpd": "NCPD",
    "median_rfpp": "median RFPP",
    "median_accuracy_order": "median order (per mille)",
    "median_expected_random_rfpp": "median random RFPP",
    "geometric_mean_accuracy_order": "geometric mean order (per mille)",
    "median_auroc": "median AUROC",
    "mean_auroc": "mean AUROC",
    "mean_precision_top_l5": "mean precision of the top L/5",
}


def _dimers_table(results: list[DimerResult], diverse: bool) -> Table:
    table = Table(title=f"Surface pairs ranked by score{', diversified' * diverse}")
    table.add_column("dimer")
    for heading in ("pairs", "true", "RFPP", "order (per mille)", "random RFPP", "AUROC", "top L/5"):
        table.add_column(heading, justify="right")
    for result in results:
        table.add_row(
            result.code,
            str(result.pairs),
            str(result.true_pairs),
            _cell(result.rfpp, 0),
            _cell(result.accuracy_order, 3),
            _cell(result.expected_random_rfpp, 1),
            _cell(result.auroc, 3),
            _cell(result.precision_top_l5, 3),
        )
    return table


def _cell(value: float | None, decimals: int) -> str:
    if value is None:
        return "-"
    return str(value) if isinstance(value, int) else f"{value:.{decimals}f}"
