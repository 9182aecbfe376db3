"""The networks that are timed side by side: same sizes, same inputs, each as its users would run it."""

from __future__ import annotations

import functools
from collections.abc import Callable

import episodes
import ragged
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence
from workloads import EXPORTED, INPUTS, JAX, ONNX, OURS, TORCH, Participant, Size

from resblock import ResidualLSTM
from resblock.ops import residual_lstm

Call = Callable[[], object]
Input = Tensor | PackedSequence


def call_of(participant: Participant, size: Size, mode: str = "") -> Call:
    """Give what is timed: one call of the participant's network on an input of this size.

    The mode is "inference" (no gradient), "graph" (forward with a graph for the gradients), "training" (forward and
    backward) or "penalty" (the gradient by the input differentiated once more); by default what the size says. With
    "resets" and their probability sequences begin anew, with "cells" c of every step is wanted, too. With "ragged" and
    the part of the batch that is filled sequences have lengths, and "streaming" carries the state from call to call.
    """
    if participant.peer == ONNX:
        return _onnxruntime_call(size, participant.threads)
    if participant.peer == JAX:
        import jax_peer

        return jax_peer.call_of(size)
    kind = "training" if size.training else "inference"
    if mode.startswith(("resets", "cells")):
        x, sizes = input_of(size), (INPUTS, size.units, size.layers)
        resets = episodes.resets_of(x, float(mode.split()[1])) if mode != "cells" else None
        return torch_call(episodes.module_of(participant.peer, sizes, size.layers > 8, resets), x, kind)
    if mode.startswith("ragged"):
        return torch_call(
            *ragged.network_and_input(participant.peer, size, input_of(size), float(mode.split()[1])), kind
        )
    # torch.nn.LSTM has neither peepholes nor residual connections: it does less.
    # Deep stacks as docs/lstm.md advises them, the others as they come.
    stacked = size.layers > 8 or bool(participant.schedule)
    ours = functools.partial(ResidualLSTM, stacked=stacked)
    module = {OURS: ours, EXPORTED: ours, TORCH: nn.LSTM}[participant.peer](INPUTS, size.units, size.layers)
    if participant.peer == EXPORTED:
        module = torch.export.export(module.eval(), (input_of(size),)).module()
    dtype: torch.dtype = getattr(torch, participant.dtype)
    if participant.schedule:
        module = _OnSchedule(module, participant.schedule)
    return torch_call(module.to(dtype), input_of(size).to(dtype), mode or kind)


class _OnSchedule(nn.Module):
    """A ResidualLSTM's stacked parameters, run on the schedule that is asked for."""

    def __init__(self, lstm: ResidualLSTM, schedule: str) -> None:
        super().__init__()
        self.lstm, self.schedule = lstm, schedule

    def forward(self, x: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        lstm = self.lstm
        weights = lstm.weight_ih_first, lstm.weight_ih, lstm.weight_hh, lstm.weight_peephole, lstm.bias
        states = x.new_zeros(()).expand(lstm.num_layers, x.shape[1], lstm.hidden_size)
        output, h_n, c_n = residual_lstm(x, *weights, states, states, schedule=self.schedule)
        return output, (h_n, c_n)


def input_of(size: Size) -> Tensor:
    """Draw the input, the same for all."""
    return torch.randn(size.steps, size.batch, INPUTS, generator=torch.Generator().manual_seed(0))


def torch_call(module: nn.Module, x: Input, mode: str) -> Call:
    """Give the call of a module that is timed, in this mode."""

    def infer() -> object:
        with torch.inference_mode():
            return module(x)

    state = None

    def stream() -> object:
        nonlocal state
        with torch.inference_mode():
            output, state = module(x, state)
        return output

    def train() -> object:
        module.zero_grad()
        output, _ = module(x)
        return (output.data if isinstance(output, PackedSequence) else output).sum().backward()

    def penalise() -> object:
        module.zero_grad()
        assert isinstance(x, Tensor)
        inputs = x.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(module(inputs)[0].square().sum(), inputs, create_graph=True)
        return gradient.square().sum().backward()

    modes = {
        "inference": infer,
        "graph": lambda: module(x),
        "training": train,
        "penalty": penalise,
        "streaming": stream,
    }
    return modes[mode]


def _onnxruntime_call(size: Size, threads: int) -> Call:
    """Onnxruntime's LSTM with peepholes, node by node; it has no training."""
    import onnxruntime

    from resblock.nn.onnx import to_onnx

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    model = to_onnx(ResidualLSTM(INPUTS, size.units, size.layers)).SerializeToString()
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    state = torch.zeros(size.layers, size.batch, size.units).numpy()
    return functools.partial(session.run, None, {"input": input_of(size).numpy(), "h_0": state, "c_0": state})
