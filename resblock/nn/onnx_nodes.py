"""Layers as ONNX LSTM nodes, each with its weights in ONNX's order: for `to_onnx` and for `torch.onnx.export`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor

from resblock.nn.parameters import layer_weights
from resblock.ops import has_shortcut

if TYPE_CHECKING:
    from resblock.nn.lstm import ResidualLSTM

OPSET: Final = 14


def is_exporting() -> bool:
    """Tell whether `torch.onnx.export` runs."""
    # It traces in one of these ways, which is known in a third of the time: torch's own answer imports at every call.
    traced = torch.compiler.is_compiling() or torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
    return traced and torch.onnx.is_in_onnx_export()


def check_output_peephole(lstm: ResidualLSTM) -> None:
    """Refuse what an ONNX LSTM node cannot compute.

    Raises
    ------
    ValueError
        If the output gate sees c[t-1].
    """
    if lstm.output_peephole != "current":
        raise ValueError("ONNX: output_peephole is 'previous', but the output gate of ONNX's LSTM sees c[t]")


def onnx_weights(lstm: ResidualLSTM, layer: int, direction: str = "") -> dict[str, Tensor]:
    """Give W, R, B and P of one layer in one direction, with a leading axis for it."""

    def in_onnx_order(gates: Tensor) -> Tensor:
        """Rows i, f, g, o to ONNX's i, o, f, c."""
        i, f, g, o = gates.chunk(4)
        return torch.cat([i, o, f, g])

    weight_ih, weight_hh, bias, peepholes = layer_weights(lstm, layer, direction)
    if bias is None:
        bias = weight_hh.new_zeros(4 * lstm.hidden_size)
    p_i, p_f, p_o = weight_hh.new_zeros(3, lstm.hidden_size) if peepholes is None else peepholes
    weights = {
        "W": in_onnx_order(weight_ih),
        "R": in_onnx_order(weight_hh),
        "B": torch.cat([in_onnx_order(bias), torch.zeros_like(bias)]),
        "P": torch.cat([p_i, p_o, p_f]),
    }
    return {name: weight[None] for name, weight in weights.items()}


def exported_stack(
    lstm: ResidualLSTM, direction: str, input: Tensor, state: tuple[Tensor, Tensor] | None, lengths: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Stand for the operator while `torch.onnx.export` runs: an LSTM node per layer in place of one unknown node.

    Parameters
    ----------
    lstm : ResidualLSTM
    direction : str
        What the names of its parameters end in.
    input, state, lengths
        (T, B, I), (L, B, H) each or None, and (B,) or None.

    Returns
    -------
    output, h_n, c_n : Tensor, shapes (T, B, H), (L, B, H), (L, B, H)
        Shapes only: the nodes have no values.

    Raises
    ------
    RuntimeError
        In the exporter that traces (dynamo=False).
    ValueError
        If the output gate sees c[t-1].
    """
    if torch.jit.is_tracing():  # type: ignore[attr-defined, no-untyped-call]
        raise RuntimeError(
            "torch.onnx.export(dynamo=False) does not know the operator of ResidualLSTM; export with dynamo=True"
        )
    check_output_peephole(lstm)
    (steps, batch, _), units = input.shape, lstm.hidden_size
    valid = None if lengths is None else lengths.to(torch.int32)
    if state is None:
        zeros = input.new_zeros(()).expand(lstm.num_layers, batch, units)
        state = (zeros, zeros)
    shapes = ((steps, 1, batch, units), (1, batch, units), (1, batch, units))
    y: list[Tensor] = []
    ends: list[tuple[Tensor, Tensor]] = []
    for layer in range(lstm.num_layers):
        w = onnx_weights(lstm, layer, direction)
        h_0, c_0 = (initial[layer : layer + 1] for initial in state)
        h, h_n, c_n = torch.onnx.ops.symbolic_multi_out(
            "LSTM",
            (y[-1] if y else input, w["W"], w["R"], w["B"], valid, h_0, c_0, w["P"]),
            {"hidden_size": units},
            dtypes=(input.dtype,) * 3,
            shapes=shapes,
            version=OPSET,
        )
        # ONNX's output has an axis for the direction: (T, 1, B, H).
        h = h.squeeze(1)
        y.append(h + y[layer - 2] if lstm.residual and has_shortcut(layer) else h)
        ends.append((h_n, c_n))
    return y[-1], torch.cat([h_n for h_n, _ in ends]), torch.cat([c_n for _, c_n in ends])
