"""Parameters of a `ResidualLSTM`: one per layer with `torch.nn.LSTM`'s names, or stacked over the layers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import torch
from torch import Tensor, nn

from resblock.nn.parameter_blocks import OperatorWeights, with_absent

if TYPE_CHECKING:
    from resblock.nn.lstm import ResidualLSTM

REVERSE: Final = "_reverse"


class Part(NamedTuple):
    """One of the five weights that the operator takes for one direction."""

    name: str
    of_layer: str  # what the parameter of one layer is called, without layer and direction
    layers: range  # from 0; empty where the weight is absent
    shape: tuple[int, ...]  # of one layer

    def per_layer(self, direction: str) -> tuple[str, ...]:
        """Names of the parameters of the layers."""
        return tuple(f"{self.of_layer}_l{layer}{direction}" for layer in self.layers)


class LayerWeights(NamedTuple):
    """Weights of one layer in one direction, in the order of `torch.nn.LSTM`, the peepholes last."""

    weight_ih: Tensor  # (4H, I) or (4H, H)
    weight_hh: Tensor  # (4H, H)
    bias: Tensor | None  # (4H,)
    weight_peephole: Tensor | None  # (3, H)


def parts_of(lstm: ResidualLSTM, *, bias: bool, peephole: bool) -> tuple[Part, ...]:
    """Describe the operator's weights, in its order."""
    gates, units, layers = 4 * lstm.hidden_size, lstm.hidden_size, range(lstm.num_layers)
    return (
        Part("weight_ih_first", "weight_ih", layers[:1], (gates, lstm.input_size)),
        Part("weight_ih", "weight_ih", layers[1:], (gates, units)),
        Part("weight_hh", "weight_hh", layers, (gates, units)),
        Part("weight_peephole", "weight_peephole", layers if peephole else range(0), (3, units)),
        Part("bias", "bias_ih", layers if bias else range(0), (gates,)),
    )


def directions(lstm: ResidualLSTM) -> tuple[str, ...]:
    """Give what the names of each direction's parameters end in."""
    return ("", REVERSE) if lstm.bidirectional else ("",)


def names_of(lstm: ResidualLSTM) -> dict[str, list[tuple[str, ...]]]:
    """Give, for each direction, the names of the parameters behind each of the operator's weights."""
    return {
        end: [(part.name + end,) if lstm.stacked and part.layers else part.per_layer(end) for part in lstm._parts]
        for end in directions(lstm)
    }


def register(lstm: ResidualLSTM, device: torch.device | str | None, dtype: torch.dtype | None) -> None:
    """Make the parameters, not yet filled."""

    def add(name: str, *shape: int) -> None:
        lstm.register_parameter(name, nn.Parameter(torch.empty(*shape, device=device, dtype=dtype)))

    if lstm.stacked:
        for end in directions(lstm):
            for part in lstm._parts:
                if not part.layers:
                    lstm.register_parameter(part.name + end, None)
                elif part.name == "weight_ih_first":
                    add(part.name + end, *part.shape)
                else:
                    add(part.name + end, len(part.layers), *part.shape)
        return
    first, later, recurrent, peepholes, biases = lstm._parts
    for layer in range(lstm.num_layers):
        for end in directions(lstm):
            for part in (first, later, recurrent, biases, peepholes):
                if layer in part.layers:
                    add(f"{part.of_layer}_l{layer}{end}", *part.shape)


def in_the_operators_order(lstm: ResidualLSTM) -> Iterator[nn.Parameter]:
    """Give all parameters such that both forms, filled in turn from one generator, hold the same numbers."""
    names = [name for weights in lstm._names.values() for group in weights for name in group]
    place = {name: k for k, name in enumerate(names)}
    for _, parameter in sorted(lstm.named_parameters(), key=lambda named: place.get(named[0], len(place))):
        yield parameter


def operator_weights(lstm: ResidualLSTM, direction: str) -> OperatorWeights:
    """Give the five weights as the operator takes them, with zeros for what is absent."""
    # `Module.__getattr__`, which alone knows what is parametrised, takes ten times as long: 240 parameters feel it.
    held: dict[str, Any] = lstm._parameters
    # Autograd wants each layer's gradient apart, and graphs no addresses.
    blocks = lstm._blocks.get(direction)
    if blocks and not torch.is_grad_enabled() and not torch.compiler.is_compiling() and blocks.are_in(held):
        return blocks.weights
    (first,), *groups = (
        [held[name] if name in held else getattr(lstm, name) for name in names] for names in lstm._names[direction]
    )
    later, recurrent, peepholes, biases = (_joined(lstm, group) if group else None for group in groups)
    return with_absent(lstm, first, later, recurrent, peepholes, biases)


def _joined(lstm: ResidualLSTM, weights: list[Tensor]) -> Tensor:
    if lstm.stacked:
        return weights[0]
    if len(weights) == 1:
        return weights[0][None]  # a view takes half the time
    # `torch.stack` would read what is not there and end the process; what is no parameter may have no address.
    have_addresses = not torch.compiler.is_compiling() and {*map(type, weights)} == {nn.Parameter}
    if have_addresses and not all(map(Tensor.data_ptr, weights)):
        _refuse_freed(lstm)
    return torch.stack(weights)


def _refuse_freed(lstm: ResidualLSTM) -> None:
    for name, parameter in lstm.named_parameters():
        if not parameter.is_meta and parameter.numel() and not parameter.data_ptr():
            raise RuntimeError(
                f"residual_lstm: {name} of shape {tuple(parameter.shape)} has a storage of "
                f"{parameter.untyped_storage().nbytes()} bytes, which is too small; was it freed?"
            )


def layer_weights(lstm: ResidualLSTM, layer: int, direction: str) -> LayerWeights:
    """Give the weights of one layer, from 0, in one direction: parameters, or parts of stacked ones."""

    def of_layer(part: Part) -> Tensor | None:
        if layer not in part.layers:
            return None
        if not lstm.stacked:
            weight: Tensor = getattr(lstm, f"{part.of_layer}_l{layer}{direction}")
            return weight
        stacked: Tensor = getattr(lstm, part.name + direction)
        return stacked if part.name == "weight_ih_first" else stacked[part.layers.index(layer)]

    first, later, recurrent, peephole, bias = map(of_layer, lstm._parts)
    weight_ih = later if first is None else first
    assert weight_ih is not None
    assert recurrent is not None
    return LayerWeights(weight_ih, recurrent, bias, peephole)
