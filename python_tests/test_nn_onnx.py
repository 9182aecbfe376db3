"""An oracle that nobody here wrote: onnxruntime's LSTM with peepholes, residual connections as nodes."""

from __future__ import annotations

import pytest
import tolerances
import torch
from tolerances import error

from resblock import ResidualLSTM
from resblock.nn.onnx import to_onnx

pytest.importorskip("onnx", reason="needs the extra resblock[onnx]")
onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra resblock[onnx]")


@pytest.mark.parametrize(
    ("steps", "batch", "units", "layers", "options"),
    [
        (1000, 1, 8, 60, {}),
        (1000, 2, 33, 5, {}),
        (7, 17, 6, 1, {}),
        (7, 17, 6, 6, {"residual": False}),
        (7, 3, 6, 4, {"peephole": False, "bias": False}),
    ],
)
def test_agrees_with_onnxruntime(steps: int, batch: int, units: int, layers: int, options: dict[str, bool]) -> None:
    torch.manual_seed(steps + layers)
    lstm = ResidualLSTM(18, units, layers, **options)
    x, h_0, c_0 = torch.randn(steps, batch, 18), torch.randn(layers, batch, units), torch.randn(layers, batch, units)
    session = onnxruntime.InferenceSession(to_onnx(lstm).SerializeToString(), providers=["CPUExecutionProvider"])
    expected = session.run(None, {"input": x.numpy(), "h_0": h_0.numpy(), "c_0": c_0.numpy()})
    with torch.no_grad():
        output, (h_n, c_n) = lstm(x, (h_0, c_0))
    for a, e in zip((output, h_n, c_n), expected, strict=True):
        assert a.shape == e.shape
        assert error(a, torch.from_numpy(e)) < tolerances.ONNXRUNTIME


def test_refuses_what_onnx_cannot_say() -> None:
    with pytest.raises(ValueError, match="'previous'"):
        to_onnx(ResidualLSTM(3, 4, output_peephole="previous"))
    with pytest.raises(ValueError, match=r"torch\.float64"):
        to_onnx(ResidualLSTM(3, 4, dtype=torch.float64))
