"""`resblock calibrate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from resblock.cli.console import extra, output

if TYPE_CHECKING:
    from resblock.pairs.expectations import Expectations


def calibrate(
    weights: Annotated[Path, typer.Argument(help="File of resblock train or ensemble.")],
    metrics: Annotated[Path, typer.Option(help="metrics.json of a resblock cross-validate of the same presets.")],
    out: Annotated[Path, typer.Option(help="File for the calibrated weights.")],
    row: Annotated[str, typer.Option(help="Row of the cross-validation that was trained alike.")] = "ensemble",
) -> None:
    """Calibrate scores on out-of-fold predictions (Platt scaling), and store what to expect of them.

    The order of the pairs stays as it is. What to expect are the calibration of residues and the precision and recall
    of cutoffs, which predict and export then tell.
    """
    with extra("train"):
        from resblock.training.cross_validation import read_calibration
    from resblock.models import load_ensemble, save_ensemble

    calibration, expectations = read_calibration(metrics, row)
    ensemble = load_ensemble(weights)
    ensemble.calibrate(calibration)
    ensemble.card.pop("expectations", None)
    if expectations is not None:
        ensemble.card["expectations"] = expectations.as_dict()
    save_ensemble(out, ensemble)
    if expectations is None:
        output.print("No dimer without a homologue in training: the weights do not say what to expect of a list.")
    else:
        output.print(_cutoffs(expectations))
    output.print(f"log-odds x {calibration.scale:.3f} {calibration.shift:+.3f}; the weights are in {escape(str(out))}.")


def _cutoffs(expectations: Expectations) -> Table:
    """Lay out every fourth cutoff of residues for the terminal."""
    table = Table(title=f"Residues marked from a probability on, {expectations.dimers} dimers without a homologue")
    for heading in ("probability", "precision", "recall"):
        table.add_column(heading, justify="right")
    for one in expectations.residues[::4]:
        table.add_row(f"{one.probability:.3f}", f"{one.precision:.2f}", f"{one.recall:.2f}")
    return table
