"""`resblock cross-validate` and `resblock homologues`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from resblock.cli.console import extra, numbers, output, progress_bar, remarks
from resblock.errors import InputError

if TYPE_CHECKING:
    from resblock.training.cross_validation import Row


def cross_validate(
    data: Annotated[Path, typer.Argument(help="Directory of prepared complexes (resblock prepare).")],
    out: Annotated[Path, typer.Option(help="Directory for the runs. Those found there are not done again.")],
    preset: Annotated[list[str], typer.Option(help="As in resblock train; may be repeated.")],
    seeds: Annotated[str, typer.Option(metavar="1,2,3", help="Each preset is trained with each.")] = "1",
    set_field: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="SECTION.FIELD=VALUE", help="Replace one field in all presets; may be repeated."),
    ] = None,
    folds: Annotated[Path | None, typer.Option(help="List of codes and folds; the package's by default.")] = None,
    homologues: Annotated[
        Path | None, typer.Option(help="List of resblock homologues; the package's by default.")
    ] = None,
    collection: Annotated[
        str | None,
        typer.Option(
            help="List of complexes that are trained on although they are homologues of a fold's dimers; the docking "
            "benchmark by default. Other homologues are left out."
        ),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Leave out all homologues of the fold that is ranked.")
    ] = False,
    folding: Annotated[
        Path | None,
        typer.Option(help="Directory of networks for inverse folding, for models that see it: docs/train.md."),
    ] = None,
    start: Annotated[
        Path | None,
        typer.Option(help="A cross-validation of the same presets, seeds and folds, to begin with its networks."),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
) -> None:
    """Rank every dimer out-of-fold, by models that were not trained on it, and say how good the ranking is.

    If there are several presets or seeds, the ensemble of all is ranked, too.

    Metrics are given over all dimers and over those without a homologue among the complexes trained on; metrics.json
    in the directory has them for every dimer.
    """
    with extra("train"):
        from resblock.training import cross_validation
        from resblock.training.config import resolve_config

    from resblock.evaluation.splits import find_list

    configs = {name: resolve_config(name, None, tuple(set_field or ())) for name in preset}
    rows = cross_validation.cross_validate(
        data,
        out,
        configs,
        numbers(seeds),
        folds_file=folds,
        homologues_file=homologues,
        collection_file=None if collection is None else find_list(collection),
        strict=strict,
        folding=folding,
        start=start,
        device=device,
        progress=lambda what: remarks.print(escape(f"training: {what}")),
    )
    output.print(_table("All dimers", "all", rows))
    output.print(_table("Dimers without a homologue in training", "without homologues", rows))


def homologues(
    data: Annotated[Path, typer.Argument(help="Directory of prepared complexes (resblock prepare).")],
    out: Annotated[Path, typer.Option(help="File for the list.")],
    of: Annotated[
        str | None,
        typer.Option(help="List of codes, such as folds: only these are looked for among the homologues of each."),
    ] = None,
    groups: Annotated[
        str | None,
        typer.Option(help="List of folds: a table of clusters of partners instead, in a group for each fold."),
    ] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes; as many as processors by default.")] = None,
) -> None:
    """List the complexes that have chains of one family, for resblock cross-validate.

    With --of, what is listed is which of these codes are homologues of each complex: enough for cross-validation with
    their folds, and done much sooner.
    """
    from resblock.evaluation.groups import make_groups, write_groups
    from resblock.evaluation.homologues import find_homologues, write_homologues
    from resblock.evaluation.splits import find_list, read_codes, read_folds
    from resblock.pairs import complex_paths, load_complex

    if groups is not None and of is not None:
        raise InputError("--groups compares all partners; leave --of out")
    complexes = map(load_complex, complex_paths(data))
    processes = jobs or os.cpu_count() or 1
    with progress_bar() as bar:
        task = bar.add_task("aligning", total=None)

        def show(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        if groups is not None:
            members = make_groups(complexes, read_folds(find_list(groups)), jobs=processes, progress=show)
            write_groups(out, members)
            said = f"{len(members)} partners in {len({member.cluster for member in members})} clusters. The table"
        else:
            wanted = None if of is None else read_codes(find_list(of))
            found = find_homologues(complexes, of=wanted, jobs=processes, progress=show)
            write_homologues(out, found)
            said = f"{sum(map(bool, found.values()))} of {len(found)} complexes have a homologue. The list"
    output.print(f"{said} is {escape(str(out))}.")


def _table(title: str, part: str, rows: Sequence[Row]) -> Table:
    table = Table(title=title, caption="geometric mean rank: of RFPP over pairs, per mille")
    table.add_column("model", no_wrap=True)
    headings = ("dimers", "AUROC median / mean", "NCPD", "RFPP median / p90", "geometric mean rank", "top L/5")
    for heading in headings:
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(escape(row.name), *_cells(row.summaries()[part]))
    return table


def _cells(metrics: dict[str, Any]) -> list[str]:
    ranked = metrics["ranked"]
    if not ranked:
        return ["0", *["-"] * 5]
    return [
        str(ranked),
        f"{metrics['median_auroc']:.3f} / {metrics['mean_auroc']:.3f}",
        f"{metrics['ncpd'] / ranked:.3f}",
        f"{metrics['median_rfpp']:.0f} / {metrics['rfpp_percentiles']['90']:.0f}",
        f"{metrics['geometric_mean_rank']:.3f}",
        f"{metrics['mean_precision_top_l5']:.3f}",
    ]
