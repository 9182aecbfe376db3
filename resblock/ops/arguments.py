"""The operators' arguments: their names, and what they must be where no kernel looks at them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor

from resblock.ops import internals
from resblock.ops.library import schedules

#: Those that are differentiable.
TENSOR_NAMES: Final = ("input", "weight_ih_first", "weight_ih", "weight_hh", "weight_peephole", "bias", "h_0", "c_0")
#: The last may be None: zeros.
GRAD_NAMES: Final = ("grad_output", "grad_h_n", "grad_c_n", "grad_cells")
TENSORS, GRADS = len(TENSOR_NAMES), len(GRAD_NAMES)

_FLOATING: Final = (torch.float32, torch.float64, torch.bfloat16, torch.float16)


def arithmetic_type(dtype: torch.dtype) -> torch.dtype:
    """Type that a call with tensors of `dtype` is computed in."""
    return torch.float64 if dtype == torch.float64 else torch.float32


class Options(NamedTuple):
    """What follows the eight tensors in every operator."""

    lengths: Tensor | None
    batch_sizes: Tensor | None
    order: Tensor | None
    resets: Tensor | None
    dropout_p: float
    dropout_seed: Tensor | None
    residual: bool
    output_peephole_previous: bool
    schedule: str | None

    @property
    def tensors(self) -> tuple[Tensor | None, ...]:
        """Those that are tensors."""
        return self.lengths, self.batch_sizes, self.order, self.resets, self.dropout_seed

    def with_tensors(self, tensors: Sequence[Tensor | None]) -> Options:
        """Replace those that are tensors."""
        lengths, batch_sizes, order, resets, seed = tensors
        others = self.residual, self.output_peephole_previous, self.schedule
        # In a small call, `_replace` would be seen.
        return Options(lengths, batch_sizes, order, resets, self.dropout_p, seed, *others)


class ForwardCall(NamedTuple):
    """Arguments of `resblock::residual_lstm` and `resblock::residual_lstm_training`."""

    tensors: tuple[Tensor, ...]
    options: Options
    checkpoint_chunks: int
    full_saved: bool  # the saved activations have the size of those of a full batch, whatever the lengths
    cells: bool  # c of every step is wanted

    @classmethod
    def of(cls, arguments: tuple[Any, ...]) -> ForwardCall:
        """Name them."""
        return cls(arguments[:TENSORS], Options(*arguments[TENSORS:-3]), *arguments[-3:])

    @property
    def steps(self) -> int:
        """T."""
        batch_sizes = self.options.batch_sizes
        return self.tensors[0].shape[0] if batch_sizes is None else batch_sizes.shape[0]


class BackwardCall(NamedTuple):
    """Arguments of `resblock::residual_lstm_backward`."""

    grads: tuple[Tensor | None, ...]  # of output, h_n, c_n and the cells
    tensors: tuple[Tensor, ...]
    options: Options
    saved: Tensor
    wanted_bits: int

    @classmethod
    def of(cls, arguments: tuple[Any, ...]) -> BackwardCall:
        """Name them."""
        tensors_end = GRADS + TENSORS
        options = Options(*arguments[tensors_end:-2])
        return cls(arguments[:GRADS], arguments[GRADS:tensors_end], options, *arguments[-2:])

    @property
    def wanted(self) -> list[bool]:
        """Which of the eight gradients are computed; the others are empty."""
        return [bool(self.wanted_bits >> tensor & 1) for tensor in range(TENSORS)]


def check(call: ForwardCall | BackwardCall) -> None:
    """Refuse what the compiled module refuses (csrc/arguments.h), where no kernel does it.

    That is in plain torch operations, and where shapes alone are computed. Sizes may be symbolic, and lengths without
    values, which then go unseen.

    Raises
    ------
    RuntimeError
        If a layout, shape, dtype, device, storage, length or probability is wrong; the message names the argument.
    ValueError
        If the schedule is unknown.
    """
    check_layouts(call.tensors, call.options)
    named = dict(zip(TENSOR_NAMES, call.tensors, strict=True))
    input, weight_hh, batch_sizes = named["input"], named["weight_hh"], call.options.batch_sizes
    _check_input(input, weight_hh, batch_sizes)
    layers, _, units = weight_hh.shape
    if batch_sizes is None:
        steps, batch, inputs = input.shape
    else:
        h_0 = named["h_0"]
        _require(h_0.dim() == 3, f"h_0 has shape {_text(h_0.shape)}, expected (layers, batch, hidden)")
        steps, batch, inputs = batch_sizes.shape[0], h_0.shape[1], input.shape[1]
    _check_sizes(steps, batch, inputs, units, layers)
    state = (layers, batch, units)
    shapes = {
        "weight_ih_first": (4 * units, inputs),
        "weight_ih": (layers - 1, 4 * units, units),
        "weight_hh": (layers, 4 * units, units),
        "weight_peephole": (layers, 3, units),
        "bias": (layers, 4 * units),
        "h_0": state,
        "c_0": state,
    }
    if isinstance(call, BackwardCall):
        given = {name: grad for name, grad in zip(GRAD_NAMES, call.grads, strict=True) if grad is not None}
        over_time = (*input.shape[:-1], units)
        of_grads = {"grad_output": over_time, "grad_h_n": state, "grad_c_n": state, "grad_cells": (layers, *over_time)}
        named |= given
        shapes |= {name: of_grads[name] for name in given}
        _check_device("saved", call.saved, input)
    for name, shape in shapes.items():
        _check_tensor(name, named[name], shape, input)
    if call.options.lengths is not None:
        check_lengths(call.options.lengths, steps, batch)
        _check_device("lengths", call.options.lengths, input)
    _check_packed(call.options, input, batch)
    _check_resets(call.options.resets, input)
    _check_options(call.options, input)
    if isinstance(call, ForwardCall):
        chunks = call.checkpoint_chunks
        _require(chunks >= 0, f"checkpoint_chunks is {chunks}, expected 0 (save everything) or the number of chunks")


def check_layouts(tensors: Sequence[Tensor], options: Options) -> None:
    """Refuse tensors that are not dense; raises as `check_layout`."""
    for name, tensor in zip(TENSOR_NAMES, tensors, strict=True):
        check_layout(name, tensor)
    for name, optional in (("lengths", options.lengths), ("resets", options.resets)):
        if optional is not None:
            check_layout(name, optional)


def check_layout(name: str, tensor: Tensor) -> None:
    """Refuse a tensor whose values do not lie in memory as those of `torch.empty`.

    Raises
    ------
    RuntimeError
    """
    nested, quantized = tensor.is_nested, tensor.is_quantized
    if nested or quantized or tensor.layout != torch.strided:
        kind = f"layout {tensor.layout}{', nested' if nested else ''}{', quantized' if quantized else ''}"
        raise RuntimeError(
            f"residual_lstm: {name} is a tensor of {kind}, expected a dense one (to_dense, to_padded_tensor or "
            "dequantize makes it)"
        )


def check_lengths(lengths: Tensor, steps: int, batch: int, caller: str = "residual_lstm") -> None:
    """Refuse lengths that are not int64, one for each sequence, and from 0 to the number of time steps.

    The message begins with the caller.

    Raises
    ------
    RuntimeError
    """
    expected = f"lengths must be int64 of shape ({batch},), got {lengths.dtype} of shape {_text(lengths.shape)}"
    _require(lengths.dtype == torch.int64 and lengths.dim() == 1, expected, caller)
    _require(lengths.shape[0] == batch, expected, caller)
    _check_storage("lengths", lengths)
    values = _behind_wrappers(lengths)
    # Looking at the values on a GPU would wait for it; its kernels do not either.
    if values is None or values.is_cuda:
        return
    outside = ((values < 0) | (values > steps)).nonzero()
    if len(outside):
        place = outside[0].tolist()
        value = int(values[tuple(place)])
        raise RuntimeError(f"{caller}: lengths{place} is {value}, expected 0 to {steps} (the number of time steps)")


def _require(condition: bool | torch.SymBool, message: str, caller: str = "residual_lstm") -> None:
    # Unlike an `if`, this takes a condition on sizes that are known only when a compiled graph runs.
    torch._check(condition, lambda: f"{caller}: {message}")  # type: ignore[no-untyped-call]


def _text(shape: Sequence[int | torch.SymInt]) -> str:
    return str(tuple(shape))


def _check_input(input: Tensor, weight_hh: Tensor, batch_sizes: Tensor | None) -> None:
    _require(input.dtype in _FLOATING, f"input is {input.dtype}, expected float32, float64, bfloat16 or float16")
    if batch_sizes is None:
        _require(input.dim() == 3, f"input has shape {_text(input.shape)}, expected (time, batch, features)")
    else:
        expected = "expected (rows, features), as batch_sizes were given"
        _require(input.dim() == 2, f"input has shape {_text(input.shape)}, {expected}")
        _require(batch_sizes.dim() == 1, f"batch_sizes has shape {_text(batch_sizes.shape)}, expected (time,)")
    expected = (
        f"weight_hh has shape {_text(weight_hh.shape)}, expected (layers, 4 * hidden, hidden) with at least one layer "
        "and one unit"
    )
    _require(weight_hh.dim() == 3, expected)
    _require(weight_hh.shape[0] > 0, expected)
    _require(weight_hh.shape[2] > 0, expected)
    _check_storage("input", input)


def _check_sizes(steps: int, batch: int, inputs: int, units: int, layers: int) -> None:
    """Refuse those whose arrays cannot be addressed; symbolic ones are looked at when they are numbers."""
    if not all(isinstance(size, int) for size in (steps, batch, inputs, units, layers)):
        return
    numbers = steps * batch * (inputs + 6 * layers * units) + 4 * layers * units * (inputs + units + batch)
    _require(
        8 * numbers < 2**60,
        f"time {steps}, batch {batch}, features {inputs}, units {units} and layers {layers} make arrays of more than "
        "2^60 bytes",
    )


def _check_tensor(name: str, tensor: Tensor, shape: Sequence[int | torch.SymInt], input: Tensor) -> None:
    expected = f"{name} has shape {_text(tensor.shape)}, expected {_text(shape)}"
    _require(tensor.dim() == len(shape), expected)
    for size, wanted in zip(tensor.shape, shape, strict=True):
        _require(size == wanted, expected)
    _require(
        tensor.dtype == input.dtype,
        f"{name} is {tensor.dtype} but input is {input.dtype}; all floating arguments must share one dtype",
    )
    _check_device(name, tensor, input)
    _check_storage(name, tensor)


def _check_device(name: str, tensor: Tensor, input: Tensor) -> None:
    _require(
        tensor.device == input.device,
        f"{name} is on {tensor.device} and input on {input.device}, expected all on one device (move the network and "
        "its input to the same one)",
    )


def _check_storage(name: str, tensor: Tensor) -> None:
    """Refuse a tensor whose memory was freed, as frameworks do with parameters (FSDP)."""
    plain = _behind_wrappers(tensor)
    if plain is None or not plain.numel() or not internals.has_storage(plain):
        return
    last = sum((size - 1) * stride for size, stride in zip(plain.shape, plain.stride(), strict=True))
    needed = (plain.storage_offset() + last + 1) * plain.element_size()
    bytes = plain.untyped_storage().nbytes()
    _require(
        needed <= bytes,
        f"{name} of shape {_text(tensor.shape)} has a storage of {bytes} bytes, which is too small; was it freed?",
    )


def _behind_wrappers(tensor: Tensor) -> Tensor | None:
    """Give the tensor behind the wrappers of `torch.func`; None where there is no memory to look at."""
    tracing = torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
    if tracing or torch.compiler.is_compiling() or internals.dispatch_modes():
        return None
    while internals.is_wrapped(tensor):
        tensor = internals.unwrapped(tensor)
    without_memory = tensor.is_meta or type(tensor).__torch_dispatch__ is not Tensor.__torch_dispatch__
    return None if without_memory else tensor


def _check_packed(options: Options, input: Tensor, batch: int) -> None:
    batch_sizes, order = options.batch_sizes, options.order
    _require(batch_sizes is not None or order is None, "order was given without batch_sizes")
    if batch_sizes is None:
        return
    _require(options.lengths is None, "lengths were given with batch_sizes, which say them")
    _check_numbers("batch_sizes", batch_sizes, batch_sizes.shape[0])
    if order is not None:
        _check_numbers("order", order, batch)
    values = _behind_wrappers(batch_sizes)
    if values is None:
        return
    rows, most = int(values.sum()), torch.cat([values.new_tensor([batch]), values[:-1]])
    _require(
        bool(((values >= 0) & (values <= most)).all()),
        f"batch_sizes are {values.tolist()}, expected from 0 to {batch} (the number of sequences) and never more than "
        "at the step before",
    )
    _require(rows == input.shape[0], f"batch_sizes add up to {rows} but input has {input.shape[0]} rows")
    if order is not None and (values := _behind_wrappers(order)) is not None:
        expected = f"order is {values.tolist()}, expected each number from 0 to {batch - 1} once"
        _require(values.sort().values.tolist() == list(range(batch)), expected)


def _check_numbers(name: str, numbers: Tensor, count: int) -> None:
    expected = (
        f"{name} must be int64 of shape ({count},) on the CPU, got {numbers.dtype} of shape {_text(numbers.shape)} on "
        f"{numbers.device}"
    )
    _require(numbers.dtype == torch.int64 and numbers.dim() == 1, expected)
    _require(numbers.shape[0] == count, expected)
    _check_storage(name, numbers)


def _check_resets(resets: Tensor | None, input: Tensor) -> None:
    if resets is None:
        return
    shape = input.shape[:-1]
    expected = f"resets must be bool of shape {_text(shape)}, got {resets.dtype} of shape {_text(resets.shape)}"
    _require(resets.dtype == torch.bool and resets.dim() == len(shape), expected)
    for size, wanted in zip(resets.shape, shape, strict=True):
        _require(size == wanted, expected)
    _check_device("resets", resets, input)
    _check_storage("resets", resets)


def _check_options(options: Options, input: Tensor) -> None:
    p, seed, schedule = options.dropout_p, options.dropout_seed, options.schedule
    _require(p >= 0, f"dropout_p is {p}, expected 0 to 1")
    _require(p <= 1, f"dropout_p is {p}, expected 0 to 1")
    if p > 0:
        if seed is None:
            raise RuntimeError(f"residual_lstm: dropout_p is {p} but no dropout_seed was given")
        check_layout("dropout_seed", seed)
        expected = f"dropout_seed must be one int64, got {seed.dtype} of shape {_text(seed.shape)}"
        _require(seed.dtype == torch.int64, expected)
        _require(seed.numel() == 1, expected)
        _check_storage("dropout_seed", seed)
        if seed.device.type != "cpu":
            _check_device("dropout_seed", seed, input)
    if schedule is not None:
        device = input.device.type
        known = schedules("cpu") + schedules("cuda") if device == "meta" else schedules(device)
        if schedule not in known:
            raise ValueError(
                f"schedule is '{schedule}', expected "
                + (f"one of: {', '.join(known)}" if known else f"none: {device} has no kernels")
            )
