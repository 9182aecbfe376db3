"""`resblock cross-validate` and `resblock homologues`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from resblock.cli.console import extra, numbers, output, progress_bar, remarks

if TYPE_CHECKING:
    from resblock.training.cross_validation import Row


def cross_validate(
    data: Annotated[Path, typer.Argument(help="Directory of prepared dimers (resblock prepare).")],
    out: Annotated[Path, typer.Option(help="Directory for the runs. Those found there are not done again.")],
    preset: Annotated[list[str], typer.Option(help="As in resblock train; may be repeated: all are averaged, too.")],
    seeds: Annotated[str, typer.Option(metavar="1,2,3", help="Each preset is trained with each; averaged, too.")] = "1",
    set_field: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="SECTION.FIELD=VALUE", help="Replace one field in all presets; may be repeated."),
    ] = None,
    folds: Annotated[Path | None, typer.Option(help="List of codes and folds; the package's by default.")] = None,
    homologues: Annotated[
        Path | None, typer.Option(help="List of resblock homologues; the package's by default.")
    ] = None,
    features: Annotated[
        str | None, typer.Option(help="paper or extended; the same for all presets. By default as in resblock train.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
) -> None:
    """Rank every dimer by networks that have not learned from it, and say how good the ranking is.

    Figures are given over all dimers and over those without a homologue among the complexes that were learned from;
    figures.json in the directory has them for every dimer.
    """
    with extra("train"):
        from resblock.training.config import resolve_config
        from resblock.training.cross_validation import cross_validate as run

    configs = {name: resolve_config(name, None, tuple(set_field or ())) for name in preset}
    rows = run(
        data,
        out,
        configs,
        numbers(seeds),
        folds,
        homologues,
        device,
        lambda what: remarks.print(escape(f"training: {what}")),
        features,
    )
    output.print(_table("All dimers", "all", rows))
    output.print(_table("Dimers without a homologue in training", "without homologues", rows))


def homologues(
    data: Annotated[Path, typer.Argument(help="Directory of prepared dimers (resblock prepare).")],
    out: Annotated[Path, typer.Option(help="File for the list.")],
) -> None:
    """List the complexes that have chains of one family, for resblock cross-validate."""
    from resblock.pairs import load_dimers
    from resblock.training.homology import find_homologues, write_homologues

    dimers = load_dimers(data)
    with progress_bar() as bar:
        task = bar.add_task("aligning", total=None)
        found = find_homologues(dimers, lambda done, total: bar.update(task, completed=done, total=total))
    write_homologues(out, found)
    related = sum(bool(others) for others in found.values())
    output.print(f"{related} of {len(found)} complexes have a homologue. The list is {escape(str(out))}.")


def _table(title: str, part: str, rows: Sequence[Row]) -> Table:
    table = Table(title=title, caption="gm order: geometric mean of RFPP over pairs, per mille")
    table.add_column("model", no_wrap=True)
    headings = ("dimers", "AUROC median / mean", "NCPD", "RFPP median / p90", "gm order", "top L/5")
    for heading in headings:
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(row.name, *_cells(row.figures()[part]))
    return table


def _cells(figures: dict[str, Any]) -> list[str]:
    ranked = figures["ranked"]
    if not ranked:
        return ["0", *["-"] * 5]
    return [
        str(ranked),
        f"{figures['median_auroc']:.3f} / {figures['mean_auroc']:.3f}",
        f"{figures['ncpd'] / ranked:.3f}",
        f"{figures['median_rfpp']:.0f} / {figures['rfpp_percentiles']['90']:.0f}",
        f"{figures['geometric_mean_accuracy_order']:.3f}",
        f"{figures['mean_precision_top_l5']:.3f}",
    ]
