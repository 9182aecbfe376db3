"""How derivatives of an operator are registered: reverse mode by its own gradient, all else by a composite."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from resblock.ops import internals

Arguments = tuple[Any, ...]
Setup = Callable[[Any, Arguments, tuple[Tensor, ...]], None]
Gradient = Callable[..., tuple[Tensor | None, ...]]
# Tensors, or None for a result that is not wanted.
Composite = Callable[..., tuple[Any, ...]]
Kernel = Callable[..., tuple[Any, ...]]


def has_tangent(arguments: Arguments) -> bool:
    """Whether a derivative in forward mode is under way, at the innermost level of `torch.func`."""
    # Looking into a tensor takes longer than a small call. A compiled graph enters forward mode past `forward_ad`, but
    # is traced under `torch.func` or in a mode.
    if not (internals.in_forward_mode() or internals.transforms_are_active() or internals.dispatch_modes()):
        return False
    return any(internals.has_tangent(a) for a in arguments if isinstance(a, Tensor) and a.is_floating_point())


def needs_gradient(arguments: Arguments) -> bool:
    """Whether a backward pass may follow."""
    return torch.is_grad_enabled() and bool(internals.any_requires_grad(*arguments))


def below_autograd(operator: Any, keyset: Any, arguments: Arguments) -> tuple[Tensor, ...]:
    """Call an operator's kernel of the device, or of the next level of `torch.func`."""
    with internals.BelowAutograd():
        output: tuple[Tensor, ...] = operator.redispatch(keyset & internals.after_autograd, *arguments)
    return output


def register(
    library: torch.library.Library, name: str, setup_context: Setup, gradient: Gradient, composite: Composite
) -> Kernel:
    """Do as `torch.library.register_autograd`, also under the transforms of `torch.func`, and in less time per call.

    Parameters
    ----------
    library, name
        Of the operator.
    setup_context, gradient
        As there, with `ctx` as an `autograd.Function` has it. They serve reverse mode.
    composite
        The operator in operations that PyTorch can differentiate: it serves forward mode.

    Returns
    -------
    The registered kernel, called with the dispatcher's keyset and the arguments.
    """
    operator = getattr(getattr(torch.ops, library.ns), name).default

    class Differentiable(torch.autograd.Function):
        # The keyset comes last, so that `ctx.needs_input_grad` begins with the operator's arguments.
        @staticmethod
        def forward(ctx: Any, *arguments_and_keyset: Any) -> tuple[Tensor, ...]:
            arguments, keyset = arguments_and_keyset[:-1], arguments_and_keyset[-1]
            if internals.transforms_are_active():
                # No gradients are taken here, but perhaps at the levels below.
                with torch.enable_grad(), internals.forward_mode_enabled(True):
                    output = below_autograd(operator, keyset, arguments)
            else:
                output = below_autograd(operator, keyset, arguments)
            setup_context(ctx, arguments, output)
            return output

        @staticmethod
        def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
            return *gradient(ctx, *grads), None

    # `Function.apply` refuses `torch.func`, whose levels it would have to open itself. Here the dispatcher has done so:
    # this is the kernel of one level, and what lies below is a call of its own.
    apply = super(torch.autograd.Function, Differentiable).apply

    def kernel(keyset: Any, *arguments: Any) -> Any:
        if has_tangent(arguments):
            return composite(*arguments)
        if not needs_gradient(arguments):
            return below_autograd(operator, keyset, arguments)
        if internals.transforms_are_active():
            with internals.one_level():
                return apply(*arguments, keyset)  # type: ignore[no-untyped-call]
        return apply(*arguments, keyset)  # type: ignore[no-untyped-call]

    library.impl(name, kernel, "Autograd", with_keyset=True)  # type: ignore[no-untyped-call]
    return kernel


def register_vmap(library: torch.library.Library, name: str) -> None:
    """Have `torch.func.vmap` call an operator once per sample, as it does by itself, but with a warning."""
    operator = getattr(getattr(torch.ops, library.ns), name).default

    def one_by_one(info: Any, in_dims: tuple[int | None, ...], *arguments: Any) -> tuple[Any, tuple[int | None, ...]]:
        if info.batch_size == 0:
            raise ValueError(f"{name}: vmap over a dimension of size 0, expected at least one sample")
        pairs = list(zip(arguments, in_dims, strict=True))
        samples = [
            operator(*(a if dim is None else a.select(dim, sample) for a, dim in pairs))
            for sample in range(info.batch_size)
        ]
        outputs = tuple(None if parts[0] is None else torch.stack(parts) for parts in zip(*samples, strict=True))
        return outputs, tuple(None if part is None else 0 for part in outputs)

    torch.library.register_vmap(f"{library.ns}::{name}", one_by_one, lib=library)
