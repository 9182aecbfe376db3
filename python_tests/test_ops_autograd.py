"""Derivatives registered by PyTorch's private parts, and by its documented function where these are missing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from resblock.ops import autograd


@pytest.mark.parametrize("register", [autograd.register_quickly, autograd.register_publicly])
def test_derivatives_are_the_same_however_they_are_registered(register: Callable[..., None]) -> None:
    """x y, by an operator whose gradients say which arguments they were asked for."""
    library = torch.library.Library(f"resblock_test_{register.__name__}", "DEF")
    library.define("product(Tensor x, Tensor y, float scale) -> (Tensor, Tensor)")
    library.impl("product", lambda x, y, scale: (scale * x * y, x.new_zeros(3)), "CPU")
    asked: list[tuple[bool, ...]] = []

    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        x, y, ctx.scale = inputs
        ctx.save_for_backward(x, y)
        ctx.mark_non_differentiable(output[1])

    def gradient(ctx: Any, grad: Tensor, _: Tensor | None) -> tuple[Tensor | None, ...]:
        x, y = ctx.saved_tensors
        asked.append(tuple(ctx.needs_input_grad[:2]))
        return ctx.scale * grad * y, ctx.scale * grad * x, None

    register(library, "product", setup_context, gradient)
    product = getattr(torch.ops, library.ns).product
    x, y = torch.tensor([2.0, 3.0], requires_grad=True), torch.tensor([5.0, 7.0])
    result, unused = product(x, y, 10.0)
    assert not unused.requires_grad
    result.sum().backward()
    assert torch.equal(x.grad, 10 * y)
    assert asked == [(True, False)]
    with torch.no_grad():
        assert not product(x, y, 10.0)[0].requires_grad
