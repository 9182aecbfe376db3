"""Parameters of several layers side by side in one block of memory, which the operator takes without copying."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeGuard

import torch
from torch import Tensor, nn
from torch.utils import dlpack

if TYPE_CHECKING:
    from resblock.nn.lstm import ResidualLSTM


def lay_out(lstm: ResidualLSTM) -> None:
    """Lay the parameters of layers that the operator takes together side by side, where they are not yet."""
    if lstm.stacked:
        return
    for groups in lstm._names.values():
        for names in groups:
            held, block = [lstm._parameters.get(name) for name in names], lstm._blocks.get(names)
            if len(held) < 2 or not _can_move(held) or (block is not None and are_parts(held, block)):
                continue
            block = lstm._blocks[names] = torch.stack([parameter.detach() for parameter in held])
            for parameter, part in zip(held, block, strict=True):
                # A view would be the whole block to whoever saves or shares a parameter.
                parameter.data = dlpack.from_dlpack(part)


def _can_move(held: Sequence[Any]) -> TypeGuard[Sequence[nn.Parameter]]:
    """Tell whether all are plain parameters of one type, with memory of this process alone."""
    return (
        all(type(p) is nn.Parameter and type(p.data) is Tensor for p in held)
        and len({(p.dtype, p.device, p.shape) for p in held}) == 1
        and held[0].device.type in ("cpu", "cuda")
        and not any(p.device.type == "cpu" and p.is_shared() for p in held)
    )


def are_parts(weights: Sequence[Tensor], block: Tensor) -> bool:
    """Tell whether parameters still are the parts of a block, one after the other."""
    start, step, strides = block.data_ptr(), block.stride(0) * block.element_size(), block.stride()[1:]
    return all(
        type(p) is nn.Parameter and p.data_ptr() == start + k * step and p.stride() == strides
        for k, p in enumerate(weights)
    )
