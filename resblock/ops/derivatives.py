"""Derivatives of the operators: one backward pass by kernels, and whatever else is asked for by the composite."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from resblock.ops import autograd, internals, onnx_nodes
from resblock.ops.arguments import (
    GRADS,
    TENSORS,
    BackwardCall,
    ForwardCall,
    Options,
    arithmetic_type,
    check,
)
from resblock.ops.composite import residual_lstm_composite
from resblock.ops.composite_backward import residual_lstm_backward_composite
from resblock.ops.composite_double_backward import residual_lstm_double_backward_composite


def _save_for_backward(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    call, saved = ForwardCall.of(inputs), output[GRADS]
    ctx.save_for_backward(*call.tensors, *call.options.tensors, saved)
    # Those above are where autograd looks after them.
    ctx.options = call.options.with_tensors([None] * len(call.options.tensors))
    ctx.set_materialize_grads(False)  # else a zero gradient as large as `saved` is made
    ctx.mark_non_differentiable(saved)


def _gradient_of_forward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
    tensors, options, saved = ctx.saved_tensors[:TENSORS], ctx.saved_tensors[TENSORS:-1], ctx.saved_tensors[-1]
    input, state = tensors[0], tensors[7]
    needed = ctx.needs_input_grad[:TENSORS]
    grad_output, grad_h_n, grad_c_n, grad_cells, _ = grads
    zeros = state.new_zeros(()).expand_as(state)
    if grad_output is None:
        grad_output = input.new_zeros(*input.shape[:-1], state.shape[2])
    arguments = (
        grad_output,
        zeros if grad_h_n is None else grad_h_n,
        zeros if grad_c_n is None else grad_c_n,
        grad_cells,
        *tensors,
        *ctx.options.with_tensors(options),
        saved,
        sum(1 << tensor for tensor, needs in enumerate(needed) if needs),
    )
    gradients = torch.ops.resblock.residual_lstm_backward.default(*arguments)
    given = [gradient if needs else None for gradient, needs in zip(gradients, needed, strict=True)]
    return (*given, *[None] * len(Options._fields), None, None, None)


def forward_composite(*arguments: Any) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """Compute `resblock::residual_lstm` in plain torch operations."""
    call = ForwardCall.of(arguments)
    check(call)
    return residual_lstm_composite(call.tensors, call.options, call.cells)


def training_composite(*arguments: Any) -> tuple[Any, ...]:
    """Compute `resblock::residual_lstm_training` in plain torch operations, saving nothing.

    The composite's backward pass computes everything anew; a kernel refuses what is empty.
    """
    output, h_n, c_n, cells = forward_composite(*arguments)
    return output, h_n, c_n, cells, output.new_empty(0, dtype=arithmetic_type(output.dtype))


def _save_for_double_backward(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    call = BackwardCall.of(inputs)
    ctx.save_for_backward(*call.grads, *call.tensors, *call.options.tensors)
    ctx.options = call.options.with_tensors([None] * len(call.options.tensors))
    ctx.wanted = call.wanted
    ctx.set_materialize_grads(False)  # most losses on gradients are on a few of them


def _gradient_of_backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
    """Differentiate the gradient by the composite, whose own derivatives of any order PyTorch can take."""
    saved, end = ctx.saved_tensors, GRADS + TENSORS
    options = ctx.options.with_tensors(saved[end:])
    cotangents = [grad if wanted else None for grad, wanted in zip(grads, ctx.wanted, strict=True)]
    second = residual_lstm_double_backward_composite(cotangents, saved[:GRADS], saved[GRADS:end], options)
    return (*second, *[None] * len(Options._fields), None, None)


def backward_composite(*arguments: Any) -> tuple[Tensor, ...]:
    """Compute `resblock::residual_lstm_backward` in plain torch operations."""
    call = BackwardCall.of(arguments)
    check(call)
    gradients = residual_lstm_backward_composite(call.grads, call.tensors, call.options)
    pairs = zip(gradients, call.wanted, strict=True)
    return tuple(gradient if wanted else gradient.new_empty(0) for gradient, wanted in pairs)


def call(*arguments: Any) -> tuple[Any, ...]:
    """Call `resblock::residual_lstm` where its derivatives are registered publicly."""
    if onnx_nodes.are_wanted():
        return onnx_nodes.stack(*arguments)
    if internals.in_forward_mode() or internals.transforms_are_active():
        return forward_composite(*arguments)
    operators, wanted = torch.ops.resblock, torch.is_grad_enabled() and internals.requires_grad(*arguments)
    operator = operators.residual_lstm_training if wanted else operators.residual_lstm
    results: tuple[Any, ...] = operator.default(*arguments)
    return results[:GRADS]


def _register_publicly(library: torch.library.Library) -> None:
    for name, setup_context, gradient in (
        ("residual_lstm_training", _save_for_backward, _gradient_of_forward),
        ("residual_lstm_backward", _save_for_double_backward, _gradient_of_backward),
    ):
        torch.library.register_autograd(f"{library.ns}::{name}", gradient, setup_context=setup_context, lib=library)


def register(library: torch.library.Library) -> None:
    """Register them for the three operators."""
    for name in ("residual_lstm", "residual_lstm_training", "residual_lstm_backward"):
        autograd.register_vmap(library, name)
    if internals.MISSING:
        _register_publicly(library)
    else:
        _register_for_all(library)


def _register_for_all(library: torch.library.Library) -> None:
    operator = torch.ops.resblock.residual_lstm.default
    training = autograd.register(
        library, "residual_lstm_training", _save_for_backward, _gradient_of_forward, training_composite
    )
    autograd.register(
        library, "residual_lstm_backward", _save_for_double_backward, _gradient_of_backward, backward_composite
    )

    # Whether a backward pass may follow is found when the call runs: an exported program holds the operator alone.
    def forward(keyset: Any, *arguments: Any) -> Any:
        if onnx_nodes.are_wanted():
            return onnx_nodes.stack(*arguments)
        if autograd.has_tangent(arguments):
            return forward_composite(*arguments)
        if autograd.needs_gradient(arguments):
            return training(keyset, *arguments)[:GRADS]
        return autograd.below_autograd(operator, keyset, arguments)

    library.impl("residual_lstm", forward, "Autograd", with_keyset=True)  # type: ignore[no-untyped-call]
