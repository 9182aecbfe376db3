"""Networks as ONNX graphs, for runtimes that know nothing of this package."""

from __future__ import annotations

import copy
import importlib.util
import warnings
from typing import TYPE_CHECKING, Any, Final

import torch
from torch import Tensor, nn

from resblock.nn.lstm import ResidualLSTM
from resblock.nn.model import ResAttnLSTM
from resblock.ops.onnx_nodes import check_output_peephole

if TYPE_CHECKING:
    import onnx

OPSET: Final = 18  # the exporter's lowest


def to_onnx(network: ResidualLSTM | ResAttnLSTM, *, lengths: bool = False) -> onnx.ModelProto:
    """Write a network as one ONNX LSTM node per layer and direction, with residual connections as Add nodes.

    Networks that hold one of these go through `torch.onnx.export(dynamo=True)`, which writes the same nodes.

    Parameters
    ----------
    network : ResidualLSTM or ResAttnLSTM
        In float32. It is exported as in evaluation mode.
    lengths : bool
        Whether the graph has an input `lengths`, int64 of shape (B,).

    Returns
    -------
    onnx.ModelProto
        Of opset 18, with T and B free. ResidualLSTM: inputs `input`, `h_0` and `c_0`, outputs `output`, `h_n` and
        `c_n`, of the shapes that the network takes and gives. ResAttnLSTM: input `input`, output `logits`.

    Raises
    ------
    ImportError
        If the packages onnx and onnxscript are not installed: they come with the extra `resblock[onnx]`.
    ValueError
        If the output gate sees c[t-1], where ONNX's sees c[t], or the network is not in float32.
    """
    for name in ("onnx", "onnxscript"):
        if importlib.util.find_spec(name) is None:
            raise ImportError(f"to_onnx needs the package {name}: pip install 'resblock[onnx]'")
    dtype = next(network.parameters()).dtype
    if dtype != torch.float32:
        raise ValueError(f"to_onnx: the network is in {dtype}, expected torch.float32")
    stack = network if isinstance(network, ResidualLSTM) else network.lstm
    check_output_peephole(stack.output_peephole)
    steps, batch = 3, 2
    batch_first = stack.batch_first
    arguments = {"input": torch.zeros(*((batch, steps) if batch_first else (steps, batch)), stack.input_size)}
    time, sequences = torch.export.Dim("T"), torch.export.Dim("B")
    sizes = {"input": {0: sequences, 1: time} if batch_first else {0: time, 1: sequences}}
    outputs = ["logits"]
    if stack is network:
        layers = 2 * stack.num_layers if stack.bidirectional else stack.num_layers
        arguments |= {name: torch.zeros(layers, batch, stack.hidden_size) for name in ("h_0", "c_0")}
        sizes |= {"h_0": {1: sequences}, "c_0": {1: sequences}}
        outputs = ["output", "h_n", "c_n"]
    if lengths:
        arguments["lengths"], sizes["lengths"] = torch.full((batch,), steps), {0: sequences}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="# The axis name")  # B, which several inputs share
        program: Any = torch.onnx.export(
            _Named(copy.deepcopy(network).cpu()).eval(),
            kwargs=arguments,
            dynamic_shapes=sizes,
            input_names=list(arguments),
            output_names=outputs,
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    model: onnx.ModelProto = program.model_proto
    return model


class _Named(nn.Module):
    """A network whose tensors all have names."""

    def __init__(self, network: ResidualLSTM | ResAttnLSTM) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, input: Tensor, h_0: Tensor | None = None, c_0: Tensor | None = None, lengths: Tensor | None = None
    ) -> Any:
        if h_0 is None:
            return self.network(input, lengths=lengths)
        return self.network(input, (h_0, c_0), lengths=lengths)
