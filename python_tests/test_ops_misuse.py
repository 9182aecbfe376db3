"""Calls of the operator that must be refused with a message, never answered with a crash or with numbers."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from networks import NAMES, Case, backward_arguments
from torch import Tensor

import resblock.ops
from resblock import ResidualLSTM
from resblock.ops import residual_lstm

CASE = Case(3, 2, 4, 5, 3)


def freed(t: Tensor, bytes: int = 0) -> Tensor:
    t = t.detach().clone()
    t.untyped_storage().resize_(bytes)
    return t


def with_one(name: str, change: Callable[[Tensor], Tensor]) -> list[Tensor]:
    tensors = [t.detach() for t in CASE.tensors(torch.float32)]
    k = NAMES.index(name)
    tensors[k] = change(tensors[k])
    return tensors


@pytest.mark.parametrize("bytes", [0, 8])
@pytest.mark.parametrize("name", NAMES)
def test_storage_that_was_freed(name: str, bytes: int) -> None:
    with pytest.raises(RuntimeError, match=rf"^residual_lstm: {name} of shape .* storage of {bytes} bytes"):
        residual_lstm(*with_one(name, lambda t: freed(t, bytes)))
    training = [t.requires_grad_() for t in with_one(name, lambda t: freed(t, bytes))]
    with pytest.raises(RuntimeError, match=rf"^residual_lstm: {name} of shape"):
        residual_lstm(*training)


def test_storage_of_options_and_gradients_that_was_freed() -> None:
    tensors = CASE.tensors(torch.float32)
    with pytest.raises(RuntimeError, match="lengths of shape"):
        residual_lstm(*tensors, lengths=freed(torch.tensor([1, 2])))
    with pytest.raises(RuntimeError, match="dropout_seed of shape"):
        residual_lstm(*tensors, dropout_p=0.5, dropout_seed=freed(torch.tensor([1])))
    output = residual_lstm(*tensors)[0]
    with pytest.raises(RuntimeError, match="grad_output of shape"):
        output.backward(freed(torch.ones_like(output)))


def test_a_view_of_a_larger_storage_is_taken() -> None:
    tensors = with_one("h_0", lambda t: torch.cat([t, t])[3:])
    assert all(torch.equal(a, e) for a, e in zip(residual_lstm(*tensors), CASE.run(tensors), strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_tensors_on_several_devices(name: str) -> None:
    named = "weight_ih_first" if name == "input" else name
    with pytest.raises(
        RuntimeError, match=f"^residual_lstm: {named} is on .* and input on .*, expected all on one device"
    ):
        residual_lstm(*with_one(name, lambda t: t.to("meta")))


def test_options_on_another_device() -> None:
    tensors = with_one("input", lambda t: t)
    for name, options in (
        ("lengths", {"lengths": torch.tensor([1, 2], device="meta")}),
        ("dropout_seed", {"dropout_p": 0.5, "dropout_seed": torch.tensor([1], device="meta")}),
    ):
        with pytest.raises(RuntimeError, match=f"^residual_lstm: {name} is on meta .* expected all on one device"):
            residual_lstm(*tensors, **options)


def test_a_network_of_no_device_but_input_of_one() -> None:
    with pytest.raises(RuntimeError, match="expected all on one device"):
        ResidualLSTM(4, 5, 2, bidirectional=True, device="meta")(torch.randn(3, 2, 4))


def test_shapes_alone_can_be_computed() -> None:
    output, (h_n, _) = ResidualLSTM(4, 5, 2, device="meta")(torch.empty(3, 2, 4, device="meta"))
    assert (output.shape, h_n.shape) == ((3, 2, 5), (2, 2, 5))


@pytest.mark.parametrize(
    ("seed", "layers", "steps", "p", "message"),
    [
        (torch.empty(0, dtype=torch.int64), 2, 3, 0.5, "dropout_seed must be one int64, got Long of shape"),
        (torch.zeros(1), 2, 3, 0.5, "dropout_seed must be one int64, got Float"),
        (torch.zeros(2, dtype=torch.int64), 2, 3, 0.5, "dropout_seed must be one int64"),
        (torch.tensor(7), 0, 3, 0.5, "layers is 0"),
        (torch.tensor(7), 2, -3, 0.5, "a size is -3"),
        (torch.tensor(7), 2, 2**62, 0.5, "more than 2\\^60 bytes"),
        (torch.tensor(7), 2, 3, 1.5, "dropout_p is 1.5"),
        (torch.tensor(7), 2, 3, float("nan"), "dropout_p is nan"),
    ],
)
def test_masks_of_wrong_arguments(seed: Tensor, layers: int, steps: int, p: float, message: str) -> None:
    with pytest.raises(RuntimeError, match=message):
        torch.ops.resblock.residual_lstm_dropout_mask(seed, layers, steps, 4, 5, p)


@pytest.mark.parametrize("sizes", [(2, 2**50, 1, 0), (2, 2**50, 0, 3), (2**50, 0, 1, 1)])
def test_masks_of_no_numbers_take_no_time(sizes: tuple[int, int, int, int]) -> None:
    mask = torch.ops.resblock.residual_lstm_dropout_mask(torch.tensor(1), *sizes, 0.5)
    assert mask.shape == (sizes[0] - 1, *sizes[1:])


def backward_with(change: Callable[[Tensor], Tensor]) -> None:
    """The backward operator, called as autograd calls it."""
    arguments = CASE.operator_arguments(CASE.tensors(torch.float32))
    with torch.no_grad():
        *outputs, saved = torch.ops.resblock.residual_lstm_training(*arguments)
        grads = [torch.ones_like(o) for o in outputs if o is not None]
        torch.ops.resblock.residual_lstm_backward(*backward_arguments(arguments, grads, change(saved)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (freed, "saved of shape .* has a storage of 0 bytes"),
        (lambda t: freed_view(torch.stack([t, t], 1)[:, 0]), "saved of shape .* has a storage of 0 bytes"),
        (lambda t: t[:-1], "saved has shape"),
        (lambda t: t.double(), "saved is Double, expected Float"),
        (lambda t: t.to("meta"), "saved is on meta and input on cpu"),
    ],
)
def test_saved_activations_that_are_none(change: Callable[[Tensor], Tensor], message: str) -> None:
    with pytest.raises(RuntimeError, match=message):
        backward_with(change)


def freed_view(t: Tensor) -> Tensor:
    t.untyped_storage().resize_(0)
    return t


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"threads": 0}, "threads is 0"),
        ({"threads": -5}, "threads is -5"),
        ({"isa": "zx81"}, "instruction set zx81 is unknown"),
        ({"units": 0}, "0 units"),
        ({"layers": 0}, "0 layers"),
        ({"dtype": torch.int32}, "dtype is Int"),
    ],
)
def test_plans_of_what_cannot_run(change: dict[str, object], message: str) -> None:
    call = {
        "dtype": torch.float32,
        "units": 5,
        "layers": 3,
        "isa": torch.ops.resblock.instruction_set(),
        "threads": 2,
        **change,
    }
    with pytest.raises(RuntimeError, match=message):
        torch.ops.resblock.cpu_plan(
            call["dtype"], 3, 2, 4, call["units"], call["layers"], False, True, None, call["isa"], call["threads"]
        )


@pytest.mark.parametrize(("steps", "batch", "inputs"), [(2**50 + 3, 4096, 0), (1, 2**59, 1), (2**20, 2**20, 2**20)])
def test_sizes_that_overflow(steps: int, batch: int, inputs: int) -> None:
    """Expanded views have any size and take no memory."""
    zero = torch.zeros(())
    input = zero.expand(steps, batch, inputs)
    weights = torch.zeros(4, inputs) if inputs < 2**20 else zero.expand(4, inputs)
    others = torch.zeros(0, 4, 1), torch.zeros(1, 4, 1), torch.zeros(1, 3, 1), torch.zeros(1, 4)
    state = zero.expand(1, batch, 1)
    with pytest.raises(RuntimeError, match=r"^residual_lstm: time .* more than 2\^60 bytes"):
        residual_lstm(input, weights, *others, state, state)


def test_plans_of_sizes_that_overflow() -> None:
    with pytest.raises(RuntimeError, match="more than 2\\^60 bytes"):
        resblock.ops.plan(2**40, 2**40, 1, 1, 1)


def test_memory_that_does_not_suffice_is_named() -> None:
    """2^54 bytes of output."""
    zero = torch.zeros(())
    state, weights = zero.expand(1, 2**22, 1), (torch.zeros(4, 0), torch.zeros(0, 4, 1), torch.zeros(1, 4, 1))
    with pytest.raises(RuntimeError, match=r"^residual_lstm: not enough memory for \d+ bytes of"):
        residual_lstm(zero.expand(2**30, 2**22, 0), *weights, torch.zeros(1, 3, 1), torch.zeros(1, 4), state, state)


def test_no_message_names_a_file_of_the_build() -> None:
    for tensors in (with_one("bias", lambda t: t[:1]), with_one("input", lambda t: t[0])):
        with pytest.raises(RuntimeError, match=r"^residual_lstm: (input|bias) has shape"):
            residual_lstm(*tensors)
    for call in (
        lambda: torch.ops.resblock.residual_lstm_dropout_mask(torch.tensor(1), 3, 2**40, 64, 1, 0.5),
        lambda: residual_lstm(*with_one("input", lambda t: t.new_zeros(()).expand(2**48, 2, 4))),
    ):
        with pytest.raises(
            RuntimeError, match=r"^residual_lstm: torch failed in aten::\w+, .* memory does not suffice"
        ):
            call()
