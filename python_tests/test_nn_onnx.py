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


@torch.no_grad()
@pytest.mark.parametrize(("layers", "options"), [(1, {}), (4, {"bidirectional": True, "batch_first": True})])
def test_a_stack_with_lengths_zero_among_them(layers: int, options: dict[str, bool]) -> None:
    torch.manual_seed(layers)
    lstm = ResidualLSTM(3, 5, layers, **options)
    all_layers, lengths = layers * (2 if lstm.bidirectional else 1), torch.tensor([6, 0, 2, 5, 0, 1])
    x, h_0, c_0 = torch.randn(6, 6, 3), torch.randn(all_layers, 6, 5), torch.randn(all_layers, 6, 5)
    session = onnxruntime.InferenceSession(to_onnx(lstm, lengths=True).SerializeToString())
    output, (h_n, c_n) = lstm(x, (h_0, c_0), lengths)
    for a, e in zip(results(session, x, h_0, c_0, lengths), (output, h_n, c_n), strict=True):
        assert error(a, e) < tolerances.ONNXRUNTIME


@torch.no_grad()
@pytest.mark.parametrize(("attention", "with_lengths"), [(True, True), (False, False)])
def test_the_papers_network_with_its_head(attention: bool, with_lengths: bool) -> None:
    torch.manual_seed(3)
    network = ResAttnLSTM(input_size=4, hidden_size=3, num_layers=4, attention=attention)
    model = to_onnx(network, lengths=with_lengths)
    assert network.training
    session = onnxruntime.InferenceSession(model.SerializeToString())
    given = (torch.randn(9, 5, 4), torch.tensor([9, 1, 0, 4, 2]))[: 1 + with_lengths]
    (logits,) = results(session, *given)
    assert error(logits, network.eval()(*given)) < tolerances.ONNXRUNTIME


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


@pytest.mark.filterwarnings("ignore")
def test_an_exported_program_becomes_the_same_nodes(tmp_path: Path) -> None:
    lstm, x = ResidualLSTM(5, 3, 4, bidirectional=True).eval(), torch.randn(6, 2, 5)
    program = torch.export.export(lstm, (x,))
    session = exported(program, (), tmp_path / "d.onnx", verify=True)
    assert error(results(session, x)[0], lstm(x)[0]) < tolerances.ONNXRUNTIME


@pytest.mark.filterwarnings("ignore")
def test_the_lowest_set_of_operators_is_18(tmp_path: Path) -> None:
    import onnx

    lstm, x = ResidualLSTM(5, 3, 4).eval(), torch.randn(6, 2, 5)
    session = exported(lstm, (x,), tmp_path / "e.onnx", opset_version=18)
    versions = {opset.domain: opset.version for opset in onnx.load(tmp_path / "e.onnx").opset_import}
    assert versions == {"": 18}
    assert error(results(session, x)[0], lstm(x)[0]) < tolerances.ONNXRUNTIME
    assert [opset.version for opset in to_onnx(lstm).opset_import] == [18]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("exported_first", [False, True])
@pytest.mark.parametrize(
    ("lstm", "message"),
    [
        (
            ResidualLSTM(5, 3, output_peephole="previous").eval(),
            "output_peephole is 'previous', and no ONNX node .* Train",
        ),
        (ResidualLSTM(5, 3, 2, dropout=0.5), r"in training mode and has dropout; call eval\(\)"),
    ],
    ids=["previous", "dropout"],
)
def test_what_onnx_cannot_say_is_told(tmp_path: Path, lstm: ResidualLSTM, message: str, exported_first: bool) -> None:
    x = torch.randn(6, 2, 5)
    network, arguments = (torch.export.export(lstm, (x,)), ()) if exported_first else (lstm, (x,))
    with pytest.raises(torch.onnx.OnnxExporterError, match=message):
        torch.onnx.export(network, arguments, tmp_path / "f.onnx", dynamo=True, verbose=False)


@pytest.mark.filterwarnings("ignore")
def test_wrong_arguments_are_named_in_an_export(tmp_path: Path) -> None:
    state = torch.zeros(1, 2, 3)
    with pytest.raises(torch.onnx.OnnxExporterError, match=r"h_0 has shape \(1, 2, 3\), expected \(2, 2, 3\)"):
        exported(ResidualLSTM(5, 3, 2).eval(), (torch.randn(6, 2, 5), (state, state)), tmp_path / "g.onnx")


def test_refuses_what_onnx_cannot_say() -> None:
    with pytest.raises(ValueError, match=r"'previous'.*Train a network"):
        to_onnx(ResidualLSTM(3, 4, output_peephole="previous"))
    with pytest.raises(ValueError, match=r"torch\.float64"):
        to_onnx(ResidualLSTM(3, 4, dtype=torch.float64))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"resets": torch.ones(5, 2) > 0}, "resets were given, and ONNX's LSTM carries its states through all steps"),
        ({"return_cells": True}, "return_cells is True, and ONNX's LSTM gives c of the last step only"),
    ],
)
def test_what_no_node_computes_is_refused(options: dict[str, Any], message: str) -> None:
    lstm = ResidualLSTM(3, 4, 2).eval()
    with pytest.raises(Exception, match="ONNX") as refusal:
        torch.onnx.export(lstm, (torch.randn(5, 2, 3),), kwargs=options, dynamo=True, verbose=False)
    causes = [refusal.value]
    while causes[-1].__cause__ is not None:
        causes.append(causes[-1].__cause__)
    assert any(message in str(cause) for cause in causes)
