"""An oracle that nobody here wrote: onnxruntime's LSTM with peepholes, residual connections as nodes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tolerances
import torch
from tolerances import error

from resblock import ResAttnLSTM, ResidualLSTM
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
        (7, 3, 6, 4, {"peephole": False, "bias": False, "stacked": True}),
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


def exported(network: torch.nn.Module, arguments: tuple[torch.Tensor, ...], path: Path, **options: object) -> Any:
    pytest.importorskip("onnxscript", reason="torch.onnx.export(dynamo=True) needs it")
    torch.onnx.export(network, arguments, path, dynamo=True, verbose=False, **options)
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def results(session: Any, *arguments: torch.Tensor) -> list[torch.Tensor]:
    names = [given.name for given in session.get_inputs()]
    return [
        torch.from_numpy(r) for r in session.run(None, {n: a.numpy() for n, a in zip(names, arguments, strict=True)})
    ]


@pytest.mark.filterwarnings("ignore")
def test_a_whole_network_is_exported_with_lengths_and_free_sizes(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = ResAttnLSTM(input_size=5, hidden_size=3, num_layers=6).eval()
    time, batch = torch.export.Dim("time", min=2, max=1000), torch.export.Dim("batch", min=2, max=1000)
    given = torch.randn(7, 3, 5), torch.tensor([7, 2, 4])
    session = exported(network, given, tmp_path / "a.onnx", dynamic_shapes=({0: time, 1: batch}, {0: batch}))
    x, lengths = torch.randn(11, 4, 5), torch.tensor([3, 11, 1, 8])
    (logits,) = results(session, x, lengths)
    assert error(logits, network(x, lengths)) < tolerances.ONNXRUNTIME


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("options", [{"bidirectional": True, "batch_first": True}, {"peephole": False, "bias": False}])
@pytest.mark.parametrize("stacked", [False, True])
def test_a_layer_is_exported_with_its_states(tmp_path: Path, options: dict[str, bool], stacked: bool) -> None:
    torch.manual_seed(1)
    lstm = ResidualLSTM(5, 3, 4, **options, stacked=stacked).eval()
    x = torch.randn(6, 6, 5)
    state = torch.randn(8 if lstm.bidirectional else 4, 6, 3), torch.randn(8 if lstm.bidirectional else 4, 6, 3)
    session = exported(lstm, (x, state), tmp_path / "b.onnx")
    output, (h_n, c_n) = lstm(x, state)
    for a, e in zip(results(session, x, *state), (output, h_n, c_n), strict=True):
        assert error(a, e) < tolerances.ONNXRUNTIME


@pytest.mark.filterwarnings("ignore")
def test_the_exporter_that_traces_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="export with dynamo=True"):
        torch.onnx.export(ResidualLSTM(5, 3).eval(), (torch.randn(6, 2, 5),), tmp_path / "c.onnx", dynamo=False)


def test_refuses_what_onnx_cannot_say() -> None:
    with pytest.raises(ValueError, match="'previous'"):
        to_onnx(ResidualLSTM(3, 4, output_peephole="previous"))
    with pytest.raises(ValueError, match=r"torch\.float64"):
        to_onnx(ResidualLSTM(3, 4, dtype=torch.float64))
