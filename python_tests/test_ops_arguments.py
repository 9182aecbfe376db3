"""Wrong calls of the operator get the same refusal on every path that a call can take, with the argument's name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from networks import NAMES, Case, backward_arguments
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd import forward_ad
from torch.func import jvp, vmap

from resblock import ResidualLSTM
from resblock.ops import devices, onnx_nodes, residual_lstm

CASE = Case(3, 2, 4, 5, 3)

Options = dict[str, Any]
Change = Callable[[Tensor], Tensor]
Path = Callable[[list[Tensor], Options], object]
#: Name of the tensor that is changed, and how; or the options. What the message says.
Wrong = dict[str, tuple[str, Change | Options, str]]


def operator_arguments(tensors: list[Tensor], options: Options) -> list[Any]:
    """As the registered operators take them."""
    defaults = {"lengths": None, "batch_sizes": None, "order": None, "resets": None, "dropout_p": 0.0}
    defaults |= {"dropout_seed": None, "residual": True, "previous": False, "schedule": None, "checkpoint_chunks": 0}
    return [*tensors, *{**defaults, **options}.values(), True, False]


def with_tangent(tensors: list[Tensor], options: Options, *, by_level: bool) -> object:
    """In forward mode, by the peepholes."""
    before, peephole, after = tensors[:4], tensors[4], tensors[5:]
    if by_level:
        with forward_ad.dual_level():
            dual = forward_ad.make_dual(peephole, torch.ones_like(peephole))
            return residual_lstm(*before, dual, *after, **options)
    return jvp(lambda p: residual_lstm(*before, p, *after, **options)[0], (peephole,), (torch.ones_like(peephole),))


def with_gradients(tensors: list[Tensor], options: Options) -> object:
    return residual_lstm(*(t.requires_grad_() if t.is_floating_point() else t for t in tensors), **options)


def per_sample(tensors: list[Tensor], options: Options) -> object:
    """In forward mode below `vmap`, over one sample of the peepholes."""
    before, peepholes, after = tensors[:4], tensors[4][None], tensors[5:]

    def tangent(p: Tensor) -> Tensor:
        return jvp(lambda p: residual_lstm(*before, p, *after, **options)[0], (p,), (torch.ones_like(p),))[1]

    return vmap(tangent)(peepholes)


class Network(torch.nn.Module):
    def __init__(self, options: Options) -> None:
        super().__init__()
        self.options = options

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        return residual_lstm(*tensors, **self.options)


def compiled(tensors: list[Tensor], options: Options) -> object:
    torch.compiler.reset()
    return torch.compile(Network(options), fullgraph=True, backend="aot_eager")(*tensors)


def of_shapes(tensors: list[Tensor], options: Options, *, call: Callable[..., object]) -> object:
    """With tensors that have no values."""
    with FakeTensorMode() as mode:
        options = {k: mode.from_tensor(v) if isinstance(v, Tensor) else v for k, v in options.items()}
        return call(*operator_arguments([mode.from_tensor(t) for t in tensors], options))


def on_meta(tensors: list[Tensor], options: Options) -> object:
    options = {k: v.to("meta") if isinstance(v, Tensor) and k == "lengths" else v for k, v in options.items()}
    return residual_lstm(*(t.to("meta") for t in tensors), **options)


EAGER: dict[str, Callable[[list[Tensor], dict[str, Any]], object]] = {
    "kernels": lambda t, o: residual_lstm(*t, **o),
    "kernels of training": with_gradients,
    "forward mode": lambda t, o: with_tangent(t, o, by_level=False),
    "a level of forward mode": lambda t, o: with_tangent(t, o, by_level=True),
    "forward mode of samples": per_sample,
    "another device": lambda t, o: devices.KERNELS["residual_lstm"](*operator_arguments(t, o)),
    "training on another device": lambda t, o: devices.KERNELS["residual_lstm_training"](*operator_arguments(t, o)),
}
TRACED: dict[str, Callable[[list[Tensor], dict[str, Any]], object]] = {
    "meta": on_meta,
    "shapes": lambda t, o: of_shapes(t, o, call=torch.ops.resblock.residual_lstm),
    "shapes of training": lambda t, o: of_shapes(t, o, call=torch.ops.resblock.residual_lstm_training),
    "ONNX nodes": lambda t, o: of_shapes(t, o, call=onnx_nodes.stack),
    "compiled": compiled,
    "exported": lambda t, o: torch.export.export(Network(o), tuple(t)),
}

TWO = torch.tensor([1, 2])
WRONG: Wrong = {
    "one sequence": ("input", lambda t: t[0], r"input has shape \(2, 4\), expected \(time, batch, features\)"),
    "whole numbers": ("input", lambda t: t.long(), "input is .*, expected float32, float64, bfloat16 or float16"),
    "another input size": ("weight_ih_first", lambda t: t[:, :3], r"weight_ih_first has .*, expected \(20, 4\)"),
    "nine layers": (
        "weight_ih",
        lambda t: t.repeat(4, 1, 1),
        r"weight_ih has shape \(8, 20, 5\), expected \(2, 20, 5\)",
    ),
    "three gates": ("weight_hh", lambda t: t[:, :15], r"weight_hh has shape \(3, 15, 5\), expected \(3, 20, 5\)"),
    "no layers": ("weight_hh", lambda t: t[:0], "weight_hh has shape .* with at least one layer"),
    "a matrix": ("weight_hh", lambda t: t[0], "weight_hh has shape .*, expected .layers, 4 . hidden, hidden"),
    "two peepholes": ("weight_peephole", lambda t: t[:, :2], r"weight_peephole has .*, expected \(3, 3, 5\)"),
    "one bias for all": ("bias", lambda t: t[:1], r"bias has shape \(1, 20\), expected \(3, 20\)"),
    "one state for all": ("h_0", lambda t: t[:1], r"h_0 has shape \(1, 2, 5\), expected \(3, 2, 5\)"),
    "states of one": ("c_0", lambda t: t[:, :1], r"c_0 has shape \(3, 1, 5\), expected \(3, 2, 5\)"),
    "weights of another type": ("weight_hh", lambda t: t.double(), "weight_hh is .* but input is"),
    "states of another type": ("c_0", lambda t: t.bfloat16(), "c_0 is .* but input is"),
    "too few lengths": ("", {"lengths": TWO[:1]}, r"lengths must be int64 of shape \(2,\), got .* of shape \(1,\)"),
    "lengths of 32 bits": ("", {"lengths": TWO.int()}, "lengths must be int64"),
    "no seed": ("", {"dropout_p": 0.5}, "dropout_p is 0.5 but no dropout_seed was given"),
    "a large probability": ("", {"dropout_p": 1.5, "dropout_seed": TWO[:1]}, "dropout_p is 1.5, expected 0 to 1"),
    "a negative probability": ("", {"dropout_p": -0.5, "dropout_seed": TWO[:1]}, "dropout_p is -0.5, expected 0 to 1"),
    "no probability": ("", {"dropout_p": float("nan"), "dropout_seed": TWO[:1]}, "dropout_p is nan"),
    "two seeds": ("", {"dropout_p": 0.5, "dropout_seed": TWO}, "dropout_seed must be one int64"),
    "a seed that is no whole number": (
        "",
        {"dropout_p": 0.5, "dropout_seed": torch.ones(1)},
        "dropout_seed must be one",
    ),
    "resets that are numbers": ("", {"resets": torch.ones(3, 2)}, r"resets must be bool of shape \(3, 2\), got "),
    "resets of one sequence": ("", {"resets": TWO > 1}, r"resets must be bool of shape .*, got .* of shape \(2,\)"),
    "resets of the other order": ("", {"resets": torch.ones(2, 3) > 0}, r"resets must be bool of shape \(3, 2\), got"),
    "negative chunks": ("", {"checkpoint_chunks": -3}, "checkpoint_chunks is -3, expected 0"),
    "an unknown schedule": ("", {"schedule": "fast"}, "schedule is 'fast', expected one of: batched, layerwise"),
}
#: What is seen only where there are values.
WRONG_VALUES: Wrong = {
    "a length past the end": ("", {"lengths": torch.tensor([3, 4])}, r"lengths\[1\] is 4, expected 0 to 3"),
    "a negative length": ("", {"lengths": torch.tensor([-1, 3])}, r"lengths\[0\] is -1, expected 0 to 3"),
    "freed weights": ("bias", lambda t: resized(t, 0), "bias of shape .3, 20. has a storage of 0 bytes"),
    "half of the states": ("h_0", lambda t: resized(t, 60), "h_0 of shape .3, 2, 5. has a storage of 60 bytes"),
}


def resized(t: Tensor, bytes: int) -> Tensor:
    t.untyped_storage().resize_(bytes)
    return t


def check_refused(run: Path, wrong: tuple[str, Change | Options, str]) -> None:
    name, change, message = wrong
    tensors = [t.detach() for t in CASE.tensors(torch.float32)]
    if not isinstance(change, dict):
        tensors[NAMES.index(name)] = change(tensors[NAMES.index(name)])
    with pytest.raises((RuntimeError, ValueError), match=message):
        run(tensors, change if isinstance(change, dict) else {})


@pytest.mark.parametrize("what", WRONG)
@pytest.mark.parametrize("path", [*EAGER, *TRACED])
def test_wrong_calls(path: str, what: str) -> None:
    check_refused({**EAGER, **TRACED}[path], WRONG[what])


@pytest.mark.parametrize("what", WRONG_VALUES)
@pytest.mark.parametrize("path", [*EAGER, "compiled"])
def test_wrong_values(path: str, what: str) -> None:
    check_refused({**EAGER, **TRACED}[path], WRONG_VALUES[what])


@pytest.mark.parametrize("path", TRACED)
def test_values_that_are_not_there_are_not_looked_at(path: str) -> None:
    tensors = [t.detach() for t in CASE.tensors(torch.float32)]
    TRACED[path](tensors, {"lengths": TWO, "dropout_p": 0.0 if "ONNX" in path else 0.5, "dropout_seed": TWO[:1]})


LAYOUTS: dict[str, Change] = {
    "torch.sparse_coo": lambda t: t.to_sparse(),
    "torch._mkldnn": lambda t: t.to_mkldnn(),
    "torch.strided, quantized": lambda t: torch.quantize_per_tensor(t, 0.1, 0, torch.quint8),
    "torch.strided, nested": lambda t: torch.nested.nested_tensor(list(t)),
    "torch.jagged, nested": lambda t: torch.nested.nested_tensor(list(t), layout=torch.jagged),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["input", "weight_hh", "bias", "c_0"])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("path", [path for path in EAGER if path != "kernels of training"])
def test_tensors_that_are_not_dense(path: str, layout: str, name: str) -> None:
    check_refused(EAGER[path], (name, LAYOUTS[layout], f"{name} is a tensor of layout {layout}, expected a dense one"))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_network_takes_no_input_that_is_not_dense(layout: str, bidirectional: bool) -> None:
    lstm = ResidualLSTM(4, 5, 2, batch_first=True, bidirectional=bidirectional)
    with pytest.raises(RuntimeError, match=f"input is a tensor of layout {layout}, expected a dense one"):
        lstm(LAYOUTS[layout](torch.randn(3, 2, 4)))


def test_lengths_and_seeds_that_are_not_dense() -> None:
    tensors = CASE.tensors(torch.float32)
    for options, name in (
        ({"lengths": TWO.to_sparse()}, "lengths"),
        ({"dropout_p": 0.5, "dropout_seed": TWO[:1].to_sparse()}, "dropout_seed"),
    ):
        with pytest.raises(RuntimeError, match=f"{name} is a tensor of layout torch.sparse_coo"):
            residual_lstm(*tensors, **options)


BACKWARD: dict[str, Callable[[list[Any]], object]] = {
    "kernels": lambda a: torch.ops.resblock.residual_lstm_backward(*a),
    "another device": lambda a: devices.KERNELS["residual_lstm_backward"](*a),
    "meta": lambda a: torch.ops.resblock.residual_lstm_backward(
        *(t.to("meta") if isinstance(t, Tensor) else t for t in a)
    ),
}


@torch.no_grad()
@pytest.mark.parametrize("path", BACKWARD)
@pytest.mark.parametrize(
    ("place", "change", "message"),
    [
        (0, lambda t: t[:2], r"grad_output has shape \(2, 2, 5\), expected \(3, 2, 5\)"),
        (1, lambda t: t[:1], r"grad_h_n has shape \(1, 2, 5\), expected \(3, 2, 5\)"),
        (2, lambda t: t.double(), "grad_c_n is .* but input is"),
        (3, lambda t: t[:2], r"grad_cells has shape \(2, 3, 2, 5\), expected \(3, 3, 2, 5\)"),
        (9, lambda t: t[:1], r"bias has shape \(1, 20\), expected \(3, 20\)"),
    ],
)
def test_wrong_calls_of_the_backward_pass(path: str, place: int, change: Change, message: str) -> None:
    arguments = [*operator_arguments([t.detach() for t in CASE.tensors(torch.float32)], {})[:-1], True]
    *results, saved = torch.ops.resblock.residual_lstm_training(*arguments)
    call = list(backward_arguments(arguments, results, saved))
    call[place] = change(call[place])
    with pytest.raises(RuntimeError, match=message):
        BACKWARD[path](call)


def test_a_device_without_kernels_has_no_schedules() -> None:
    with FakeTensorMode() as mode, torch.device("xpu"):
        tensors = [torch.empty(t.shape, device="xpu") for t in CASE.tensors(torch.float32)]
    with mode, pytest.raises(ValueError, match="schedule is 'batched', expected none: xpu has no kernels"):
        residual_lstm(*tensors, schedule="batched")


def test_numbers_of_sequences_that_are_known_when_the_graph_runs() -> None:
    class Selection(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = ResidualLSTM(4, 5, 2, bidirectional=True)

        def forward(self, x: Tensor, lengths: Tensor, wanted: Tensor) -> Tensor:
            places = wanted.nonzero().squeeze(1)
            return self.lstm(x[:, places], lengths=lengths[places])[0]

    network, x, lengths = Selection().eval(), torch.randn(6, 4, 4), torch.tensor([6, 3, 0, 2])
    program = torch.export.export(network, (x, lengths, lengths > 1)).module()
    assert torch.equal(program(x, lengths, lengths < 5), network(x, lengths, lengths < 5))
