"""The operator as ONNX LSTM nodes, one for each layer, while `torch.onnx.export` runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import torch
from torch import Tensor

from resblock.ops import internals
from resblock.ops.arguments import ForwardCall, check
from resblock.ops.composite import has_shortcut

_LSTM_OPSET: Final = 14
_SPLIT_OPSET: Final = 18


def are_wanted() -> bool:
    """Tell whether nodes are wanted in place of numbers, which the exporter may compute as well, to compare."""
    return torch.onnx.is_in_onnx_export() and internals.dispatch_modes() > 0


def refuse_tracing() -> None:
    """Refuse the exporter that traces.

    Raises
    ------
    RuntimeError
    """
    if torch.onnx.is_in_onnx_export():
        raise RuntimeError(
            "torch.onnx.export(dynamo=False) does not know the operator of ResidualLSTM; export with dynamo=True"
        )


def stack(*arguments: Any) -> tuple[Tensor, Tensor, Tensor, None]:
    """Stand for `resblock::residual_lstm`: its results have shapes and types, but no values.

    Raises
    ------
    ValueError
        If the output gate sees c[t-1], there is dropout, rows are packed, sequences begin anew, or cells are wanted.
    RuntimeError
        If an argument is one that the operator refuses.
    """
    call = ForwardCall.of(arguments)
    check(call)
    check_output_peephole("previous" if call.options.output_peephole_previous else "current")
    if call.options.dropout_p:
        raise ValueError("ONNX: the network is in training mode and has dropout; call eval() before the export")
    if call.options.batch_sizes is not None:
        raise ValueError("ONNX: the input is a PackedSequence; export the network with a padded input and lengths")
    if call.options.resets is not None:
        raise ValueError(
            "ONNX: resets were given, and ONNX's LSTM carries its states through all steps; export the network without "
            "them, and call it for each part between two resets, with states of zeros"
        )
    if call.cells:
        raise ValueError(
            "ONNX: return_cells is True, and ONNX's LSTM gives c of the last step only; export the network without it, "
            "and call it step by step: c_n is c of the step"
        )
    lengths = call.options.lengths
    input, weight_ih_first, weight_ih, weight_hh, weight_peephole, bias, h_0, c_0 = call.tensors
    (steps, batch, _), units = input.shape, weight_hh.shape[2]
    biases = _in_onnx_order(bias)
    p_i, p_f, p_o = weight_peephole.unbind(1)
    weights = zip(
        [_in_onnx_order(weight_ih_first[None]), *_layers(_in_onnx_order(weight_ih))],
        _layers(_in_onnx_order(weight_hh)),
        _layers(torch.cat([biases, torch.zeros_like(biases)], 1)),
        _layers(torch.cat([p_i, p_o, p_f], 1)),
        _layers(h_0),
        _layers(c_0),
        strict=True,
    )
    valid = None if lengths is None else lengths.to(torch.int32)
    y: list[Tensor] = []
    ends: list[tuple[Tensor, Tensor]] = []
    for layer, (w, r, b, p, h, c) in enumerate(weights):
        h, h_n, c_n = torch.onnx.ops.symbolic_multi_out(
            "LSTM",
            (y[-1] if y else input, w, r, b, valid, h, c, p),
            {"hidden_size": units},
            dtypes=(input.dtype,) * 3,
            shapes=((steps, 1, batch, units), (1, batch, units), (1, batch, units)),
            version=_LSTM_OPSET,
        )
        # ONNX's output has an axis for the direction: (T, 1, B, H).
        h = h.squeeze(1)
        y.append(h + y[layer - 2] if call.options.residual and has_shortcut(layer) else h)
        ends.append((h_n, c_n))
    h_n, c_n = (torch.cat(of_layers) for of_layers in zip(*ends, strict=True))
    if lengths is None:
        return y[-1], h_n, c_n, None
    # Of a sequence of no steps, onnxruntime gives other states than the initial ones.
    none = (lengths == 0).unsqueeze(1)
    return y[-1], torch.where(none, h_0, h_n), torch.where(none, c_0, c_n), None


def check_output_peephole(output_peephole: str) -> None:
    """Refuse what no ONNX node computes.

    Raises
    ------
    ValueError
    """
    if output_peephole != "current":
        raise ValueError(
            f"ONNX: output_peephole is {output_peephole!r}, and no ONNX node computes it: the output gate of ONNX's "
            "LSTM sees c[t], not c[t-1]. Train a network with output_peephole='current' and export that (the weights "
            "of this one do not fit it), or deploy this one by torch.export and AOTInductor"
        )


def _layers(stacked: Tensor) -> Sequence[Tensor]:
    """Cut (L, ...) into layers (1, ...) by one node: the exporter takes half a minute for a slice of each of many."""
    layers = len(stacked)
    if layers < 2:
        return [stacked] * layers
    return torch.onnx.ops.symbolic_multi_out(
        "Split",
        (stacked,),
        {"axis": 0, "num_outputs": layers},
        dtypes=(stacked.dtype,) * layers,
        shapes=((1, *stacked.shape[1:]),) * layers,
        version=_SPLIT_OPSET,
    )


def _in_onnx_order(gates: Tensor) -> Tensor:
    """Put the rows i, f, g, o of each layer, (L, 4H, ...), in ONNX's order: i, o, f, c."""
    i, f, g, o = gates.chunk(4, 1)
    return torch.cat([i, o, f, g], 1)
