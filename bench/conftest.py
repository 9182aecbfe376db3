"""How calls are timed: in turns.

Every size is timed in several passes, the participants one after the other within each (A, B, C, A, B, C, ...), so
that the noise of a shared machine falls on all of them alike. Slow calls are made fewer times.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import importlib.util
import itertools
import os
import time
from collections.abc import Callable, Iterable, Iterator

import limits
import onnxruntime
import pytest
import torch
from peers import Call, call_of
from workloads import JAX, Participant, Size

import resblock.ops

Timer = Callable[..., None]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--select", default="", help="part of a suite: a row of the table, or as the suite says")
    parser.addoption("--quick", action="store_true", help="two short passes: shows that all works, not how fast")
    parser.addoption("--threads", default="1,2", help="numbers of threads, as far as there are cores")


def pytest_benchmark_update_machine_info(machine_info: dict) -> None:
    machine_info["resblock"] = {
        "instruction_set": resblock.ops.instruction_set(),
        "cores": len(os.sched_getaffinity(0)),
        "torch": torch.__version__,
        "onnxruntime": onnxruntime.__version__,
        "jax": importlib.metadata.version("jax") if importlib.util.find_spec("jax") else None,
        "limits": limits.measured(),
    }


@dataclasses.dataclass(frozen=True)
class Effort:
    """How often calls are timed: `seconds` of them in a pass."""

    passes: int
    seconds: float

    def of(self, call_seconds: float) -> int:
        """Give the number of passes for calls that take so long."""
        return min(self.passes, 5 if call_seconds < 0.5 else 3 if call_seconds < 3 else 2)


def available_threads(config: pytest.Config) -> list[int]:
    """Give the wanted numbers of threads for which there are cores."""
    wanted = [int(count) for count in config.getoption("--threads").split(",")]
    return [count for count in wanted if count <= len(os.sched_getaffinity(0))] or [1]


def with_jax(participants: Iterable[Participant]) -> list[Participant]:
    """Leave JAX out where it is not installed."""
    installed = importlib.util.find_spec("jax") is not None
    return [participant for participant in participants if installed or participant.peer != JAX]


def effort(config: pytest.Config, passes: int = 5, seconds: float = 0.3) -> Effort:
    return Effort(2, seconds / 20) if config.getoption("--quick") else Effort(passes, seconds)


def in_turns(metafunc: pytest.Metafunc, sizes: Iterable[tuple[object, Iterable[object]]], passes: int = 5) -> None:
    """Parametrize a test with (what, turn, participant), all participants of a pass before the next pass."""
    turns = range(effort(metafunc.config, passes).passes)
    cases = [(what, *case) for what, peers in sizes for case in itertools.product(turns, with_jax(peers))]
    ids = ["-".join(str(part) for part in case) for case in cases]
    metafunc.parametrize(("what", "turn", "participant"), cases, ids=ids)


class Calls:
    """The calls of the size at hand, with the seconds each took once it was warm."""

    def __init__(self) -> None:
        self._size: object = None
        self._calls: dict[object, tuple[Call, float]] = {}

    def get(self, participant: Participant, size: Size, mode: str) -> tuple[Call, float]:
        if (size, mode) != self._size:
            self._size, self._calls = (size, mode), {}
        if participant not in self._calls:
            call = call_of(participant, size, mode)
            seconds = _seconds(call)
            self._calls[participant] = call, seconds if seconds > 0.5 else _seconds(call)
        return self._calls[participant]


def _seconds(call: Call) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


_calls = Calls()


def warm_call(participant: Participant, size: Size, mode: str = "") -> tuple[Call, float]:
    """Give the call and its first seconds, on the participant's threads."""
    torch.set_num_threads(participant.threads)
    return _calls.get(participant, size, mode)


@pytest.fixture
def timed(benchmark, request: pytest.FixtureRequest) -> Iterator[Timer]:
    """Time one turn of one participant, and record what it was."""
    before = torch.get_num_threads()

    def run(
        participant: Participant,
        size: Size,
        turn: int,
        effort: Effort,
        mode: str = "",
        before_each: Call | None = None,
        **about: object,
    ) -> None:
        call, seconds = warm_call(participant, size, mode)
        if turn >= effort.of(seconds):
            pytest.skip(f"{seconds:.1f} s a call: measured in fewer passes")
        suite = request.module.__name__.removeprefix("test_")
        benchmark.extra_info.update(
            suite=suite, size=dataclasses.astuple(size), participant=dataclasses.astuple(participant), about=about
        )
        # A clock cannot be asked more often than this; and what comes before each call is not to be timed.
        iterations = 1 if before_each else max(1, int(50e-6 / seconds))
        rounds = min(max(1, int(effort.seconds / (seconds * iterations))), 200)
        warm_up = int(seconds < 0.2)
        benchmark.pedantic(call, setup=before_each, rounds=rounds, iterations=iterations, warmup_rounds=warm_up)

    yield run
    torch.set_num_threads(before)
