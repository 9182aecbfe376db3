"""`resblock calibrate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from resblock.cli.console import extra, output


def calibrate(
    weights: Annotated[Path, typer.Argument(help="Of resblock train or average.")],
    figures: Annotated[Path, typer.Option(help="figures.json of a resblock cross-validate of the same presets.")],
    out: Annotated[Path, typer.Option(help="File for the corrected weights.")],
    model: Annotated[str, typer.Option(help="Row of the cross-validation that trained in the same way.")] = "average",
) -> None:
    """Make scores mean what they say: correct them as those of dimers that were not learned from must be.

    The order of the pairs stays as it is.
    """
    with extra("train"):
        from resblock.training.cross_validation import read_calibration
    from resblock.scoring import load_scorer

    calibration = read_calibration(figures, model)
    scorer = load_scorer(weights)
    scorer.calibrate(calibration)
    scorer.card |= {"calibration": {"scale": calibration.scale, "shift": calibration.shift}}
    scorer.save(out)
    output.print(f"log-odds x {calibration.scale:.3f} {calibration.shift:+.3f}; the weights are in {escape(str(out))}.")
