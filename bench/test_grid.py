"""Ours beside torch.nn.LSTM over a grid of sizes, as far as the latter takes under two seconds.

`--select "60 training"` takes a number of layers and the kind. The time of a size is estimated from that of the same
one with fewer steps, and sizes that would take too long are never run.
"""

from __future__ import annotations

import itertools

import pytest
from conftest import effort, in_turns, warm_call
from workloads import (
    GRID_BATCHES,
    GRID_LAYERS,
    GRID_SECONDS,
    GRID_STEPS,
    GRID_UNITS,
    OURS,
    TORCH,
    Participant,
    Size,
)

PARTICIPANTS = (Participant(TORCH), Participant(OURS))
PASSES = 5
QUICK_STRIDE = 29
PEAK = 1e11  # operations per second that torch.nn.LSTM surely stays under

_torch_seconds: dict[Size, float] = {}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    layers, kind = [*metafunc.config.getoption("--select").split(), "", ""][:2]
    sizes = [
        Size(*numbers, training)
        for training in (False, True)
        for numbers in itertools.product(GRID_LAYERS, GRID_UNITS, GRID_BATCHES, GRID_STEPS)
        if layers in ("", str(numbers[0])) and kind in ("", "training" if training else "forward")
    ]
    if metafunc.config.getoption("--quick"):
        sizes = [s for s in sizes[::QUICK_STRIDE] if 2e-9 * s.multiply_adds < 1 and s.steps * s.layers < 10_000]
    in_turns(metafunc, [(size, PARTICIPANTS) for size in sizes], PASSES)


def estimated_seconds(size: Size) -> float:
    """Estimate torch.nn.LSTM's time: linear in the steps, and never above its arithmetic."""
    shorter = [(s, t) for s, t in _torch_seconds.items() if _same_but_steps(s, size) and s.steps < size.steps]
    known = max(shorter, key=lambda pair: pair[0].steps, default=None)
    linear = known[1] * size.steps / known[0].steps if known else 0
    return max(linear, 2 * size.multiply_adds / PEAK)


def _same_but_steps(a: Size, b: Size) -> bool:
    return (a.layers, a.units, a.batch, a.training) == (b.layers, b.units, b.batch, b.training)


def test_grid(timed, request, what: Size, turn: int, participant: Participant) -> None:
    if what not in _torch_seconds:
        estimate = estimated_seconds(what)
        # One step costs more than its share of many: such an estimate is not trusted to leave a size out.
        trusted = what.steps > GRID_STEPS[1] or 2 * what.multiply_adds / PEAK > GRID_SECONDS
        short = estimate <= GRID_SECONDS or not trusted
        _torch_seconds[what] = warm_call(Participant(TORCH), what)[1] if short else estimate
    if _torch_seconds[what] > GRID_SECONDS:
        pytest.skip(f"torch.nn.LSTM takes {_torch_seconds[what]:.0f} s")
    timed(participant, what, turn, effort(request.config, PASSES, 0.02))
