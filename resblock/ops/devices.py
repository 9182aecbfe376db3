"""Devices without kernels (mps, xpu): the operators by the composite, and a warning that says so once."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any, Final

import torch
from torch import Tensor

from resblock.ops import derivatives
from resblock.ops.arguments import BackwardCall, ForwardCall, check_devices
from resblock.ops.library import has_cuda_kernels

Kernel = Callable[..., tuple[Tensor, ...]]

_WARNED: set[str] = set()


def have_kernels(device: str) -> bool:
    """Whether a kind of device has kernels, or computes shapes alone."""
    return device in ("cpu", "meta") or (device == "cuda" and has_cuda_kernels())


def _by_composite(composite: Kernel, call_of: Callable[..., ForwardCall | BackwardCall]) -> Kernel:
    def kernel(*arguments: Any) -> tuple[Tensor, ...]:
        call = call_of(arguments)
        check_devices(call.tensors, call.options)
        device = call.tensors[0].device.type
        if device not in _WARNED:
            _WARNED.add(device)
            warnings.warn(
                f"resblock has no kernels for {device} in this build; residual_lstm runs there in plain torch "
                "operations, cell by cell, which is slow",
                stacklevel=2,
            )
        return composite(*arguments)

    return kernel


KERNELS: Final[Mapping[str, Kernel]] = {
    "residual_lstm": _by_composite(derivatives.forward_composite, ForwardCall.of),
    "residual_lstm_training": _by_composite(derivatives.training_composite, ForwardCall.of),
    "residual_lstm_backward": _by_composite(derivatives.backward_composite, BackwardCall.of),
}


def register(library: torch.library.Library) -> None:
    """Register them for whatever device has no kernels of its own."""
    for name, kernel in KERNELS.items():
        library.impl(name, kernel, "CompositeExplicitAutograd")  # type: ignore[no-untyped-call]
