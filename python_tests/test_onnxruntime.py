"""An oracle that nobody here wrote: onnxruntime's LSTM with peepholes, layer by layer, the additions outside."""

from __future__ import annotations

import pytest
import tolerances
import torch
from networks import Case
from tolerances import error
from torch import Tensor

onnx = pytest.importorskip("onnx", reason="needs the extra resblock[onnx]")
onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra resblock[onnx]")


def in_onnx_order(gates: Tensor) -> Tensor:
    """Rows i, f, g, o to ONNX's i, o, f, c."""
    i, f, g, o = gates.chunk(4)
    return torch.cat([i, o, f, g])


def onnx_layer(x: Tensor, weights: list[Tensor], h_0: Tensor, c_0: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Run ONNX's LSTM operator, whose output gate sees c[t]."""
    weight_ih, weight_hh, peephole, bias = weights
    p_i, p_f, p_o = peephole
    inputs = {
        "X": x,
        "W": in_onnx_order(weight_ih)[None],
        "R": in_onnx_order(weight_hh)[None],
        "B": torch.cat([in_onnx_order(bias), torch.zeros_like(bias)])[None],
        "initial_h": h_0[None],
        "initial_c": c_0[None],
        "P": torch.cat([p_i, p_o, p_f])[None],
    }
    helper, float32 = onnx.helper, onnx.TensorProto.FLOAT
    names = ["X", "W", "R", "B", "", "initial_h", "initial_c", "P"]
    node = helper.make_node("LSTM", names, ["Y", "Y_h", "Y_c"], hidden_size=h_0.shape[-1])
    graph = helper.make_graph(
        [node],
        "lstm",
        [helper.make_tensor_value_info(name, float32, tuple(t.shape)) for name, t in inputs.items()],
        [helper.make_tensor_value_info(name, float32, None) for name in ("Y", "Y_h", "Y_c")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    y, h, c = (torch.from_numpy(o) for o in session.run(None, {k: v.contiguous().numpy() for k, v in inputs.items()}))
    return y[:, 0], h[0], c[0]


@pytest.mark.parametrize("case", [Case(1000, 1, 18, 8, 60), Case(1000, 2, 5, 33, 5), Case(7, 17, 3, 6, 2)], ids=str)
def test_agrees_with_onnxruntime(case: Case) -> None:
    tensors = [t.detach() for t in case.tensors(torch.float32)]
    x, weight_ih_first, weight_ih, weight_hh, peephole, bias, h_0, c_0 = tensors
    y: list[Tensor] = []
    states = []
    for layer in range(case.layers):
        weights = [weight_ih[layer - 1] if layer else weight_ih_first, weight_hh[layer], peephole[layer], bias[layer]]
        out, *state = onnx_layer(y[-1] if layer else x, weights, h_0[layer], c_0[layer])
        y.append(out + y[layer - 2] if layer >= 3 and layer % 2 == 1 else out)
        states.append(state)
    expected = y[-1], torch.stack([h for h, _ in states]), torch.stack([c for _, c in states])
    for a, e in zip(case.run(tensors), expected, strict=True):
        assert error(a, e) < tolerances.ONNXRUNTIME
