"""Conversion from and to `torch.nn.LSTM`, where the two can compute the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from resblock.nn.parameters import layer_weights

if TYPE_CHECKING:
    from resblock.nn.lstm import ResidualLSTM


def from_torch(cls: type[ResidualLSTM], lstm: nn.LSTM) -> ResidualLSTM:
    """See `ResidualLSTM.from_torch`."""
    if lstm.proj_size:
        raise ValueError(f"from_torch: proj_size is {lstm.proj_size}, expected 0: the cells have no projections")
    if lstm.bidirectional and lstm.num_layers > 1:
        raise ValueError(
            f"from_torch: bidirectional with {lstm.num_layers} layers, which meet after every layer in torch.nn.LSTM "
            "and once in ResidualLSTM; expected one layer or one direction"
        )
    weights = [weight for layer in lstm.all_weights for weight in layer]
    module = cls(
        lstm.input_size,
        lstm.hidden_size,
        lstm.num_layers,
        bias=lstm.bias,
        batch_first=lstm.batch_first,
        bidirectional=lstm.bidirectional,
        peephole=False,
        residual=False,
        device=weights[0].device,
        dtype=weights[0].dtype,
    )
    module.dropout = lstm.dropout
    module.load_state_dict(dict(zip(_names_in_torch(lstm), weights, strict=True)))
    return module.train(lstm.training)


def to_torch(module: ResidualLSTM) -> nn.LSTM:
    """See `ResidualLSTM.to_torch`."""
    layers = [
        layer_weights(module, layer, direction) for layer in range(module.num_layers) for direction in module._names
    ]
    if any(layer.weight_peephole is not None and bool(layer.weight_peephole.any()) for layer in layers):
        raise ValueError("to_torch: peepholes are not zero, and torch.nn.LSTM has none")
    if module.residual and module.num_layers >= 4:
        raise ValueError(
            f"to_torch: {module.num_layers} layers with residual=True add outputs from layer 4 on, "
            "and torch.nn.LSTM has no residual connections"
        )
    if module.bidirectional and module.num_layers > 1:
        raise ValueError(
            f"to_torch: a bidirectional ResidualLSTM joins its directions once, after {module.num_layers} layers, "
            "torch.nn.LSTM after every layer"
        )
    first = layers[0]
    lstm = nn.LSTM(
        module.input_size,
        module.hidden_size,
        module.num_layers,
        bias=first.bias is not None,
        batch_first=module.batch_first,
        bidirectional=module.bidirectional,
        device=first.weight_hh.device,
        dtype=first.weight_hh.dtype,
    )
    lstm.dropout = module.dropout
    weights: list[Tensor] = []
    for layer in layers:
        weights += [layer.weight_ih, layer.weight_hh]
        if layer.bias is not None:
            weights += [layer.bias, layer.bias.new_zeros(layer.bias.shape)]
    lstm.load_state_dict(dict(zip(_names_in_torch(lstm), weights, strict=True)))
    return lstm.train(module.training)


def _names_in_torch(lstm: nn.LSTM) -> list[str]:
    """Names of the weights in the order of `all_weights`."""
    kinds = ["weight_ih", "weight_hh", *(["bias_ih", "bias_hh"] if lstm.bias else [])]
    ends = ["", "_reverse"] if lstm.bidirectional else [""]
    return [f"{kind}_l{layer}{end}" for layer in range(lstm.num_layers) for end in ends for kind in kinds]
