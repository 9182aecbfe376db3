"""`resblock compare`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from resblock.cli.console import output
from resblock.errors import InputError

if TYPE_CHECKING:
    from resblock.prediction.comparison import Comparison


def compare(
    run: Annotated[Path, typer.Argument(help="Directory of resblock predict.")],
    model: Annotated[Path, typer.Argument(help="Model of the complex: mmCIF or PDB of AlphaFold 3, Boltz, Chai, ...")],
    chains: Annotated[
        str | None,
        typer.Option(metavar="H,L:A", help="Its chains that are receptor and ligand; by default those named alike."),
    ] = None,
    confidence: Annotated[
        Path | None, typer.Option(help="The program's confidence file: JSON (AlphaFold 3, Boltz) or npz (Chai).")
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="Contacts that are shown.")] = 10,
) -> None:
    """Take a second look at a co-folded complex: which of its contacts does the prediction rank high?

    The prediction knows nothing of the model: it was made of the two partners apart.
    """
    from resblock.cli.predict import partner_chains
    from resblock.prediction import Prediction
    from resblock.prediction.comparison import compare as compared
    from resblock.report import pairs_table

    receptor, ligand = partner_chains(chains, "--chains") if chains else (None, None)
    if not model.exists():
        raise InputError(f"{model}: no such file; check the path")
    found = compared(Prediction.load(run), model, receptor, ligand, confidence)
    output.print(pairs_table(found.contacts, top, title="Contacts of the model, by the prediction"))
    for line in _sentences(found):
        output.print(escape(line))


def _sentences(found: Comparison) -> list[str]:
    hundredth = max(1, found.pairs // 100)
    early = sum(pair.rank <= hundredth for pair in found.contacts)
    (receptor, ligand), (first, second) = found.marked, found.marked_inside
    marked = f"{first} of {receptor} marked residues of the receptor, {second} of {ligand} of the ligand"
    lines = [
        f"Agreement {found.agreement:.2f}: chance that a contact of the model ranks above another pair. "
        "With the included weights .81 for bound complexes, .71 for random poses of their partners.",
        f"Of its {len(found.contacts)} contacts, {early} are among the first {hundredth} of {found.pairs} pairs (1 %).",
        f"In its interface are {marked}.",
    ]
    if found.confidence:
        told = ", ".join(f"{name} {value:.2f}" for name, value in found.confidence.items())
        lines.append(f"The program itself: {told}.")
    return lines
