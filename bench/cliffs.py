"""Look for cliffs: sizes of which one more unit, sequence, step or layer costs much more than its arithmetic.

    python bench/cliffs.py [--only H,B] [--passes 5]

Along each axis all sizes are timed in turns: calls of the operator, by the processor time of one thread.
Neighbours n and n + 1 whose cost grows by over 1.35 times what the arithmetic grows are timed again, alternately, and
listed if they still do. The arithmetic is multiply-adds, with the cell's equations as so many of them.
"""

from __future__ import annotations

import dataclasses
import itertools
import statistics
import time
from collections.abc import Iterator
from typing import Annotated, Final

import torch
import typer
from peers import Call, input_of
from rich.progress import track
from tables import markdown
from workloads import INPUTS, Size

from resblock import ResidualLSTM
from resblock.ops import plan, residual_lstm

MOST_GROWTH: Final = 1.35
CELL_MULTIPLY_ADDS: Final = 55  # the equations of a unit, by their time on registers
SECONDS: Final = 0.004  # of calls that are timed together
NAMES: Final = {"H": "units", "B": "batch", "T": "steps", "L": "layers"}
#: Axis, its sizes, and the other sizes as (layers, units, batch, steps), of which the axis' own is not looked at.
AXES: Final = {
    "H": (range(1, 73), [(1, 0, 1, 50), (2, 0, 4, 20), (60, 0, 1, 10), (2, 0, 16, 20), (8, 0, 64, 9)]),
    "B": (range(1, 71), [(2, 8, 0, 20), (2, 16, 0, 20), (2, 32, 0, 20), (2, 64, 0, 20), (60, 8, 0, 9)]),
    "T": (range(1, 41), [(2, 16, 4, 0), (60, 8, 1, 0), (2, 64, 16, 0), (1, 256, 1, 0)]),
    "L": (range(1, 21), [(0, 8, 1, 50), (0, 16, 32, 9), (0, 64, 4, 10)]),
}


def sizes_along(axis: str) -> Iterator[list[Size]]:
    """Give the sizes along an axis, for all others, forward and in training."""
    values, rest = AXES[axis]
    for others, training in itertools.product(rest, (False, True)):
        yield [dataclasses.replace(Size(*others, training), **{NAMES[axis]: value}) for value in values]


def work(size: Size) -> int:
    """Count multiply-adds, and the cell's equations as such; the backward pass of these costs half a forward pass."""
    equations = size.cells * size.units * CELL_MULTIPLY_ADDS
    return size.multiply_adds + (equations * 3 // 2 if size.training else equations)


def call_of(size: Size) -> Call:
    """Give a call of the operator, without a module."""
    lstm, x = ResidualLSTM(INPUTS, size.units, size.layers, stacked=True), input_of(size)
    none = x.new_zeros(0, 4 * size.units, size.units)
    weight_ih = none if lstm.weight_ih is None else lstm.weight_ih
    weights = [lstm.weight_ih_first, weight_ih, lstm.weight_hh, lstm.weight_peephole, lstm.bias]
    state = x.new_zeros(()).expand(size.layers, size.batch, size.units)
    wanted = [w for w in weights if w.requires_grad]

    def infer() -> object:
        with torch.inference_mode():
            return residual_lstm(x, *weights, state, state)

    def train() -> object:
        return torch.autograd.grad(residual_lstm(x, *weights, state, state)[0].sum(), wanted)

    return train if size.training else infer


def seconds_of(call: Call) -> float:
    """Time some calls."""
    count, begun = 0, time.thread_time()
    while (spent := time.thread_time() - begun) < SECONDS:
        call()
        count += 1
    return spent / count


def growth(before: float, after: float, sizes: tuple[Size, Size]) -> float:
    """Give how much more the cost grew than the arithmetic did."""
    return after / before / (work(sizes[1]) / work(sizes[0]))


def cliffs_along(sizes: list[Size], passes: int) -> list[list[str]]:
    """Give the rows of the table: what costs too much more than its neighbour."""
    calls = [call_of(size) for size in sizes]
    for call in calls:
        call()
    turns = [[seconds_of(call) for call in calls] for _ in range(passes)]
    cost = [statistics.median(of_size) for of_size in zip(*turns, strict=True)]
    rows = []
    for k, pair in enumerate(itertools.pairwise(sizes)):
        if growth(cost[k], cost[k + 1], pair) < MOST_GROWTH:
            continue
        again = [(seconds_of(calls[k]), seconds_of(calls[k + 1])) for _ in range(3 * passes)]
        before, after = (statistics.median(side) for side in zip(*again, strict=True))
        if (found := growth(before, after, pair)) >= MOST_GROWTH:
            schedules = " to ".join(dict.fromkeys(_schedule(size) for size in pair))
            rows.append([str(pair[1]), f"{before * 1e6:,.1f}", f"{after * 1e6:,.1f}", f"{found:.2f}", schedules])
    return rows


def _schedule(size: Size) -> str:
    return plan(size.steps, size.batch, INPUTS, size.units, size.layers, training=size.training).forward.schedule


def main(
    only: Annotated[str, typer.Option(help="Axes, of H, B, T and L.")] = "H,B,T,L",
    passes: Annotated[int, typer.Option(help="Turns through the sizes of an axis.")] = 5,
) -> None:
    """Scan all axes, and write the table of cliffs."""
    torch.set_num_threads(1)
    if unknown := set(only.split(",")) - set(AXES):
        raise typer.BadParameter(
            f"{', '.join(sorted(unknown))}: expected some of {', '.join(AXES)}", param_hint="--only"
        )
    axes = [sizes for axis in only.split(",") for sizes in sizes_along(axis)]
    rows = [row for sizes in track(axes) for row in cliffs_along(sizes, passes)]
    rows.sort(key=lambda row: -float(row[3]))
    if rows:
        print(markdown(["size", "one less, us", "this, us", "growth over the arithmetic's", "schedule"], rows))
    print(f"\n{len(rows)} of {sum(len(sizes) - 1 for sizes in axes):,} steps.")


if __name__ == "__main__":
    typer.run(main)
