"""`resblock prepare`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from resblock.cli.console import output, progress_bar, remarks

if TYPE_CHECKING:
    from resblock.pairs import Prepared


def prepare(
    benchmark_dir: Annotated[Path, typer.Argument(help="CODE/{receptor,ligand}_{unbound,bound}.{pdb,cif}[.gz].")],
    out: Annotated[Path, typer.Option(help="Directory for the prepared complexes, one .npz each.")],
    only: Annotated[Path | None, typer.Option(help="List of codes, one a line; all by default.")] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes; as many as processors by default.")] = None,
) -> None:
    """Compute features and labels of a docking benchmark, which serve every model.

    A complex that fails is reported and does not stop the others; a second run does only what is missing.
    """
    from resblock.evaluation.splits import read_split
    from resblock.pairs import prepare_benchmark

    codes = None if only is None else list(read_split(only))
    with progress_bar() as bar:
        task = bar.add_task("preparing", total=None)

        def show(entry: Prepared, total: int) -> None:
            bar.update(task, total=total, advance=1, description=entry.code)
            if entry.status == "failed":
                remarks.print(f"failed {entry.code}: {escape(entry.reason)}")

        summary = prepare_benchmark(benchmark_dir, out, only=codes, jobs=jobs, progress=show)
    output.print(
        f"{len(summary.complexes)} complexes: {len(summary.done)} prepared, {len(summary.unchanged)} unchanged, "
        f"{len(summary.failed)} failed. They are in {escape(str(out))}."
    )
    contacts, lost = (sum(getattr(e, name) for e in summary.done) for name in ("contacts", "lost_contacts"))
    if summary.done:
        output.print(f"{contacts} interface pairs; {lost} contacts of residues that the unbound structures lack.")
    if summary.failed and len(summary.failed) == len(summary.complexes):
        raise typer.Exit(2)
