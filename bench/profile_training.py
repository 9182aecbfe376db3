"""How much of training the paper's network, and of ranking with it, is spent inside the operator.

    python bench/profile_training.py prepared

trains the preset `paper` on all prepared complexes of two single chains but the paper's test dimers, which it then
ranks: all windows, as `resblock train` and `resblock evaluate` do it, on one thread.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

import torch
import typer
from torch.profiler import ProfilerActivity, profile

from resblock.evaluation import evaluate
from resblock.evaluation.splits import find_list, part_of
from resblock.models import load_ensemble
from resblock.pairs import load_complexes
from resblock.training.config import resolve_config
from resblock.training.run import train

OPERATORS = ("resblock::residual_lstm", "resblock::residual_lstm_backward")
LEAST_SHARE = 0.85
Result = TypeVar("Result")


def profiled(name: str, work: Callable[[], Result]) -> Result:
    """Do the work, and print its seconds and the share of the operator in them."""
    begin = time.perf_counter()
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        result = work()
        seconds = time.perf_counter() - begin
    inside = sum(row.cpu_time_total for row in profiler.key_averages() if row.key in OPERATORS) * 1e-6
    met = "at least" if inside / seconds >= LEAST_SHARE else "below"
    print(f"{name}: {seconds:.1f} s, {inside / seconds:.1%} inside the operator ({met} {LEAST_SHARE:.0%})")
    return result


def main(
    prepared: Annotated[Path, typer.Argument(help="Directory of prepared complexes (resblock prepare).")],
    epochs: Annotated[int, typer.Option(help="Epochs to train.")] = 5,
) -> None:
    """Train, then rank."""
    torch.set_num_threads(1)
    parts = find_list("without_paper_test")
    config = resolve_config("paper", None, (f"optimisation.epochs={epochs}",))
    with tempfile.TemporaryDirectory() as directory:
        done = profiled(f"training, {epochs} epochs", lambda: train(prepared, Path(directory) / "run", config, parts))
        ensemble = load_ensemble(done.weights)
    test = load_complexes(prepared, part_of(parts, "test"))
    profiled(f"ranking all pairs of {len(test)} dimers", lambda: evaluate(ensemble, test))


if __name__ == "__main__":
    typer.run(main)
