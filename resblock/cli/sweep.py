"""`resblock sweep`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table as RichTable

from resblock.cli.console import extra, numbers, output, remarks
from resblock.errors import InputError

if TYPE_CHECKING:
    from resblock.sweep.results import Result, Table
    from resblock.sweep.space import Axis


def sweep(
    data: Annotated[Path, typer.Argument(help="Directory of prepared complexes (resblock prepare).")],
    out: Annotated[Path, typer.Option(help="Directory for trials, tables and figures. A sweep found there goes on.")],
    layers: Annotated[str | None, typer.Option(metavar="20,40,60", help="Layers: model.num_layers.")] = None,
    units: Annotated[str | None, typer.Option(metavar="4,6,8", help="Units of a layer: model.hidden_size.")] = None,
    dropout: Annotated[str | None, typer.Option(metavar="0,0.6", help="Inside the network: model.dropout.")] = None,
    learning_rate: Annotated[str | None, typer.Option(metavar="1e-3,3e-3", help="optimisation.learning_rate.")] = None,
    window: Annotated[
        str | None, typer.Option(metavar="1,3,5", help="Residues of each partner in a window: model.window.")
    ] = None,
    negatives: Annotated[
        str | None,
        typer.Option(metavar="8,20", help="Negatives, or closest pairs, to train on: the field that the preset has."),
    ] = None,
    vary: Annotated[
        list[str] | None,
        typer.Option(metavar="SECTION.FIELD=V,V,...", help="Any other field; may be repeated."),
    ] = None,
    preset: Annotated[str, typer.Option(help="What the rest is, as in resblock train.")] = "paper",
    set_field: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="SECTION.FIELD=VALUE", help="Replace one field of it; may be repeated."),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(help="List of codes with train, validation or test behind; 6:2:2 by the first seed without it."),
    ] = None,
    seeds: Annotated[str, typer.Option(metavar="1,2,3", help="A grid is done with each.")] = "1",
    sampler: Annotated[str, typer.Option(help="grid: all combinations; tpe: --trials of them, drawn.")] = "grid",
    trials: Annotated[int, typer.Option(min=1, help="With tpe: trials in all, of all workers and calls.")] = 50,
    storage: Annotated[
        str | None,
        typer.Option(metavar="URL", help="postgresql://USER@HOST/DATABASE for workers on many machines."),
    ] = None,
    heartbeat: Annotated[
        int, typer.Option(min=1, help="Seconds; a worker silent for three of them is taken for dead.")
    ] = 60,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
) -> None:
    """Search settings: train a model for every combination of values, and rank the test complexes with each.

    The validation complexes say which settings are best; metrics of the test complexes are only reported.

    Started again, or at the same time elsewhere with the same --storage, it takes up what is left: each trial is done
    once, and that of a worker that died is given to another. With tpe a value may be a range, LOW:HIGH. Writes tables
    (CSV and Markdown) of the accuracy order by complex, and heat maps.
    """
    _miss_early(storage)
    with extra("study"):
        from resblock.sweep.experiment import Experiment
        from resblock.sweep.search import Plan, divide, search
        from resblock.sweep.space import negatives_field
    from resblock.training.config import resolve_config

    if sampler not in ("grid", "tpe"):
        raise InputError(f"sampler {sampler!r} is unknown; choose grid or tpe")
    settings, chosen = tuple(set_field or ()), tuple(numbers(seeds))
    base = resolve_config(preset, None, settings)
    named = {
        "model.num_layers": layers,
        "model.hidden_size": units,
        "model.dropout": dropout,
        "optimisation.learning_rate": learning_rate,
        "model.window": window,
        negatives_field(base): negatives,
    }
    axes = _axes(named, vary or (), preset, settings)
    out.mkdir(parents=True, exist_ok=True)
    experiment = Experiment(
        data=data,
        out=out,
        runs=out / "runs",
        split=divide(data, base, split, chosen[0]),
        seeds=chosen,
        device=device,
        progress=lambda what: remarks.print(escape(what)),
    )
    drawn = trials if sampler == "tpe" else 0
    result = search(experiment, Plan(base=base, axes=axes, trials=drawn, storage=storage, heartbeat=heartbeat))
    _write(result, out)


def _miss_early(storage: str | None) -> None:
    """Import what is needed when the trials are done, when it would be a pity to miss it."""
    with extra("study"):
        import matplotlib  # noqa: F401

        if storage is not None and storage.startswith(("postgresql:", "postgres:")):
            import psycopg  # noqa: F401


def _write(result: Result, out: Path) -> None:
    from resblock.sweep.tables import SETTINGS

    for table in result.tables:
        table.write(out)
    output.print(_shown(next(table for table in result.tables if table.name == SETTINGS)))
    output.print(escape(result.text))
    output.print(f"Tables and figures are in {escape(str(out))}.")


def _axes(
    named: Mapping[str, str | None], vary: Sequence[str], preset: str, settings: tuple[str, ...]
) -> dict[str, Axis]:
    from resblock.sweep.space import parse_axis

    values = [*(f"{field}={text}" for field, text in named.items() if text is not None), *vary]
    axes = dict(parse_axis(text, preset, settings) for text in values)
    if len(axes) < len(values):
        raise InputError("a field is varied twice; give its values at once")
    return axes


def _shown(table: Table) -> RichTable:
    """Lay out a table for the terminal."""
    shown = RichTable(title=table.title)
    for column in table.columns:
        shown.add_column(column, justify="right")
    for row in table.cells():
        shown.add_row(*map(escape, row))
    return shown
