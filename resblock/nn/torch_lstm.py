"""Conversion from and to `torch.nn.LSTM`, where the two can compute the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from torch import Tensor, nn

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
    first = cast(Tensor, lstm.weight_ih_l0)
    module = cls(
        lstm.input_size,
        lstm.hidden_size,
        lstm.num_layers,
        bias=lstm.bias,
        batch_first=lstm.batch_first,
        bidirectional=lstm.bidirectional,
        peephole=False,
        residual=False,
        device=first.device,
        dtype=first.dtype,
    )
    module.dropout = lstm.dropout
    for ours, theirs in _pairs(module, lstm):
        for to, given in zip(ours, theirs, strict=False):
            to.copy_(given)
        for second_bias in theirs[len(ours) :]:
            ours[-1].add_(second_bias)
    return module.train(lstm.training)


def to_torch(module: ResidualLSTM) -> nn.LSTM:
    """See `ResidualLSTM.to_torch`."""
    stacks = [module] if module.reverse is None else [module, module.reverse]
    if any(stack.weight_peephole is not None and bool(stack.weight_peephole.any()) for stack in stacks):
        raise ValueError("to_torch: weight_peephole is not zero, and torch.nn.LSTM has no peepholes")
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
    first = module.weight_ih_first
    lstm = nn.LSTM(
        module.input_size,
        module.hidden_size,
        module.num_layers,
        bias=module.bias is not None,
        batch_first=module.batch_first,
        bidirectional=module.bidirectional,
        device=first.device,
        dtype=first.dtype,
    )
    lstm.dropout = module.dropout
    for ours, theirs in _pairs(module, lstm):
        for to, given in zip(theirs, ours, strict=False):
            to.copy_(given)
        for second_bias in theirs[len(ours) :]:
            second_bias.zero_()
    return lstm.train(module.training)


def _pairs(module: ResidualLSTM, lstm: nn.LSTM) -> list[tuple[list[Tensor], list[Tensor]]]:
    """Weights of each layer and direction, without peepholes, as views that can be written to."""
    stacks = [module] if module.reverse is None else [module, module.reverse]
    ours: list[list[Tensor]] = []
    for layer in range(module.num_layers):
        for stack in stacks:
            weights = [stack.weight_ih[layer - 1] if layer else stack.weight_ih_first, stack.weight_hh[layer]]
            ours.append([w.detach() for w in (*weights, *([] if stack.bias is None else [stack.bias[layer]]))])
    theirs = [[weight.detach() for weight in weights] for weights in lstm.all_weights]
    return list(zip(ours, theirs, strict=True))
