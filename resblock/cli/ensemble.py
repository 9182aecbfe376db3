"""`resblock ensemble`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from resblock.cli.console import output
from resblock.errors import InputError


def ensemble(
    weights: Annotated[list[Path], typer.Argument(help="Two or more files of resblock train.")],
    out: Annotated[Path, typer.Option(help="File for the ensemble.")],
) -> None:
    """Combine weight files into an ensemble, whose log-odds are the mean of its models'.

    The files may come from any presets; an ensemble among them counts as its models.
    """
    from resblock.models import Ensemble, load_ensemble, save_ensemble

    if len(weights) < 2:
        raise InputError(f"{weights[0]}: nothing to combine it with; name another file")
    combined = Ensemble.of([load_ensemble(path) for path in weights])
    trained_on = [model.card.get("complexes", {}) for model in combined.models]
    combined.card["complexes"] = {
        part: sorted(set().union(*(one.get(part, ()) for one in trained_on))) for part in ("train", "validation")
    }
    save_ensemble(out, combined)
    output.print(f"{len(combined.models)} models are in {escape(str(out))}.")
