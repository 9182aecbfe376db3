"""Training in chunks of time (checkpoint_chunks): the same results with less memory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import tolerances
import torch
from networks import NAMES, Case, backward_arguments, check_float64, gradients
from tolerances import error
from torch import Tensor

from resblock import ResAttnLSTM, ResidualLSTM
from resblock.ops import residual_lstm

# Every option, and sizes of every CPU schedule.
CASES = [
    Case(7, 3, 5, 8, 4),
    Case(7, 3, 5, 33, 4, "previous", with_lengths=True, dropout_p=0.3),
    Case(13, 17, 5, 6, 5, with_lengths=True, dropout_p=0.3),
    Case(13, 17, 5, 6, 2, "previous", residual=False),
    Case(40, 1, 18, 8, 6, with_lengths=True),
    Case(1, 2, 5, 8, 3),
    Case(6, 2, 5, 8, 1, with_lengths=True),
    Case(0, 2, 5, 8, 3),
    Case(5, 0, 5, 8, 3),
]
CHUNKS = [1, 2, 3, 5, 7, 100]


@pytest.mark.parametrize("chunks", CHUNKS)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_float64_agrees_with_the_reference(case: Case, chunks: int) -> None:
    check_float64(case, chunks)


@pytest.mark.parametrize(
    "case", [Case(60, 2, 18, 8, 20), Case(30, 9, 18, 8, 8, "previous", with_lengths=True)], ids=str
)
def test_float32_errs_no_more_than_twice_the_uncut_call(case: Case) -> None:
    exact = [t.detach().double().requires_grad_() for t in case.tensors(torch.float32)]
    cut, uncut = case.tensors(torch.float32), case.tensors(torch.float32)
    runs = [(case.run(cut, 4), cut), (case.run(uncut), uncut), (case.run(exact), exact)]
    for name, actual, whole, expected in zip(NAMES, *(gradients(*run) for run in runs), strict=True):
        allowed = max(tolerances.TIMES_TORCH_FLOAT32 * error(whole, expected), tolerances.FLOAT32_FLOOR)
        assert error(actual, expected) <= allowed, name


@pytest.mark.parametrize("batch", [1, 9])
def test_outputs_are_those_of_calls_on_the_chunks(batch: int) -> None:
    case = Case(11, batch, 18, 8, 6)
    tensors = case.tensors(torch.float32)
    x, *weights, h, c = tensors
    outputs = []
    with torch.no_grad():
        for begin, end in ((0, 2), (2, 5), (5, 8), (8, 11)):  # 11 steps in 4 chunks
            output, h, c = residual_lstm(x[begin:end], *weights, h, c)
            outputs.append(output)
    actual = case.run(tensors, 4)
    for a, e in zip(actual, (torch.cat(outputs), h, c), strict=True):
        assert torch.equal(a, e)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_types_are_not_rounded_between_chunks(dtype: torch.dtype) -> None:
    case = Case(40, 5, 18, 8, 4, with_lengths=True)
    halves = case.tensors(dtype)
    exact = [t.detach().double().requires_grad_() for t in halves]
    actual, expected = case.run(halves, 40), case.reference(exact)
    pairs = [*zip(actual, expected, strict=True)]
    pairs += zip(gradients(actual, halves), gradients(expected, exact), strict=True)
    for a, e in pairs:
        assert a.dtype == dtype
        assert error(a, e) < tolerances.HALF[dtype]


@pytest.mark.parametrize("used", [0, 1, 2])
@pytest.mark.parametrize("chunks", [0, 3])
def test_gradients_of_one_output_alone(used: int, chunks: int) -> None:
    case = Case(7, 3, 5, 8, 4, with_lengths=True)
    tensors = case.tensors()
    pairs = zip(
        gradients(case.run(tensors, chunks)[used : used + 1], tensors),
        gradients(case.reference(tensors)[used : used + 1], tensors),
        strict=True,
    )
    assert all(error(a, e) < tolerances.DOUBLE_GRADIENT for a, e in pairs)


CHECKED = Case(3, 2, 2, 2, 2, with_lengths=True, dropout_p=0.3)


def test_gradcheck_and_gradgradcheck() -> None:
    assert torch.autograd.gradcheck(lambda *t: CHECKED.run(list(t), 2), CHECKED.tensors())
    assert torch.autograd.gradgradcheck(lambda *t: CHECKED.run(list(t), 2), CHECKED.tensors())


@pytest.mark.parametrize(("chunks", "dtype"), [(2, torch.float32), (9, torch.bfloat16)])
def test_opcheck(chunks: int, dtype: torch.dtype) -> None:
    case = CHECKED
    arguments = case.operator_arguments(case.tensors(dtype), chunks)
    torch.library.opcheck(torch.ops.resblock.residual_lstm_training.default, arguments)
    with torch.no_grad():
        *outputs, states = torch.ops.resblock.residual_lstm_training(*arguments)
    assert states.shape == (min(chunks, case.steps) - 1, 2, case.layers, case.batch, case.units)
    grads = [torch.randn_like(o).requires_grad_() for o in outputs if o is not None]
    call = backward_arguments(arguments, grads, states)
    torch.library.opcheck(torch.ops.resblock.residual_lstm_backward.default, call)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("dynamic", [False, True])
def test_compile_makes_one_graph(dynamic: bool) -> None:
    compiled = torch.compile(residual_lstm, fullgraph=True, dynamic=dynamic)
    for steps in (4, 9):
        case = Case(steps, 3, 5, 8, 4, with_lengths=True)
        tensors = case.tensors(torch.float32)
        actual = compiled(*tensors, case.lengths, checkpoint_chunks=6)
        expected = case.run(tensors, 6)
        assert all(torch.equal(a, e) for a, e in zip(actual, expected, strict=True))
        pairs = zip(gradients(actual, tensors), gradients(expected, tensors), strict=True)
        assert all(torch.equal(a, e) for a, e in pairs)


def test_autocast_runs_in_the_type_of_the_region() -> None:
    case = Case(9, 3, 5, 8, 4)
    tensors = case.tensors(torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        outputs = case.run(tensors, 3)
    for a, e in zip(outputs, case.run([t.to(torch.bfloat16) for t in tensors], 3), strict=True):
        assert a.dtype == torch.bfloat16
        assert torch.equal(a, e)
    assert all(g.dtype == torch.float32 for g in gradients(outputs, tensors))


def test_the_modules_hand_it_on() -> None:
    """In training mode with dropout: the recomputed mask must be the one of the forward pass."""
    x, lengths = torch.randn(9, 4, 18), torch.tensor([9, 1, 4, 7])

    def step(chunks: int) -> tuple[Tensor, ...]:
        torch.manual_seed(0)
        model = ResAttnLSTM(num_layers=6, input_dropout=0.0, checkpoint_chunks=chunks)
        assert model.lstm.checkpoint_chunks == chunks
        model(x, lengths).square().sum().backward()
        return tuple(p.grad for p in model.parameters())

    for a, e in zip(step(4), step(0), strict=True):
        assert error(a, e) < 4 * tolerances.FLOAT32_FLOOR
    assert "checkpoint_chunks=4" in repr(ResidualLSTM(3, 4, checkpoint_chunks=4))


def test_without_gradients_there_are_no_chunks() -> None:
    case = Case(40, 1, 18, 8, 6)
    tensors = [t.detach() for t in case.tensors(torch.float32)]
    assert all(torch.equal(a, e) for a, e in zip(case.run(tensors, 7), case.run(tensors), strict=True))


TRAINING_STEP = """
import json, pathlib, torch
from resblock import ResidualLSTM

def status(name):
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) * 1024

torch.set_num_threads(1)
lstm = ResidualLSTM(18, 8, 60, checkpoint_chunks=CHUNKS)
lstm(torch.randn(100, 1, 18))[0].sum().backward()  # what is loaded on first use
lstm.zero_grad()
x = torch.randn(40_000, 1, 18)
before = status("VmRSS")
pathlib.Path("/proc/self/clear_refs").write_text("5")  # the highest so far is now what it is
output, _ = lstm(x)
output.sum().backward()
print(json.dumps(status("VmHWM") - before - output.nbytes))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self")
def test_a_long_sequence_trains_in_little_memory(tmp_path: Path) -> None:
    """60 layers of 8 units over 40,000 steps: 440 MiB of saved activations without chunks."""
    program = [sys.executable, "-c", TRAINING_STEP.replace("CHUNKS", "100")]
    run = subprocess.run(program, check=True, stdout=subprocess.PIPE, text=True, cwd=tmp_path)
    risen = json.loads(run.stdout)
    assert risen < 128 * 2**20
