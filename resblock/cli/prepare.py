"""`resblock prepare`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from resblock.cli.console import output, progress_bar, remarks
from resblock.errors import InputError

if TYPE_CHECKING:
    from resblock.pairs import Prepared, Summary


def prepare(
    benchmark_dir: Annotated[
        Path,
        typer.Argument(help="CODE/{receptor,ligand}_{bound,unbound}.{pdb,cif}[.gz]; bound where there is no unbound."),
    ],
    out: Annotated[Path, typer.Option(help="Directory for the prepared complexes, one .npz each.")],
    only: Annotated[Path | None, typer.Option(help="List of codes, one a line; all by default.")] = None,
    index: Annotated[
        Path | None,
        typer.Option(help="Table of the columns code, kind and cluster30, for training by kind and cluster."),
    ] = None,
    model: Annotated[int | None, typer.Option(help="Model of files that have several; the first by default.")] = None,
    bound: Annotated[
        bool, typer.Option("--bound", help="Also the bound structures, where unbound ones are there as well.")
    ] = False,
    interfaces: Annotated[
        bool, typer.Option("--interfaces", help="Also any two chains that touch, across and within partners.")
    ] = False,
    noise: Annotated[float, typer.Option(help="Standard deviation of moved coordinates in copies, Angstrom.")] = 0.0,
    copies: Annotated[int, typer.Option(help="Copies of the bound structures with moved coordinates.")] = 0,
    seed: Annotated[int, typer.Option(help="Of the noise.")] = 0,
    pseudo_dimers: Annotated[
        bool,
        typer.Option(
            "--pseudo-dimers",
            help="Of any folder of structures: chains, cut in two where few contacts cross, to pretrain on.",
        ),
    ] = False,
    cuts: Annotated[int, typer.Option(help="With --pseudo-dimers: at most so many cuts of a chain.")] = 3,
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes; as many as processors by default.")] = None,
) -> None:
    """Compute features and labels of a docking benchmark, which serve every model.

    A complex that fails is reported and does not stop the others; a second run does only what is missing. What each
    file held is in prepare.log; what became of every complex, and why it failed, in prepared.tsv. The exit status is 1
    if some complexes failed, 2 if all did.
    """
    from resblock.evaluation.splits import read_split
    from resblock.pairs import Cutting, Recipe, prepare_benchmark, prepare_pseudo_dimers, read_index

    recipe = Recipe(model, bound, interfaces, noise, copies, seed)
    if pseudo_dimers and (only is not None or recipe != Recipe(model, seed=seed)):
        raise InputError("--pseudo-dimers cuts every chain as it is; leave --only and what else could be made out")
    table = None if index is None else read_index(index)
    with _Report(out) as report:
        if pseudo_dimers:
            given = Cutting(cuts, model=model)
            summary = prepare_pseudo_dimers(
                benchmark_dir, out, index=table, cutting=given, jobs=jobs, progress=report.show
            )
        else:
            codes = None if only is None else list(read_split(only))
            summary = prepare_benchmark(
                benchmark_dir, out, only=codes, index=table, recipe=recipe, jobs=jobs, progress=report.show
            )
    _finish(summary, out)


class _Report:
    """A bar on the terminal, remarks, and a log of what was read."""

    def __init__(self, out: Path) -> None:
        self._log = out / "prepare.log"
        self._bar = progress_bar()
        self._task = self._bar.add_task("preparing", total=None)

    def __enter__(self) -> _Report:
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def show(self, entries: Sequence[Prepared], total: int) -> None:
        """Report what became of a task."""
        self._bar.update(self._task, total=total, advance=1, description=entries[0].task)
        for entry in entries:
            lines = entry.read or [f"{entry.status}: {entry.reason}" if entry.reason else entry.status]
            for line in lines:
                if line.startswith(("failed: ", "note: ")):
                    remarks.print(escape(f"{entry.code}: {line}"))
            with self._log.open("a", encoding="utf-8") as file:
                file.writelines(f"{entry.code}: {line}\n" for line in lines)


def _finish(summary: Summary, out: Path) -> None:
    """Say how many there are, by kind if these are known, and leave with the status."""
    there, empty = [*summary.done, *summary.unchanged], summary.having("empty")
    output.print(
        f"{len(summary.complexes) - len(empty)} complexes: {len(summary.done)} prepared, "
        f"{len(summary.unchanged)} unchanged, "
        f"{len(summary.failed)} failed. They are in {escape(str(out))}."
    )
    for kind, count in sorted(Counter(entry.kind for entry in there).items()):
        if kind:
            failed = sum(entry.kind == kind for entry in summary.failed)
            output.print(f"{escape(kind)}: {count}" + (f", {failed} failed" if failed else ""))
    if empty:
        output.print(f"{len(empty)} structures have none: {escape(empty[0].reason)}.")
    if summary.done:
        contacts, lost = (sum(getattr(e, name) for e in summary.done) for name in ("contacts", "lost_contacts"))
        output.print(f"{contacts} interface pairs; {lost} contacts of residues that the unbound structures lack.")
    if summary.failed:
        raise typer.Exit(2 if len(summary.failed) == len(summary.complexes) else 1)
