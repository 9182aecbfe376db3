"""`residual_lstm`: the operator, its shapes, its derivatives, and its type in an autocast region."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from resblock.ops import autograd
from resblock.ops.composite import residual_lstm_composite
from resblock.ops.library import LIBRARY

OUTPUT_PEEPHOLES = ("current", "previous")


def residual_lstm(
    input: Tensor,
    weight_ih_first: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    weight_peephole: Tensor,
    bias: Tensor,
    h_0: Tensor,
    c_0: Tensor,
    lengths: Tensor | None = None,
    dropout_p: float = 0.0,
    dropout_seed: Tensor | None = None,
    residual: bool = True,
    output_peephole: str = "current",
    checkpoint_chunks: int = 0,
    schedule: str | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Run a stack of L peephole LSTM layers with a residual connection every two layers.

    Liu & Gong 2019, section "LSTM with residual architecture"; the equations are in docs/lstm.md.

    Parameters
    ----------
    input : Tensor, shape (T, B, I)
        float32, float64, bfloat16 or float16; half types are stored so and computed in float32. (On CUDA, what
        meets a matrix product in layers of more than 32 units is rounded to the type: inputs, h, z and dz.)
    weight_ih_first, weight_ih, weight_hh : Tensor, shapes (4H, I), (L-1, 4H, H), (L, 4H, H)
        Gates in the order i, f, g, o.
    weight_peephole, bias : Tensor, shapes (L, 3, H), (L, 4H)
        Peepholes in the order i, f, o.
    h_0, c_0 : Tensor, shape (L, B, H)
        Where they are zeros, `torch.zeros(()).expand(L, B, H)` saves laying them out and, on a CPU, the products with
        h_0 (an infinite weight then makes no NaN of them).
    lengths : Tensor of int64, shape (B,), optional
        Valid steps of each sequence, 1 to T, on the device of `input`.
    dropout_p : float
        Probability of zeroing an element of the input of layers 2 to L.
    dropout_seed : Tensor of int64, one element
        Key of the mask; needed where `dropout_p` > 0. On the CPU, or on the device of `input`, where the kernels read
        it: a CUDA graph that is replayed then draws by what it holds by that time.
    residual : bool
        Add the output of layer l - 2 to that of layer l, for l = 4, 6, 8, ...
    output_peephole : {"current", "previous"}
        Whether the output gate sees c[t] or c[t-1].
    checkpoint_chunks : int
        How many chunks of time to split a training call into, so that it saves little; see the notes. 0 saves all
        activations that the backward pass reads, 6 L T B H values; a call without gradients saves nothing either way.
    schedule : str, optional
        The order in which layers and time steps run, one of `resblock.ops.schedules(device)`: for tests and
        benchmarks. Without it the fastest is chosen by size, as `resblock.ops.plan` tells.

    Returns
    -------
    output : Tensor, shape (T, B, H)
        Of the last layer, with its residual connection; zero past a sequence's length.
    h_n, c_n : Tensor, shape (L, B, H)
        Cell output (without residual connection) and cell state of each sequence's last valid step.

    Raises
    ------
    RuntimeError
        If a shape, dtype, device, length or probability is not as above; the message names the argument.
    ValueError
        If `output_peephole` is neither word, or the schedule is unknown or does not take the call.

    Notes
    -----
    With `checkpoint_chunks` = n the forward pass saves the states between n chunks of time only, 2 (n - 1) L B H
    values, and the backward pass runs each chunk again, the last first, holding what one chunk needs, 6 L B H T / n
    values. That costs one more forward pass. It is for sequences whose training does not fit into memory; n near the
    square root of 3 T needs least, and fewer chunks are as good where they fit. Results differ from those of the
    call in one chunk by rounding.

    On a CPU the memory of large results and saved activations (4 MiB and more) goes to the next call that wants as
    much when its tensors end: fresh pages would cost up to a third of a call's time. Up to 1 GiB waits so in a block
    cache; the environment variable RESBLOCK_BLOCK_CACHE, read at the first call, says how many MiB instead (0: none).
    Such results cannot be resized in place, as those of `torch.from_numpy` cannot.

    Autograd, double backward, autocast and `torch.compile(fullgraph=True)` work. Of `torch.func`, `vmap` works by
    one call per sample; `grad` and what is built on it do not, because PyTorch does not offer them for operators
    registered this way: they raise and say so.
    """
    if output_peephole not in OUTPUT_PEEPHOLES:
        raise ValueError(f"output_peephole is {output_peephole!r}, expected 'current' or 'previous'")
    tensors = (input, weight_ih_first, weight_ih, weight_hh, weight_peephole, bias, h_0, c_0)
    needs_backward = torch.is_grad_enabled() and any(t.requires_grad for t in tensors)
    output, h_n, c_n, _ = torch.ops.resblock.residual_lstm.default(
        *tensors,
        lengths,
        dropout_p,
        dropout_seed,
        residual,
        output_peephole == "previous",
        schedule,
        checkpoint_chunks if needs_backward else None,
    )
    return output, h_n, c_n


class _Options(NamedTuple):
    """What follows the eight tensors in both operators."""

    lengths: Tensor | None
    dropout_p: float
    dropout_seed: Tensor | None
    residual: bool
    output_peephole_previous: bool
    schedule: str | None


_TENSORS, _GRADS = 8, 3  # tensors: those that are differentiable


class _ForwardCall(NamedTuple):
    tensors: tuple[Tensor, ...]
    options: _Options
    checkpoint_chunks: int | None

    @classmethod
    def of(cls, arguments: tuple[Any, ...]) -> _ForwardCall:
        return cls(arguments[:_TENSORS], _Options(*arguments[_TENSORS:-1]), arguments[-1])


class _BackwardCall(NamedTuple):
    grads: tuple[Tensor, ...]  # of output, h_n and c_n
    tensors: tuple[Tensor, ...]
    options: _Options
    saved: Tensor
    input_wanted: bool
    states_wanted: bool

    @classmethod
    def of(cls, arguments: tuple[Any, ...]) -> _BackwardCall:
        tensors_end = _GRADS + _TENSORS
        options = _Options(*arguments[tensors_end:-3])
        return cls(arguments[:_GRADS], arguments[_GRADS:tensors_end], options, *arguments[-3:])


def _arithmetic_type(dtype: torch.dtype) -> torch.dtype:
    return torch.float64 if dtype == torch.float64 else torch.float32


@torch.library.register_fake("resblock::residual_lstm", lib=LIBRARY)  # type: ignore[untyped-decorator]
def _forward_fake(*arguments: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    call = _ForwardCall.of(arguments)
    input, weight_hh = call.tensors[0], call.tensors[3]
    (steps, batch, _), (layers, _, units) = input.shape, weight_hh.shape
    saved: tuple[Any, ...] = (0,)
    if call.checkpoint_chunks:
        chunks = torch.sym_min(call.checkpoint_chunks, steps)  # type: ignore[no-untyped-call]
        chunks = torch.sym_max(chunks, 1)  # type: ignore[no-untyped-call]
        saved = (chunks - 1, 2, layers, batch, units)
    elif call.checkpoint_chunks == 0:
        saved = (layers * steps * batch * 6 * units,)
    return (
        input.new_empty(steps, batch, units),
        input.new_empty(layers, batch, units),
        input.new_empty(layers, batch, units),
        input.new_empty(*saved, dtype=_arithmetic_type(input.dtype)),
    )


def _wanted(input: bool, states: bool) -> list[bool]:
    """Which of the eight gradients the backward operator computes; the others are empty."""
    return [input, *[True] * 5, states, states]


@torch.library.register_fake("resblock::residual_lstm_backward", lib=LIBRARY)  # type: ignore[untyped-decorator]
def _backward_fake(*arguments: Any) -> tuple[Tensor, ...]:
    call = _BackwardCall.of(arguments)
    return tuple(
        torch.empty_like(t, memory_format=torch.contiguous_format) if wanted else t.new_empty(0)
        for t, wanted in zip(call.tensors, _wanted(call.input_wanted, call.states_wanted), strict=True)
    )


@torch.library.register_fake("resblock::residual_lstm_dropout_mask", lib=LIBRARY)  # type: ignore[untyped-decorator]
def _dropout_mask_fake(seed: Tensor, layers: int, steps: int, batch: int, units: int, p: float) -> Tensor:
    return seed.new_empty(layers - 1, steps, batch, units, dtype=torch.float64)


def _save_for_backward(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    call, saved = _ForwardCall.of(inputs), output[3]
    ctx.save_for_backward(*call.tensors, call.options.lengths, call.options.dropout_seed, saved)
    ctx.options = call.options
    ctx.set_materialize_grads(False)  # else a zero gradient as large as `saved` is made
    ctx.mark_non_differentiable(saved)


def _gradient_of_forward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
    *tensors, lengths, seed, saved = ctx.saved_tensors
    input, state = tensors[0], tensors[7]
    input_wanted, *_, h_0_wanted, c_0_wanted = ctx.needs_input_grad[:_TENSORS]
    wanted = (input_wanted, h_0_wanted or c_0_wanted)
    grad_output, grad_h_n, grad_c_n, _ = grads
    zeros = state.new_zeros(()).expand_as(state)
    if grad_output is None:
        grad_output = input.new_zeros(*input.shape[:2], state.shape[2])
    gradients = torch.ops.resblock.residual_lstm_backward.default(
        grad_output,
        zeros if grad_h_n is None else grad_h_n,
        zeros if grad_c_n is None else grad_c_n,
        *tensors,
        *ctx.options._replace(lengths=lengths, dropout_seed=seed),
        saved,
        *wanted,
    )
    given = [gradient if w else None for gradient, w in zip(gradients, _wanted(*wanted), strict=True)]
    return (*given, *_none_for(_Options._fields), None)


def _save_for_double_backward(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    call = _BackwardCall.of(inputs)
    ctx.save_for_backward(*call.grads, *call.tensors, call.options.lengths, call.options.dropout_seed)
    ctx.options = call.options
    ctx.wanted = _wanted(call.input_wanted, call.states_wanted)


def _gradient_of_backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
    """Differentiate the gradient, by way of the same network in plain torch operations."""
    *tensors, lengths, seed = ctx.saved_tensors
    options: _Options = ctx.options
    with torch.enable_grad():
        grad_outputs, inputs = [list(_detached(part)) for part in (tensors[:_GRADS], tensors[_GRADS:])]
        outputs = residual_lstm_composite(
            inputs,
            lengths=lengths,
            dropout_p=options.dropout_p,
            dropout_seed=seed,
            residual=options.residual,
            output_peephole_previous=options.output_peephole_previous,
        )
        first = torch.autograd.grad(outputs, inputs, grad_outputs, create_graph=True, materialize_grads=True)
        wanted = [k for k, is_wanted in enumerate(ctx.wanted) if is_wanted]
        second = torch.autograd.grad(
            [first[k] for k in wanted],
            grad_outputs + inputs,
            [grads[k] for k in wanted],
            allow_unused=True,
            materialize_grads=True,
        )
    not_differentiable = ("saved", "input_wanted", "states_wanted")
    return (*second, *_none_for(_Options._fields), *_none_for(not_differentiable))


def _none_for(arguments: Sequence[str]) -> list[None]:
    return [None] * len(arguments)


def _detached(tensors: Sequence[Tensor]) -> Sequence[Tensor]:
    return [t.detach().requires_grad_() for t in tensors]


autograd.register(LIBRARY, "residual_lstm", _save_for_backward, _gradient_of_forward)
autograd.register(LIBRARY, "residual_lstm_backward", _save_for_double_backward, _gradient_of_backward)


def _register_autocast(device: str, key: str) -> None:
    """Run the operator in the dtype of the active autocast region, like torch.nn.LSTM."""

    def in_autocast_type(*arguments: Any) -> Any:
        dtype = torch.get_autocast_dtype(device)
        cast = [
            a.to(dtype) if isinstance(a, Tensor) and a.is_floating_point() and a.dtype != torch.float64 else a
            for a in arguments
        ]
        with torch.autocast(device, enabled=False):
            return torch.ops.resblock.residual_lstm(*cast)

    LIBRARY.impl("residual_lstm", in_autocast_type, key)  # type: ignore[no-untyped-call]


for _device, _key in (("cpu", "AutocastCPU"), ("cuda", "AutocastCUDA")):
    _register_autocast(_device, _key)
