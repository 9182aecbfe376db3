"""`resblock export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from resblock.cli.console import output, remarks


def export(
    run: Annotated[Path, typer.Argument(help="Directory of resblock predict.")],
    to: Annotated[
        str,
        typer.Option(
            metavar="FORMAT",
            help="haddock, lightdock, pydock, cluspro, hdock, boltz, chai, protenix, rfdiffusion, bindcraft, boltzgen, "
            "pymol, chimerax or residues.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="Directory for the files.")],
    top: Annotated[
        int | None, typer.Option(min=1, help="Residues of each partner, or pairs; by default what is marked.")
    ] = None,
    cutoff: Annotated[
        str | None, typer.Option(metavar="precision=0.5", help="Which residues are marked, as in resblock predict.")
    ] = None,
    form: Annotated[str, typer.Option(help="residues or pairs: what Boltz, Chai and Protenix are told.")] = "residues",
    target: Annotated[str, typer.Option(help="receptor or ligand: what a binder is designed for.")] = "receptor",
) -> None:
    """Write a prediction as the next program reads it: restraints, constraints, hotspots, selections.

    Needs no weights. docs/export.md has a command of each program that uses the files.
    """
    from resblock.prediction import Prediction

    found = Prediction.load(run)
    if cutoff is not None:
        found = found.with_cutoff(cutoff)
    written = found.export(to, out, top=top, form=form, target=target)  # type: ignore[arg-type]
    if any(path.name == "numbering.csv" for path in written):
        remarks.print("note: chains or numbers are not the author's; numbering.csv has both")
    output.print(f"Written to {escape(str(out))}: {', '.join(path.name for path in written)}")
