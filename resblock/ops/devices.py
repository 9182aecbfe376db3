"""Devices without kernels (mps, xpu): the operators by the composite, and a warning that says so once."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from resblock.ops import derivatives
from resblock.ops.arguments import BackwardCall, ForwardCall, check_devices

_WARNED: set[str] = set()


def warn_once(device: str) -> None:
    """Say, once for each kind of device, that it has no kernels."""
    if device not in _WARNED:
        _WARNED.add(device)
        warnings.warn(
            f"resblock has no kernels for {device} in this build; residual_lstm runs there in plain torch "
            "operations, step by step, which is slow",
            stacklevel=2,
        )


def _by_composite(composite: Callable[..., tuple[Tensor, ...]], call_of: Any) -> Callable[..., tuple[Tensor, ...]]:
    def kernel(*arguments: Any) -> tuple[Tensor, ...]:
        call: ForwardCall | BackwardCall = call_of(arguments)
        check_devices(call.tensors, call.options)
        warn_once(call.tensors[0].device.type)
        return composite(*arguments)

    return kernel


def register(library: torch.library.Library) -> None:
    """Register them for whatever device has no kernels of its own."""
    for name, composite, call_of in (
        ("residual_lstm", derivatives.forward_composite, ForwardCall.of),
        ("residual_lstm_training", derivatives.training_composite, ForwardCall.of),
        ("residual_lstm_backward", derivatives.backward_composite, BackwardCall.of),
    ):
        library.impl(name, _by_composite(composite, call_of), "CompositeExplicitAutograd")  # type: ignore[no-untyped-call]
