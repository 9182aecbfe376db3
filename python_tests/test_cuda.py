"""The operator on a GPU. RESBLOCK_REQUIRE_CUDA=1 turns the skip into a failure."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import tolerances
import torch
from networks import Case, gradients, odd_sizes
from tolerances import error

import resblock.ops
from resblock import ResidualLSTM
from resblock.ops import residual_lstm
from resblock.ops.arguments import Options

HERE = Path(__file__).resolve().parent
CAN_RUN = torch.cuda.is_available() and resblock.ops.has_cuda_kernels()
REQUIRED = os.environ.get("RESBLOCK_REQUIRE_CUDA") == "1"
pytestmark = pytest.mark.skipif(
    not CAN_RUN and not REQUIRED, reason="no GPU, or resblock was built without its CUDA kernels"
)


def on_gpu(
    case: Case, tensors: list[torch.Tensor], checkpoint_chunks: int = 0, schedule: str | None = None
) -> tuple[list[torch.Tensor], tuple[torch.Tensor, ...]]:
    moved = [t.detach().cuda().requires_grad_() for t in tensors]
    lengths = None if case.lengths is None else case.lengths.cuda()
    options = lengths, case.dropout_p, case.dropout_seed, case.residual, case.output_peephole
    more = {"resets": None if case.resets is None else case.resets.cuda(), "return_cells": case.cells}
    return moved, residual_lstm(*moved, *options, checkpoint_chunks, schedule, **more)


@pytest.mark.parametrize("case", odd_sizes(), ids=str)
def test_float64_agrees_with_the_reference(case: Case) -> None:
    tensors = case.tensors()
    moved, actual = on_gpu(case, tensors)
    expected = case.reference(tensors)
    for a, e in zip(actual, expected, strict=True):
        assert error(a.cpu(), e) < tolerances.DOUBLE
    expected_gradients = gradients(expected, tensors)
    for a, e in zip(gradients_on_gpu(actual, moved), expected_gradients, strict=True):
        assert error(a.cpu(), e) < tolerances.DOUBLE_GRADIENT


@pytest.mark.parametrize("case", odd_sizes(), ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_odd_sizes_agree_with_the_cpu(case: Case, dtype: torch.dtype) -> None:
    check_with_cpu(case, dtype, 4 * tolerances.FLOAT32_FLOOR)


@pytest.mark.parametrize("schedule", [None, *resblock.ops.schedules("cuda")])
@pytest.mark.parametrize("case", odd_sizes()[::2], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_resets_and_cells_agree_with_the_cpu(case: Case, dtype: torch.dtype, schedule: str | None) -> None:
    case = dataclasses.replace(case, resets_p=0.2, cells=True)
    with contextlib.suppress(ValueError):  # a schedule that does not take the size
        check_with_cpu(case, dtype, 4 * tolerances.FLOAT32_FLOOR, schedule)


def check_with_cpu(case: Case, dtype: torch.dtype, of_float32: float, schedule: str | None = None) -> None:
    """Compare results and gradients; of 16 bits with the tolerance of their type."""
    tensors = case.tensors(dtype)
    moved, actual = on_gpu(case, tensors, schedule=schedule)
    expected = case.run(tensors)
    tolerance = tolerances.HALF.get(dtype, of_float32)
    pairs = [*zip(actual, expected, strict=True)]
    pairs += zip(gradients_on_gpu(actual, moved), gradients(expected, tensors), strict=True)
    assert all(error(a.cpu(), e) < tolerance for a, e in pairs)


def gradients_on_gpu(outputs: tuple[torch.Tensor, ...], tensors: list[torch.Tensor]) -> tuple[torch.Tensor, ...]:
    """The weighting of `gradients`, which is drawn on the CPU."""
    on_cpu = tuple(o.cpu() for o in outputs)
    return gradients(on_cpu, tensors)


SCHEDULES = [None, *resblock.ops.schedules("cuda")]


def skip_unless_taken(case: Case, dtype: torch.dtype, schedule: str | None) -> None:
    sizes = case.steps, case.batch, case.inputs, case.units, case.layers
    options = {"dtype": dtype, "training": True, "dropout": case.dropout_p > 0}
    try:
        resblock.ops.plan(*sizes, **options, schedule=schedule, device="cuda")
    except ValueError as error:
        assert schedule is not None
        pytest.skip(str(error))


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_other_types_agree_with_the_cpu(dtype: torch.dtype, schedule: str | None) -> None:
    case = Case(9, 17, 18, 8, 6, with_lengths=True, dropout_p=0.3)
    skip_unless_taken(case, dtype, schedule)
    check_with_cpu(case, dtype, 4 * tolerances.FLOAT32_FLOOR, schedule)


# Sizes at which the kernels change their ways: lanes per sequence, chunks of time, bundles of a pipe; units of a block.
SIZES = [
    Case(9, 300, 18, 8, 12, residual=True),
    Case(700, 2, 18, 8, 60, "previous"),
    Case(5000, 1, 3, 8, 4),
    Case(64, 21, 40, 13, 7, with_lengths=True, dropout_p=0.2),
    Case(64, 21, 40, 32, 7, "previous", with_lengths=True, dropout_p=0.2),
    Case(64, 900, 40, 32, 3),
    Case(20, 9, 300, 8, 5),
    Case(30, 64, 40, 256, 2),
    Case(9, 7, 300, 70, 4, "previous", with_lengths=True, dropout_p=0.2),
    Case(5, 3, 18, 768, 2),
]


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("case", SIZES, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_sizes_of_every_schedule_agree_with_the_cpu(case: Case, dtype: torch.dtype, schedule: str | None) -> None:
    skip_unless_taken(case, dtype, schedule)
    # Thousands of steps gather more rounding than the floor allows for.
    check_with_cpu(case, dtype, 20 * tolerances.FLOAT32_FLOOR, schedule)


@pytest.mark.parametrize(
    "case",
    [
        Case(40, 3, 18, 8, 6, with_lengths=True, dropout_p=0.3),
        Case(40, 40, 5, 20, 4, "previous", with_lengths=True, dropout_p=0.3),
        Case(13, 5, 5, 40, 4, with_lengths=True, dropout_p=0.3),
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_checkpoint_chunks_change_rounding_only(case: Case, dtype: torch.dtype) -> None:
    tensors = case.tensors(dtype)
    tolerance = tolerances.HALF.get(dtype, tolerances.DOUBLE_GRADIENT)
    if dtype == torch.float32:
        tolerance = 4 * tolerances.FLOAT32_FLOOR
    (cut, in_chunks), (uncut, at_once) = on_gpu(case, tensors, 4), on_gpu(case, tensors)
    pairs = [*zip(in_chunks, at_once, strict=True)]
    pairs += zip(gradients_on_gpu(in_chunks, cut), gradients_on_gpu(at_once, uncut), strict=True)
    assert all(error(a.cpu(), e.cpu()) < tolerance for a, e in pairs)


def test_double_backward_with_a_seed_on_the_device() -> None:
    case = Case(3, 2, 2, 2, 4, dropout_p=0.3)
    tensors = [t.detach().cuda().requires_grad_() for t in case.tensors()]
    seed = case.dropout_seed.cuda()
    assert torch.autograd.gradgradcheck(lambda *t: residual_lstm(*t, None, case.dropout_p, seed), tensors)


def test_autocast_runs_in_the_type_of_the_region() -> None:
    case = Case(9, 17, 18, 8, 6)
    with torch.autocast("cuda", dtype=torch.float16):
        moved, outputs = on_gpu(case, case.tensors(torch.float32))
    expected = on_gpu(case, [t.to(torch.float16) for t in moved])[1]
    assert all(a.dtype == torch.float16 and torch.equal(a, e) for a, e in zip(outputs, expected, strict=True))
    assert all(g.dtype == torch.float32 for g in gradients_on_gpu(outputs, moved))


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="one GPU")
def test_runs_on_the_device_of_its_tensors() -> None:
    case = Case(30, 4, 18, 8, 6)
    first = on_gpu(case, case.tensors(torch.float32))[1]
    second = residual_lstm(*[t.detach().to("cuda:1") for t in case.tensors(torch.float32)])
    assert torch.cuda.current_device() == 0
    assert all(b.device.index == 1 and torch.equal(a.cpu(), b.cpu()) for a, b in zip(first, second, strict=True))


def test_gradcheck_and_opcheck() -> None:
    case = Case(4, 3, 2, 3, 5, dropout_p=0.3, with_lengths=True)
    tensors = [t.detach().cuda().requires_grad_() for t in case.tensors()]
    lengths = case.lengths.cuda() if case.lengths is not None else None

    def run(*arguments: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return residual_lstm(*arguments, lengths, case.dropout_p, case.dropout_seed)

    assert torch.autograd.gradcheck(run, tensors)
    operator = torch.ops.resblock.residual_lstm.default
    options = Options(lengths, None, None, None, 0.3, case.dropout_seed, True, False, None)
    torch.library.opcheck(operator, (*tensors, *options, 0, True, False))


def test_a_seed_on_the_device_draws_the_same_mask() -> None:
    case = Case(9, 17, 18, 8, 6, dropout_p=0.3)
    moved, expected = on_gpu(case, case.tensors(torch.float32))
    actual = residual_lstm(*moved, None, case.dropout_p, case.dropout_seed.cuda(), case.residual, case.output_peephole)
    assert all(torch.equal(a, e) for a, e in zip(actual, expected, strict=True))


# One of each schedule: serial, wavefront, wide.
ONE_EACH = [Case(9, 300, 18, 8, 12), Case(300, 2, 18, 8, 20), Case(9, 20, 18, 40, 4)]


def captured(run: Callable[[], None]) -> torch.cuda.CUDAGraph:
    """Record what `run` does, after a run that is not recorded."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        run()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        run()
    return graph


@pytest.mark.parametrize("case", ONE_EACH, ids=str)
def test_a_graph_of_a_training_step_replays_and_reads_the_seed_anew(case: Case) -> None:
    tensors = [t.detach().cuda().requires_grad_() for t in case.tensors(torch.float32)]
    seed = torch.tensor([1], device="cuda")

    def step() -> None:
        for t in tensors:
            t.grad = None
        residual_lstm(*tensors, None, 0.3, seed)[0].sum().backward()

    graph = captured(step)
    in_graph = [t.grad for t in tensors]
    for value in (1, 2):
        seed.fill_(value)
        graph.replay()
        replayed = [g.clone() for g in in_graph]
        step()
        assert all(torch.equal(a, t.grad) for a, t in zip(replayed, tensors, strict=True))


def test_a_graph_of_a_module_draws_another_mask_at_every_replay() -> None:
    lstm = ResidualLSTM(18, 8, 6, dropout=0.5).cuda()
    x = torch.randn(9, 5, 18, device="cuda")
    output = torch.empty(9, 5, 8, device="cuda")
    graph = captured(lambda: output.copy_(lstm(x)[0].detach()))
    seen = []
    for _ in range(2):
        graph.replay()
        seen.append(output.clone())
    assert not torch.equal(*seen)


def test_two_streams_at_once() -> None:
    cases = [Case(3000, 1, 18, 8, 30), Case(2500, 2, 18, 8, 30)]
    expected = [on_gpu(case, case.tensors(torch.float32))[1][0] for case in cases]
    inputs = [[t.detach().cuda() for t in case.tensors(torch.float32)] for case in cases]
    torch.cuda.synchronize()
    streams = [torch.cuda.Stream() for _ in cases]
    for _ in range(5):
        actual = []
        for stream, tensors in zip(streams, inputs, strict=True):
            with torch.cuda.stream(stream):
                actual.append(residual_lstm(*tensors)[0])
        torch.cuda.synchronize()
        assert all(torch.equal(a, e) for a, e in zip(actual, expected, strict=True))


@pytest.mark.parametrize("case", ONE_EACH, ids=str)
def test_compiles_with_its_gradients(case: Case) -> None:
    tensors = [t.detach().cuda().requires_grad_() for t in case.tensors(torch.float32)]
    compiled = torch.compile(lambda *t: residual_lstm(*t)[0] * 2, fullgraph=True)
    found, expected = compiled(*tensors), residual_lstm(*tensors)[0] * 2
    assert torch.equal(found, expected)
    for a, b in zip(
        torch.autograd.grad(found.sum(), tensors), torch.autograd.grad(expected.sum(), tensors), strict=True
    ):
        assert torch.equal(a, b)


@pytest.mark.parametrize("case", ONE_EACH, ids=str)
def test_does_not_wait_for_the_device(case: Case) -> None:
    tensors = [t.detach().cuda().requires_grad_() for t in case.tensors(torch.float32)]
    lengths = torch.full((case.batch,), case.steps, device="cuda")
    seed = torch.tensor([1], device="cuda")
    residual_lstm(*tensors, lengths, 0.3, seed)[0].sum().backward()  # libraries are loaded
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        residual_lstm(*tensors, lengths, 0.3, seed)[0].sum().backward()
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_an_autocast_region_around_the_backward_pass_changes_nothing() -> None:
    case = Case(9, 20, 18, 40, 4)
    tensors = [t.detach().cuda().requires_grad_() for t in case.tensors(torch.float32)]
    found = []
    for enabled in (False, True):
        loss = residual_lstm(*tensors)[0].sum()
        with torch.autocast("cuda", dtype=torch.float16, enabled=enabled):
            found.append(torch.autograd.grad(loss, tensors))
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def sanitizer() -> str | None:
    """NVIDIA's tool, on the path or in the toolkit."""
    home = os.environ.get("CUDA_HOME", "/usr/local/cuda")
    return shutil.which("compute-sanitizer") or shutil.which("compute-sanitizer", path=f"{home}/bin")


@pytest.mark.skipif(not sanitizer() and not REQUIRED, reason="compute-sanitizer is not installed")
@pytest.mark.parametrize("tool", ["memcheck", "racecheck", "synccheck"])
def test_compute_sanitizer_finds_nothing(tool: str) -> None:
    script = (
        "import torch; from networks import Case, gradients; from resblock.ops import residual_lstm\n"
        "narrow, wide = [Case(20, 5, 18, 8, 4), Case(12, 3, 18, 20, 3)], [Case(6, 40, 18, 40, 2)]\n"
        "runs = [(c, s) for c in narrow for s in ('serial', 'wavefront')] + [(c, 'wide') for c in wide]\n"
        "for (case, schedule), dtype in [(r, d) for r in runs for d in (torch.float32, torch.bfloat16)]:\n"
        "    tensors = [t.detach().cuda().requires_grad_() for t in case.tensors(dtype)]\n"
        "    residual_lstm(*tensors, schedule=schedule)[0].sum().backward()\n"
        "torch.cuda.synchronize()\n"
    )
    command = [
        sanitizer() or "compute-sanitizer",
        "--tool",
        tool,
        "--error-exitcode",
        "9",
        sys.executable,
        "-c",
        script,
    ]
    # torch's pool of memory would hide what is written past an end.
    environment = {**os.environ, "PYTORCH_NO_CUDA_MEMORY_CACHING": "1"}
    done = subprocess.run(command, env=environment, cwd=HERE, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:]


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_repeats_bit_by_bit(schedule: str | None) -> None:
    case = Case(20, 33, 18, 8, 6)
    skip_unless_taken(case, torch.float32, schedule)
    runs = []
    for _ in range(3):
        moved, outputs = on_gpu(case, case.tensors(torch.float32), schedule=schedule)
        runs.append((*outputs, *gradients_on_gpu(outputs, moved)))
    assert all(torch.equal(a, b) for other in runs[1:] for a, b in zip(runs[0], other, strict=True))


def test_runs_on_the_current_stream() -> None:
    case = Case(200, 8, 18, 8, 6)
    expected = on_gpu(case, case.tensors())[1][0]
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        actual = on_gpu(case, case.tensors())[1][0] + 0
    stream.synchronize()
    assert torch.equal(actual, expected)
