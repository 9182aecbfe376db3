"""Devices without kernels (mps, xpu): the operators by the composite, and a warning that says so once.

Tensors that are not dense come here as well, and are refused.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any, Final

import torch
from torch.nested._internal.nested_tensor import NestedTensor

from resblock.ops import derivatives
from resblock.ops.autograd import Kernel
from resblock.ops.library import has_cuda_kernels

_WARNED: set[str] = set()


def have_kernels(device: str) -> bool:
    """Whether a kind of device has kernels, or computes shapes alone."""
    return device in ("cpu", "meta") or (device == "cuda" and has_cuda_kernels())


def _warning(composite: Kernel) -> Kernel:
    def kernel(*arguments: Any) -> tuple[Any, ...]:
        results = composite(*arguments)  # whose check comes first
        device = results[0].device.type
        if device not in _WARNED:
            _WARNED.add(device)
            warnings.warn(
                f"resblock has no kernels for {device} in this build; residual_lstm runs there in plain torch "
                "operations, cell by cell, which is slow",
                stacklevel=2,
            )
        return results

    return kernel


KERNELS: Final[Mapping[str, Kernel]] = {
    "residual_lstm": _warning(derivatives.forward_composite),
    "residual_lstm_training": _warning(derivatives.training_composite),
    "residual_lstm_backward": _warning(derivatives.backward_composite),
}


def _for_jagged(kernel: Kernel) -> Callable[..., tuple[Any, ...]]:
    return lambda mode, operator, types, arguments, keywords: kernel(*arguments)


def register(library: torch.library.Library) -> None:
    """Register them for whatever device has no kernels of its own."""
    for name, kernel in KERNELS.items():
        for key in ("CompositeExplicitAutograd", "NestedTensorCPU", "NestedTensorCUDA"):
            library.impl(name, kernel, key)  # type: ignore[no-untyped-call]
        torch.library.register_torch_dispatch(f"resblock::{name}", NestedTensor, _for_jagged(kernel), lib=library)
