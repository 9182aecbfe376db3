"""`resblock pretrain`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from resblock.cli.console import extra, output, remarks
from resblock.errors import InputError


def pretrain(
    data: Annotated[Path, typer.Argument(help="Directory of prepared complexes (resblock prepare).")],
    out: Annotated[Path, typer.Option(help="The run's directory. A run found there is resumed.")],
    set_field: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="SECTION.FIELD=VALUE", help="Replace one field; may be repeated."),
    ] = None,
    groups: Annotated[Path | None, typer.Option(help="Table of resblock homologues --groups.")] = None,
    leave_out: Annotated[int | None, typer.Option(help="Group whose clusters are not trained on.")] = None,
) -> None:
    """Train a network for inverse folding: which types of residues does the backbone of a partner make one expect?

    Its surprise and its encodings describe partners for other models. It sees one partner at a time. To describe the
    partners that another model is trained on, train one network for each group without that group, so that none
    describes what it has seen.
    """
    from resblock.evaluation.groups import read_groups

    with extra("train"):
        from resblock.training.pretraining import Settings
        from resblock.training.pretraining import pretrain as run

    if leave_out is not None and groups is None:
        raise InputError("--leave-out needs to know the groups; give --groups")
    weights = run(
        data,
        out,
        Settings.of(tuple(set_field or ())),
        members=() if groups is None else read_groups(groups),
        left_out=leave_out,
        progress=lambda said: remarks.print(escape(f"epoch, loss, perplexity, recovery: {' '.join(said.split())}")),
    )
    output.print(f"Weights: {escape(str(weights))}")
