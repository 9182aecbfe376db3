"""A `ResidualLSTM` as an ONNX graph, for runtimes that know nothing of this package."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from resblock.nn.lstm import ResidualLSTM
from resblock.nn.onnx_nodes import OPSET, check_output_peephole, onnx_weights
from resblock.ops import has_shortcut

if TYPE_CHECKING:
    import onnx


def to_onnx(lstm: ResidualLSTM) -> onnx.ModelProto:
    """Write the stack as one ONNX LSTM node per layer, with the residual connections as Add nodes.

    A whole network, with lengths, two directions and what stands around the stack, goes through
    `torch.onnx.export(dynamo=True)`, which writes the same nodes.

    Parameters
    ----------
    lstm : ResidualLSTM
        In float32. Its dropout is left out, as in evaluation mode; `batch_first` has no effect.

    Returns
    -------
    onnx.ModelProto
        Inputs `input` (T, B, I), `h_0` and `c_0` (L, B, H); outputs `output` (T, B, H), `h_n` and `c_n` (L, B, H).
        T and B are free.

    Raises
    ------
    ImportError
        If the package onnx is not installed: it comes with the extra `resblock[onnx]`.
    ValueError
        If the output gate sees c[t-1]: ONNX's sees c[t]; or if the network is bidirectional or not in float32.
    """
    try:
        import onnx
    except ImportError as error:
        raise ImportError("to_onnx needs the package onnx: pip install 'resblock[onnx]'") from error
    check_output_peephole(lstm)
    if lstm.bidirectional:
        raise ValueError("to_onnx: the network is bidirectional; torch.onnx.export(dynamo=True) takes it")
    dtype = lstm.all_weights[0][0].dtype
    if dtype != torch.float32:
        raise ValueError(f"to_onnx: the network is in {dtype}, expected torch.float32")

    helper = onnx.helper
    layers, units = lstm.num_layers, lstm.hidden_size
    nodes: list[Any] = []
    constants: dict[str, Tensor] = {"direction": torch.tensor([1])}

    def add(operator: str, inputs: list[str], outputs: list[str], **attributes: Any) -> None:
        nodes.append(helper.make_node(operator, inputs, outputs, **attributes))

    for initial in ("h_0", "c_0"):
        add("Split", [initial], [f"{initial}.{layer}" for layer in range(layers)], axis=0)
    y: list[str] = []
    for layer in range(layers):
        constants |= {f"{name}.{layer}": weight for name, weight in onnx_weights(lstm, layer).items()}
        inputs = [y[-1] if layer else "input", *(f"{name}.{layer}" for name in "WRB"), ""]
        inputs += [f"h_0.{layer}", f"c_0.{layer}", f"P.{layer}"]
        add("LSTM", inputs, [f"Y.{layer}", f"h_n.{layer}", f"c_n.{layer}"], hidden_size=units)
        # ONNX's output has an axis for the direction: (T, 1, B, H).
        add("Squeeze", [f"Y.{layer}", "direction"], [f"h.{layer}"])
        shortcut = lstm.residual and has_shortcut(layer)
        if shortcut:
            add("Add", [f"h.{layer}", y[layer - 2]], [f"y.{layer}"])
        y.append(f"y.{layer}" if shortcut else f"h.{layer}")
    add("Identity", [y[-1]], ["output"])
    for final in ("h_n", "c_n"):
        add("Concat", [f"{final}.{layer}" for layer in range(layers)], [final], axis=0)

    def value(name: str, *shape: int | str) -> Any:
        return helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)

    graph = helper.make_graph(
        nodes,
        "residual_lstm",
        [value("input", "T", "B", lstm.input_size), *(value(s, layers, "B", units) for s in ("h_0", "c_0"))],
        [value("output", "T", "B", units), *(value(s, layers, "B", units) for s in ("h_n", "c_n"))],
        [onnx.numpy_helper.from_array(t.detach().cpu().contiguous().numpy(), name) for name, t in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    onnx.checker.check_model(model)
    return model
