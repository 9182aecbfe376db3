"""`resblock calibrate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from resblock.cli.console import extra, output


def calibrate(
    weights: Annotated[Path, typer.Argument(help="File of resblock train or ensemble.")],
    metrics: Annotated[Path, typer.Option(help="metrics.json of a resblock cross-validate of the same presets.")],
    out: Annotated[Path, typer.Option(help="File for the calibrated weights.")],
    row: Annotated[str, typer.Option(help="Row of the cross-validation that was trained alike.")] = "ensemble",
) -> None:
    """Calibrate scores on out-of-fold predictions (Platt scaling).

    The order of the pairs stays as it is.
    """
    with extra("train"):
        from resblock.training.cross_validation import read_calibration
    from resblock.models import load_ensemble, save_ensemble

    calibration = read_calibration(metrics, row)
    ensemble = load_ensemble(weights)
    ensemble.calibrate(calibration)
    save_ensemble(out, ensemble)
    output.print(f"log-odds x {calibration.scale:.3f} {calibration.shift:+.3f}; the weights are in {escape(str(out))}.")
