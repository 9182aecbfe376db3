"""The networks that are timed side by side: same sizes, same inputs, each as its users would run it."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

import torch
from torch import Tensor, nn

from resblock import ResidualLSTM
from resblock.nn.onnx import to_onnx

INPUTS = 18


@dataclasses.dataclass(frozen=True)
class Workload:
    """One size to time."""

    name: str
    layers: int
    units: int
    batch: int
    steps: int
    training: bool = False

    @property
    def cells(self) -> int:
        """Layers x steps x sequences."""
        return self.layers * self.steps * self.batch

    def input(self) -> Tensor:
        torch.manual_seed(0)
        return torch.randn(self.steps, self.batch, INPUTS)


WORKLOADS = (
    Workload("forward, L 60, H 8, B 1, T 10,000", 60, 8, 1, 10_000),
    Workload("training step, L 60, H 8, B 128, T 9", 60, 8, 128, 9, training=True),
)


def ours(work: Workload) -> Callable[[], object]:
    """Peepholes and additions on."""
    return _torch_call(ResidualLSTM(INPUTS, work.units, work.layers), work)


def torch_lstm(work: Workload) -> Callable[[], object]:
    """torch.nn.LSTM: no peepholes, no additions, so it does less."""
    return _torch_call(nn.LSTM(INPUTS, work.units, work.layers), work)


def onnxruntime_lstm(work: Workload) -> Callable[[], object] | None:
    """onnxruntime's LSTM with peepholes, node by node; it has no training."""
    if work.training:
        return None
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    model = to_onnx(ResidualLSTM(INPUTS, work.units, work.layers)).SerializeToString()
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    state = torch.zeros(work.layers, work.batch, work.units).numpy()
    feeds = {"input": work.input().numpy(), "h_0": state, "c_0": state}
    return functools.partial(session.run, None, feeds)


PEERS: dict[str, Callable[[Workload], Callable[[], object] | None]] = {
    "resblock": ours,
    "torch.nn.LSTM": torch_lstm,
    "onnxruntime": onnxruntime_lstm,
}


def _torch_call(module: nn.Module, work: Workload) -> Callable[[], object]:
    x = work.input()

    def infer() -> object:
        with torch.inference_mode():
            return module(x)

    def train() -> object:
        module.zero_grad()
        output, _ = module(x)
        return output.sum().backward()

    return train if work.training else infer
