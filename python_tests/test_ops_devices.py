"""Devices without kernels, of which none is at hand: what is registered for them, called on the CPU."""

from __future__ import annotations

import pytest
import tolerances
import torch
from networks import Case, backward_arguments
from tolerances import error
from torch import Tensor

from resblock.ops import devices
from resblock.ops.derivatives import forward_composite

CASES = [
    Case(4, 3, 3, 4, 5),
    Case(4, 3, 3, 4, 4, "previous", True, True, 0.4),
    Case(4, 3, 3, 4, 1),
    Case(4, 3, 3, 4, 4, with_lengths=True, resets_p=0.4, cells=True),
]


def called_on(device: str, name: str, *arguments: object) -> tuple[Tensor, ...]:
    """What the dispatcher has for a device, called with tensors of the CPU."""
    operator = getattr(torch.ops.resblock, name).default
    return operator.redispatch(torch._C.DispatchKeySet(getattr(torch._C.DispatchKey, device)), *arguments)


@pytest.mark.filterwarnings("ignore:resblock has no kernels")
@pytest.mark.parametrize("device", ["MPS", "XPU", "HPU", "PrivateUse1"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_they_get_the_same_results_and_gradients(case: Case, device: str) -> None:
    tensors = case.tensors()
    arguments = case.operator_arguments(tensors)
    expected = case.run(tensors)
    found = called_on(device, "residual_lstm", *arguments)[: len(expected)]
    assert all(error(a, e) < tolerances.DOUBLE for a, e in zip(found, expected, strict=True))
    *found, saved = called_on(device, "residual_lstm_training", *arguments)
    assert saved.numel() == 0
    assert all(error(a, e) < tolerances.DOUBLE for a, e in zip(found[: len(expected)], expected, strict=True))
    grads = [torch.ones_like(e) for e in expected]
    gradients = called_on(device, "residual_lstm_backward", *backward_arguments(arguments, grads, saved))
    wanted = torch.autograd.grad(expected, tensors, grads)
    assert all(error(a, e) < tolerances.DOUBLE_GRADIENT for a, e in zip(gradients, wanted, strict=True))


def test_they_warn_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "_WARNED", set())
    with pytest.warns(UserWarning, match="no kernels for cpu") as warned:
        [devices.KERNELS["residual_lstm"](*CASES[0].operator_arguments(CASES[0].tensors())) for _ in range(2)]
    assert len(warned) == 1


@pytest.mark.parametrize("case", [*CASES, Case(5, 3, 2, 4, 2)], ids=str)
@pytest.mark.parametrize("chunks", [0, 2])
def test_shapes_are_those_of_the_kernels(case: Case, chunks: int) -> None:
    *arguments, _, _, cells = case.operator_arguments(case.tensors(torch.bfloat16))
    arguments = [a.detach() if isinstance(a, Tensor) else a for a in arguments]
    found = []
    for device in ("cpu", "meta"):
        here = [a.to(device) if isinstance(a, Tensor) else a for a in arguments]
        call = (*here, chunks, True, cells)
        results = torch.ops.resblock.residual_lstm_training(*call)
        gradients = torch.ops.resblock.residual_lstm_backward(
            *backward_arguments(call, results[:4], results[4], 0b00111111)
        )
        found.append([(t.shape, t.dtype, t.stride()) for t in (*results, *gradients) if t is not None])
    assert found[0] == found[1]


def test_half_types_are_computed_in_float32() -> None:
    case = Case(9, 5, 18, 8, 4)
    arguments = case.operator_arguments(case.tensors(torch.bfloat16))
    with torch.no_grad():
        found, expected = forward_composite(*arguments)[:3], case.run(list(arguments[:8]))
    assert all(a.dtype == torch.bfloat16 and error(a, e) < 2**-7 for a, e in zip(found, expected, strict=True))
