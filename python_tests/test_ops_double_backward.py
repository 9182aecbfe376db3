"""Losses on gradients: the derivative of the backward pass, of every argument and with every option."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import tolerances
import torch
from networks import NAMES, Case
from tolerances import error
from torch import Tensor

CASES = [
    Case(6, 3, 2, 3, 5),
    Case(6, 3, 2, 3, 4, "previous", residual=False),
    Case(6, 4, 2, 3, 5, with_lengths=True, dropout_p=0.3),
    Case(6, 4, 2, 3, 4, "previous", with_lengths=True, dropout_p=0.3),
    Case(5, 3, 2, 33, 1, "previous", with_lengths=True),
    Case(0, 3, 2, 3, 4),
    Case(4, 0, 2, 3, 4),
    Case(6, 4, 2, 3, 5, with_lengths=True, dropout_p=0.3, resets_p=0.4, cells=True),
    Case(7, 3, 2, 3, 4, "previous", resets_p=0.3, cells=True),
    Case(5, 3, 2, 4, 2, resets_p=0.9),
]


def second_gradients(
    run: Callable[[list[Tensor]], tuple[Tensor, ...]], tensors: list[Tensor], penalised: Sequence[str]
) -> dict[str, Tensor]:
    """Differentiate a loss on some gradients by every argument, and by the gradients of the outputs."""
    # Autograd refuses tensors that are not used, as the weights of no step or of layers that are not there.
    zero = 0 * torch.stack([t.square().sum() for t in tensors]).sum()
    outputs = [output + zero for output in run(tensors)]
    generator = torch.Generator().manual_seed(3)
    grads = [torch.randn(o.shape, generator=generator, dtype=torch.float64).to(o.dtype) for o in outputs]
    grads = [grad.requires_grad_() for grad in grads]
    chosen = [tensors[NAMES.index(name)] for name in penalised]
    found = torch.autograd.grad(outputs, chosen, grads, create_graph=True)
    loss = torch.stack([gradient.square().sum() for gradient in found]).sum()
    second = torch.autograd.grad(loss, [*tensors, *grads], materialize_grads=True)
    return dict(zip((*NAMES, "grad_output", "grad_h_n", "grad_c_n", "grad_cells"), second, strict=False))


@pytest.mark.parametrize("penalised", [NAMES, *([name] for name in NAMES)], ids=",".join)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_they_agree_with_the_reference(case: Case, penalised: Sequence[str]) -> None:
    tensors = case.tensors()
    found, expected = (second_gradients(run, tensors, penalised) for run in (case.run, case.reference))
    errors = {name: error(found[name], expected[name]) for name in expected}
    assert max(errors.values()) < tolerances.DOUBLE_GRADIENT, errors


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_types_are_computed_in_float32(dtype: torch.dtype) -> None:
    """What is rounded to the type is a gradient once, and its derivatives once."""
    case = Case(5, 3, 2, 8, 4)
    tensors = case.tensors(dtype)
    found = second_gradients(case.run, tensors, ["input"])
    expected = second_gradients(case.reference, [t.detach().double().requires_grad_() for t in tensors], ["input"])
    for name, gradient in found.items():
        assert gradient.dtype == dtype
        assert error(gradient, expected[name]) < 2 * tolerances.HALF[dtype], name
