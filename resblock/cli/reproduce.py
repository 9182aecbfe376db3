"""`resblock reproduce`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from resblock.cli.console import extra, numbers, output, remarks


def reproduce(
    data: Annotated[Path, typer.Argument(help="Directory of prepared complexes (resblock prepare).")],
    out: Annotated[Path, typer.Option(help="The study's directory. What is finished there is not done again.")],
    part: Annotated[
        list[str] | None,
        typer.Option(
            help="homology, sweep, table3, compare, figure4, figure6 or gradients; may be repeated. All by default."
        ),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="A check that everything runs: few dimers, few epochs, the first seed.")
    ] = False,
    seeds: Annotated[
        str, typer.Option(metavar="1,2,3", help="Of the trainings; the first also divides the dimers.")
    ] = "1,2,3",
    split: Annotated[
        str, typer.Option(help="paper_test (its test dimers), random (6:2:2 by the seed), or a list of codes.")
    ] = "paper_test",
    structures: Annotated[
        Path | None, typer.Option(help="The benchmark's own files, for figure 6, which needs pymol, too.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    draws: Annotated[
        str | None,
        typer.Option(metavar="10000,1000000", help="Numbers of random orders in table3; 10^4 to 10^10 by default."),
    ] = None,
    commit: Annotated[
        str, typer.Option(help="What the tables are made with, for whoever reads them: results that are published.")
    ] = "",
) -> None:
    """Regenerate the tables and figures of Liu & Gong 2019, with an index page.

    Goes on where it was stopped: a part is done again only if its data, settings or version changed.

    The whole study takes about 12 hours of one core, most of them for the part sweep; --quick takes under 15
    minutes on 2 cores. docs/paper.md has the costs of all parts, and the paper claim by claim.
    """
    with extra("study"):
        import resblock.study.reproduce
        from resblock.study.random_ranks import DRAWS

        done = resblock.study.reproduce.reproduce(
            data,
            out,
            part or (),
            quick=quick,
            seeds=numbers(seeds),
            split=split,
            structures=structures,
            device=device,
            progress=lambda what: remarks.print(escape(what)),
            draws=DRAWS if draws is None else numbers(draws, "draws"),
            commit=commit,
        )
    table = Table(title="The study")
    for heading in ("part", "tables", "figures", "minutes"):
        table.add_column(heading, justify="left" if heading == "part" else "right")
    for one in done:
        table.add_row(one.title, str(len(one.result.tables)), str(len(one.result.figures)), f"{one.seconds / 60:.1f}")
    output.print(table)
    output.print(f"The index is {escape(str(out))}/index.html (and index.md).")
