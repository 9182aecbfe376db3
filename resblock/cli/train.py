"""`resblock train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from resblock.cli.console import extra, output


def train(
    data: Annotated[Path, typer.Argument(help="Directory of prepared complexes (resblock prepare).")],
    out: Annotated[Path, typer.Option(help="The run's directory. A run found there is resumed.")],
    preset: Annotated[
        str,
        typer.Option(help="paper; windows (fewer, wider layers); residues, neighbours or chain (whole partners)."),
    ] = "paper",
    config: Annotated[Path | None, typer.Option(help="TOML file whose fields replace the preset's.")] = None,
    set_field: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="SECTION.FIELD=VALUE", help="Replace one field; may be repeated."),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(
            help="List of codes with train, validation or test behind, or the name of an included one: all, "
            "without_paper_test, included_weights. 6:2:2 by the seed without it."
        ),
    ] = None,
    folding: Annotated[
        Path | None,
        typer.Option(help="Directory of networks for inverse folding, for models that see it: docs/train.md."),
    ] = None,
    start: Annotated[
        Path | None,
        typer.Option(help="Weights to begin with, of as many models with the same settings."),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
) -> None:
    """Train a model on prepared complexes, or resume a run that was interrupted.

    Writes config.toml, split.tsv, a checkpoint after every epoch, CSV and TensorBoard logs, and at the end
    weights.safetensors. Several processes: torchrun --nproc-per-node N -m resblock train ...; several nodes
    need a directory that all of them see.
    """
    with extra("train"):
        from resblock.training import run
        from resblock.training.config import resolve_config
    from resblock.cli.evaluate import metrics_table
    from resblock.evaluation.splits import find_list

    resolved = resolve_config(preset, config, tuple(set_field or ()))
    outcome = run.train(
        data, out, resolved, None if split is None else find_list(split), device, folding=folding, start=start
    )
    if not outcome.leader:
        return
    if outcome.already_finished:
        output.print(f"{escape(str(out))} holds this run already, finished: nothing to do.")
    if outcome.metrics:
        output.print(metrics_table("Validation", outcome.metrics))
    output.print(f"Weights: {escape(str(outcome.weights))}")
