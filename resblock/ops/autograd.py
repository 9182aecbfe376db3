"""How derivatives are registered for an operator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

Setup = Callable[[Any, tuple[Any, ...], tuple[Tensor, ...]], None]
Gradient = Callable[..., tuple[Tensor | None, ...]]


def register(library: torch.library.Library, name: str, setup_context: Setup, gradient: Gradient) -> None:
    """Do as `torch.library.register_autograd`, and in less time per call where this torch allows it."""
    names = ("_AutoDispatchBelowAutograd", "_after_autograd_keyset", "_any_requires_grad")
    quick = all(hasattr(torch._C, private) for private in names)
    (register_quickly if quick else register_publicly)(library, name, setup_context, gradient)


def register_publicly(library: torch.library.Library, name: str, setup_context: Setup, gradient: Gradient) -> None:
    """Register by PyTorch's documented function, which walks over the schema in every call."""
    qualified = f"{library.ns}::{name}"
    torch.library.register_autograd(qualified, gradient, setup_context=setup_context, lib=library)


def register_quickly(library: torch.library.Library, name: str, setup_context: Setup, gradient: Gradient) -> None:
    """Register without the walk over the schema, which takes longer than the call where the network is small."""
    operator = getattr(getattr(torch.ops, library.ns), name).default

    def call(keyset: Any, arguments: tuple[Any, ...]) -> tuple[Tensor, ...]:
        with torch._C._AutoDispatchBelowAutograd():
            output: tuple[Tensor, ...] = operator.redispatch(keyset & torch._C._after_autograd_keyset, *arguments)
        return output

    class Differentiable(torch.autograd.Function):
        # The keyset comes last, so that `ctx.needs_input_grad` begins with the operator's arguments.
        @staticmethod
        def forward(ctx: Any, *arguments_and_keyset: Any) -> tuple[Tensor, ...]:
            arguments = arguments_and_keyset[:-1]
            output = call(arguments_and_keyset[-1], arguments)
            setup_context(ctx, arguments, output)
            return output

        @staticmethod
        def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
            return *gradient(ctx, *grads), None

    def autograd(keyset: Any, *arguments: Any) -> Any:
        if torch.is_grad_enabled() and torch._C._any_requires_grad(*arguments):
            return Differentiable.apply(*arguments, keyset)  # type: ignore[no-untyped-call]
        return call(keyset, arguments)

    library.impl(name, autograd, "Autograd", with_keyset=True)  # type: ignore[no-untyped-call]
