"""Derivatives registered for an operator: by its own gradient in reverse mode, by the composite in forward mode."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from resblock.ops import autograd


def test_gradients_know_what_they_were_asked_for() -> None:
    """x y, by an operator whose gradients say which arguments they were asked for."""
    library = torch.library.Library("resblock_test_autograd", "DEF")
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

    def composite(x: Tensor, y: Tensor, scale: float) -> tuple[Tensor, ...]:
        return scale * x * y, x.new_zeros(3)

    autograd.register(library, "product", setup_context, gradient, composite)
    product = getattr(torch.ops, library.ns).product
    x, y = torch.tensor([2.0, 3.0], requires_grad=True), torch.tensor([5.0, 7.0])
    result, unused = product(x, y, 10.0)
    assert not unused.requires_grad
    result.sum().backward()
    assert torch.equal(x.grad, 10 * y)
    assert asked == [(True, False)]
    with torch.no_grad():
        assert not product(x, y, 10.0)[0].requires_grad
    tangent = torch.func.jvp(lambda x: product(x, y, 10.0)[0], (x.detach(),), (torch.ones(2),))[1]
    assert torch.equal(tangent, 10 * y)
