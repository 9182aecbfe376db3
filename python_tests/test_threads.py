"""The operator's own threads, and calls from several of Python's."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from networks import Case, gradients
from torch import Tensor

# Many sequences, few, and wide layers: one case of each CPU schedule, and of the wavefront's kernel for wider ones.
CASES = [
    Case(30, 50, 18, 8, 6, dropout_p=0.2, with_lengths=True),
    Case(600, 2, 18, 8, 9),
    Case(2_000, 1, 18, 24, 20),
    Case(20, 5, 18, 70, 3, "previous"),
    Case(600, 2, 18, 8, 6, dropout_p=0.2, resets_p=0.05, cells=True),
]


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def training_step(case: Case, dtype: torch.dtype = torch.float32, chunks: int = 0) -> tuple[Tensor, ...]:
    tensors = case.tensors(dtype)
    outputs = case.run(tensors, chunks)
    return (*outputs, *gradients(outputs, tensors))


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_their_number_changes_no_bit(case: Case, dtype: torch.dtype) -> None:
    results = []
    for number in (1, 2, 3, 5):
        torch.set_num_threads(number)
        with torch.no_grad():
            inference = case.run(case.tensors(dtype))
        results.append((*inference, *training_step(case, dtype), *training_step(case, dtype, chunks=3)))
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


@pytest.mark.parametrize("chunks", [0, 3])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_concurrent_calls_compute_what_they_compute_alone(case: Case, chunks: int) -> None:
    cases = [dataclasses.replace(case, seed=seed) for seed in range(6)]
    alone = [training_step(case, chunks=chunks) for case in cases]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda case: training_step(case, chunks=chunks), cases))
    for a, b in zip(alone, together, strict=True):
        assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def ticks_during(work: Callable[[], object]) -> int:
    """Count how often another Python thread comes to run while `work` does."""
    started, done, ticks = threading.Event(), threading.Event(), []

    def tick() -> None:
        while not done.is_set():
            ticks.append(started.is_set())
            time.sleep(0.0005)

    ticking = threading.Thread(target=tick)
    ticking.start()
    started.set()
    work()
    done.set()
    ticking.join()
    return sum(ticks)


@pytest.mark.parametrize("chunks", [0, 2])
def test_the_interpreter_is_free_while_kernels_run(chunks: int) -> None:
    """A kernel that held it would let the other thread run once before and once after."""
    case = Case(2000, 4, 18, 32, 20)
    tensors = case.tensors(torch.float32)
    weight = torch.ones(case.steps, case.batch, case.units)

    def forward() -> Tensor:
        return case.run(tensors, chunks)[0]

    output = forward()
    for work in (lambda: case.run([t.detach() for t in tensors]), forward, lambda: output.backward(weight)):
        assert ticks_during(work) > 10
