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

    A complex that fails is reported and does not stop the others; a second run does only what is missing. What each
    file held is in prepare.log. The exit status is 1 if some complexes failed, 2 if all did.
    """
    from resblock.evaluation.splits import read_split
    from resblock.pairs import prepare_benchmark

    log = out / "prepare.log"
    codes = None if only is None else list(read_split(only))
    with progress_bar() as bar:
        task = bar.add_task("preparing", total=None)

        def show(entry: Prepared, total: int) -> None:
            bar.update(task, total=total, advance=1, description=entry.code)
            lines = [f"failed: {entry.reason}"] if entry.status == "failed" else entry.read
            for line in lines:
                if line.startswith(("failed: ", "note: ")):
                    remarks.print(escape(f"{entry.code}: {line}"))
            with log.open("a", encoding="utf-8") as file:
                file.writelines(f"{entry.code}: {line}\n" for line in lines or [entry.status])

        summary = prepare_benchmark(benchmark_dir, out, only=codes, jobs=jobs, progress=show)
    output.print(
        f"{len(summary.complexes)} complexes: {len(summary.done)} prepared, {len(summary.unchanged)} unchanged, "
        f"{len(summary.failed)} failed. They are in {escape(str(out))}."
    )
    contacts, lost = (sum(getattr(e, name) for e in summary.done) for name in ("contacts", "lost_contacts"))
    if summary.done:
        output.print(f"{contacts} interface pairs; {lost} contacts of residues that the unbound structures lack.")
    if summary.failed:
        raise typer.Exit(2 if len(summary.failed) == len(summary.complexes) else 1)
