"""The operators' arguments, by their names."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor

TENSORS, GRADS = 8, 3  # TENSORS: those that are differentiable


def arithmetic_type(dtype: torch.dtype) -> torch.dtype:
    """Type that a call with tensors of `dtype` is computed in."""
    return torch.float64 if dtype == torch.float64 else torch.float32


class Options(NamedTuple):
    """What follows the eight tensors in every operator."""

    lengths: Tensor | None
    dropout_p: float
    dropout_seed: Tensor | None
    residual: bool
    output_peephole_previous: bool
    schedule: str | None


class ForwardCall(NamedTuple):
    """Arguments of `resblock::residual_lstm` and `resblock::residual_lstm_training`."""

    tensors: tuple[Tensor, ...]
    options: Options
    checkpoint_chunks: int
    full_saved: bool  # the saved activations have the size of those of a full batch, whatever the lengths

    @classmethod
    def of(cls, arguments: tuple[Any, ...]) -> ForwardCall:
        """Name them."""
        return cls(arguments[:TENSORS], Options(*arguments[TENSORS:-2]), *arguments[-2:])


class BackwardCall(NamedTuple):
    """Arguments of `resblock::residual_lstm_backward`."""

    grads: tuple[Tensor, ...]  # of output, h_n and c_n
    tensors: tuple[Tensor, ...]
    options: Options
    saved: Tensor
    wanted_bits: int

    @classmethod
    def of(cls, arguments: tuple[Any, ...]) -> BackwardCall:
        """Name them."""
        tensors_end = GRADS + TENSORS
        options = Options(*arguments[tensors_end:-2])
        return cls(arguments[:GRADS], arguments[GRADS:tensors_end], options, *arguments[-2:])

    @property
    def wanted(self) -> list[bool]:
        """Which of the eight gradients are computed; the others are empty."""
        return [bool(self.wanted_bits >> tensor & 1) for tensor in range(TENSORS)]


def check_devices(tensors: Iterable[Tensor], options: Options) -> None:
    """Refuse tensors of several devices, where no kernel does it: a seed may be on the CPU.

    Raises
    ------
    RuntimeError
    """
    first, *others = tensors
    seed = options.dropout_seed
    if options.lengths is not None:
        others.append(options.lengths)
    if seed is not None and seed.device.type != "cpu":
        others.append(seed)
    for tensor in others:
        if tensor.device != first.device:
            raise RuntimeError(
                f"residual_lstm: tensors are on {first.device} and {tensor.device}, expected all on one device "
                "(move the network and its input to the same one)"
            )
