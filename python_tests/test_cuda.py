"""The operator on a GPU. RESBLOCK_REQUIRE_CUDA=1 turns the skip into a failure."""

from __future__ import annotations

import os

import pytest
import tolerances
import torch
from networks import Case, gradients, odd_sizes
from tolerances import error

import resblock.ops
from resblock.ops import residual_lstm

CAN_RUN = torch.cuda.is_available() and resblock.ops.has_cuda_kernels()
REQUIRED = os.environ.get("RESBLOCK_REQUIRE_CUDA") == "1"
pytestmark = pytest.mark.skipif(
    not CAN_RUN and not REQUIRED, reason="no GPU, or resblock was built without its CUDA kernels"
)


def on_gpu(case: Case, tensors: list[torch.Tensor]) -> tuple[list[torch.Tensor], tuple[torch.Tensor, ...]]:
    moved = [t.detach().cuda().requires_grad_() for t in tensors]
    lengths = None if case.lengths is None else case.lengths.cuda()
    options = lengths, case.dropout_p, case.dropout_seed, case.residual, case.output_peephole
    return moved, residual_lstm(*moved, *options)


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


def gradients_on_gpu(outputs: tuple[torch.Tensor, ...], tensors: list[torch.Tensor]) -> tuple[torch.Tensor, ...]:
    """The weighting of `gradients`, which is drawn on the CPU."""
    on_cpu = tuple(o.cpu() for o in outputs)
    return gradients(on_cpu, tensors)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_other_types_agree_with_the_cpu(dtype: torch.dtype) -> None:
    case = Case(9, 17, 18, 8, 6, with_lengths=True, dropout_p=0.3)
    tensors = case.tensors(dtype)
    moved, actual = on_gpu(case, tensors)
    expected = case.run(tensors)
    tolerance = tolerances.HALF.get(dtype, 4 * tolerances.FLOAT32_FLOOR)
    pairs = [*zip(actual, expected, strict=True)]
    pairs += zip(gradients_on_gpu(actual, moved), gradients(expected, tensors), strict=True)
    assert all(error(a.cpu(), e) < tolerance for a, e in pairs)


def test_repeats_bit_by_bit() -> None:
    case = Case(20, 33, 18, 8, 6)
    runs = []
    for _ in range(3):
        moved, outputs = on_gpu(case, case.tensors(torch.float32))
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
