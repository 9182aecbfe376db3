"""`resblock average`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from resblock.cli.console import output
from resblock.errors import InputError


def average(
    weights: Annotated[list[Path], typer.Argument(help="Two or more files of resblock train.")],
    out: Annotated[Path, typer.Option(help="File for the average.")],
) -> None:
    """Make one set of weights of several, of any presets: its score is the mean of their log-odds.

    All of them must need the same features. An average among them counts as its members.
    """
    from resblock.scoring import EnsembleScorer, load_scorer

    if len(weights) < 2:
        raise InputError(f"{weights[0]}: nothing to average it with; name another file")
    ensemble = EnsembleScorer.of([load_scorer(path) for path in weights])
    cards = [member.card for member in ensemble.members]
    learned = [card.get("complexes", {}) for card in cards]
    complexes = {part: sorted(set().union(*(one.get(part, ()) for one in learned))) for part in ("train", "validation")}
    ensemble.card = {"complexes": complexes, "members": cards}
    ensemble.save(out)
    output.print(f"{len(ensemble.members)} networks are in {escape(str(out))}.")
