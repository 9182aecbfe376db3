"""`resblock evaluate`."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from resblock.cli.console import output, progress_bar

if TYPE_CHECKING:
    from resblock.evaluation import Metrics


def evaluate(
    data: Annotated[Path, typer.Argument(help="Directory of prepared complexes (resblock prepare).")],
    weights: Annotated[Path | None, typer.Option(help="File of resblock train, or paper; else those included.")] = None,
    split: Annotated[
        str | None,
        typer.Option(
            help="List of codes, those of one part are ranked, or the name of an included one: paper_test, "
            "without_paper_test, included_weights, all. All complexes without it."
        ),
    ] = None,
    part: Annotated[str, typer.Option(help="train, validation or test; codes without a part are test.")] = "test",
    metrics: Annotated[Path | None, typer.Option(help="File for the metrics as JSON.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    diverse: Annotated[bool, typer.Option("--diverse", help="Rank as predict --diverse does.")] = False,
) -> None:
    """Rank all surface pairs of prepared complexes and say how good the ranking is."""
    from resblock import evaluation
    from resblock.evaluation.splits import find_list, part_of
    from resblock.files import write_text
    from resblock.models import choose_device, load_ensemble
    from resblock.pairs import load_complexes

    codes = None if split is None else part_of(find_list(split), part)
    ensemble = load_ensemble(weights, choose_device(device))
    # Variants of complexes are to train on; a list may name them all the same.
    complexes = [one for one in load_complexes(data, codes) if codes is not None or not one.origin]
    with progress_bar() as bar:
        task = bar.add_task("ranking", total=len(complexes))

        def show(result: Metrics) -> None:
            bar.update(task, advance=1, description=result.code)

        results = evaluation.evaluate(ensemble, complexes, show, diverse)
    summary = dataclasses.asdict(evaluation.summarise(results))
    output.print(_complexes_table(results, diverse))
    output.print(metrics_table("Summary", summary))
    if metrics is not None:
        report = {"diverse": diverse, "summary": summary, "complexes": [dataclasses.asdict(one) for one in results]}
        write_text(metrics, json.dumps(report, indent=2, allow_nan=False) + "\n")


def metrics_table(title: str, metrics: Mapping[str, Any]) -> Table:
    """Lay out a `resblock.evaluation.MetricsSummary`, as a dictionary, for the terminal."""
    table = Table(title=title, show_header=False)
    table.add_column("metric")
    table.add_column("value", justify="right")
    for name, value in metrics.items():
        if isinstance(value, Mapping):
            label = f"RFPP at percentiles {min(value, key=int)} to {max(value, key=int)}"
            table.add_row(label, " ".join(_cell(rank, 0) for rank in value.values()))
        else:
            table.add_row(_LABELS[name], _cell(value, 3))
    return table


_LABELS = {
    "complexes": "complexes",
    "ranked": "with positives",
    "ncpd": "NCPD",
    "median_rfpp": "median RFPP",
    "median_accuracy_order": "median order (per mille)",
    "median_expected_random_rfpp": "median random RFPP",
    "geometric_mean_rank": "geometric mean rank (per mille)",
    "median_auroc": "median AUROC",
    "mean_auroc": "mean AUROC",
    "mean_precision_top_l5": "mean precision of the top L/5",
}


def _complexes_table(results: list[Metrics], diverse: bool) -> Table:
    table = Table(title=f"Surface pairs ranked by score{', diversified' * diverse}")
    table.add_column("complex")
    for heading in ("pairs", "positives", "RFPP", "order (per mille)", "random RFPP", "AUROC", "top L/5"):
        table.add_column(heading, justify="right")
    for result in results:
        table.add_row(
            escape(result.code),
            str(result.pairs),
            str(result.positives),
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
