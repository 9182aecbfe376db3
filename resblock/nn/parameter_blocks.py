"""Parameters of the layers side by side in blocks of memory, which the operator takes without copying."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeGuard

import torch
from torch import Tensor, nn
from torch.utils import dlpack

if TYPE_CHECKING:
    from resblock.nn.lstm import ResidualLSTM

OperatorWeights = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]


class Blocks(NamedTuple):
    """The operator's weights of one direction in the parameters' memory."""

    weights: OperatorWeights
    places: tuple[tuple[str, int], ...]  # names and addresses of the parameters

    def are_in(self, parameters: dict[str, Any]) -> bool:
        """Tell whether the parameters still lie where they did, and as they did."""
        for name, address in self.places:
            held = parameters.get(name)
            if type(held) is not nn.Parameter or held.data_ptr() != address or not held.is_contiguous():
                return False
        return True


def are_worth_it(lstm: ResidualLSTM) -> bool:
    """Tell whether blocks save time: many small weights are copied in less than it takes to see where they are."""
    return not lstm.stacked and (lstm.num_layers == 1 or lstm.hidden_size >= 32)


def lay_out(lstm: ResidualLSTM) -> None:
    """Lay the parameters of layers that the operator takes together side by side, where they are not yet."""
    if not are_worth_it(lstm):
        return
    for direction, groups in lstm._names.items():
        held: list[list[Any]] = [[lstm._parameters.get(name) for name in names] for names in groups]
        blocks = lstm._blocks.pop(direction, None)
        if not all(_can_move(group) for group in held if group):
            continue
        if blocks is None or not blocks.are_in(lstm._parameters):
            (first,), *groups_of_layers = held
            blocks_of_layers = [_one_block(group) if group else None for group in groups_of_layers]
            weights = with_absent(lstm, first.detach(), *blocks_of_layers)
            names, parameters = itertools.chain(*groups), itertools.chain(*held)
            blocks = Blocks(weights, tuple((n, p.data_ptr()) for n, p in zip(names, parameters, strict=True)))
        lstm._blocks[direction] = blocks


def with_absent(
    lstm: ResidualLSTM,
    first: Tensor,
    later: Tensor | None,
    recurrent: Tensor | None,
    peepholes: Tensor | None,
    biases: Tensor | None,
) -> OperatorWeights:
    """Give the operator's weights, with zeros for what is absent."""
    assert recurrent is not None
    layers, gates, units = lstm.num_layers, 4 * lstm.hidden_size, lstm.hidden_size
    return (
        first,
        recurrent.new_empty(0, gates, units) if later is None else later,
        recurrent,
        recurrent.new_zeros(layers, 3, units) if peepholes is None else peepholes,
        recurrent.new_zeros(layers, gates) if biases is None else biases,
    )


def _can_move(held: Sequence[Any]) -> TypeGuard[Sequence[nn.Parameter]]:
    """Tell whether all are plain parameters of one type, with memory of this process alone."""
    return (
        all(type(p) is nn.Parameter and type(p.data) is Tensor for p in held)
        and len({(p.dtype, p.device, p.shape) for p in held}) == 1
        and held[0].device.type in ("cpu", "cuda")
        and not any(p.device.type == "cpu" and p.is_shared() for p in held)
    )


def _one_block(held: Sequence[nn.Parameter]) -> Tensor:
    if len(held) == 1 and held[0].is_contiguous():
        return held[0].detach()[None]
    block = torch.stack([parameter.detach() for parameter in held])
    for parameter, part in zip(held, block, strict=True):
        # A view would be the whole block to whoever saves or shares a parameter.
        parameter.data = dlpack.from_dlpack(part)
    return block
