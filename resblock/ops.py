"""The operators: the compiled module, and what PyTorch has to know about it.

`residual_lstm` is the one entry point; `resblock.nn` wraps it in modules.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

import torch
from torch import Tensor

try:
    import_module("resblock._C")  # registers torch.ops.resblock
except ImportError as error:
    raise ImportError(
        "resblock: the compiled kernels (resblock._C) could not be loaded. Likely causes: the package "
        "was not built (run `pip install -c constraints.txt .` in its directory and start Python "
        "elsewhere); torch is older than 2.11; torch was exchanged for a build with another C++ ABI "
        f"or another platform. The loader said: {error}"
    ) from error

from resblock.composite import residual_lstm_composite

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
) -> tuple[Tensor, Tensor, Tensor]:
    """Run a stack of L peephole LSTM layers with an addition every two layers.

    Liu & Gong 2019, section "LSTM with residual architecture"; the equations are in the README.

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
        How many chunks of time to cut a training call into, so that it keeps little memory; see the notes. 0 keeps
        what the backward pass needs, 6 L T B H values; a call without gradients keeps nothing either way.

    Returns
    -------
    output : Tensor, shape (T, B, H)
        Of the last layer, with its addition; zero past a sequence's length.
    h_n, c_n : Tensor, shape (L, B, H)
        Cell output (without addition) and cell state of each sequence's last valid step.

    Raises
    ------
    RuntimeError
        If a shape, dtype, device, length or probability is not as above; the message names the argument.
    ValueError
        If `output_peephole` is neither word.

    Notes
    -----
    With `checkpoint_chunks` = n the forward pass keeps the states between n chunks of time only, 2 (n - 1) L B H
    values, and the backward pass runs each chunk again, the last first, holding what one chunk needs, 6 L B H T / n
    values. That costs one more forward pass. It is for sequences whose training does not fit into memory; n near the
    square root of 3 T needs least, and fewer chunks are as good where they fit. Results differ from those of the
    uncut call by rounding.

    On a CPU the memory of large results (4 MiB and more), and what a training call kept, goes to the next call that
    wants as much when its tensors end: fresh pages would cost up to a third of a call's time. Up to 1 GiB waits so;
    the environment variable RESBLOCK_KEPT_MEMORY, read at the first call, says how many MiB instead (0: none). Such
    results cannot be resized in place, as those of `torch.from_numpy` cannot.

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
        checkpoint_chunks if needs_backward else None,
    )
    return output, h_n, c_n


def instruction_set() -> str:
    """Name the CPU instruction set the kernels use: x86-64, x86-64-v3, x86-64-v4 or portable."""
    return str(torch.ops.resblock.instruction_set())


def schedules(device: str) -> tuple[str, ...]:
    """Name the schedules that the kernels choose from on "cpu" or "cuda"; none where they are not compiled in."""
    operators = torch.ops.resblock
    return tuple(str(operators.cuda_schedules() if device == "cuda" else operators.cpu_schedules()).split())


def has_cuda_kernels() -> bool:
    """Tell whether the compiled module holds the CUDA kernels."""
    return bool(schedules("cuda"))


def _arithmetic_type(dtype: torch.dtype) -> torch.dtype:
    return torch.float64 if dtype == torch.float64 else torch.float32


@torch.library.register_fake("resblock::residual_lstm")  # type: ignore[untyped-decorator]
def _forward_fake(
    input: Tensor, weight_ih_first: Tensor, weight_ih: Tensor, weight_hh: Tensor, *rest: Any
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    checkpoint_chunks = rest[-1]
    (steps, batch, _), (layers, _, units) = input.shape, weight_hh.shape
    kept: tuple[Any, ...] = (0,)
    if checkpoint_chunks:
        chunks = torch.sym_min(checkpoint_chunks, steps)  # type: ignore[no-untyped-call]
        chunks = torch.sym_max(chunks, 1)  # type: ignore[no-untyped-call]
        kept = (chunks - 1, 2, layers, batch, units)
    elif checkpoint_chunks == 0:
        kept = (layers * steps * batch * 6 * units,)
    return (
        input.new_empty(steps, batch, units),
        input.new_empty(layers, batch, units),
        input.new_empty(layers, batch, units),
        input.new_empty(*kept, dtype=_arithmetic_type(input.dtype)),
    )


def _wanted(input: bool, states: bool) -> list[bool]:
    """Which of the eight gradients the backward operator computes; the others are empty."""
    return [input, *[True] * 5, states, states]


@torch.library.register_fake("resblock::residual_lstm_backward")  # type: ignore[untyped-decorator]
def _backward_fake(grad_output: Tensor, grad_h_n: Tensor, grad_c_n: Tensor, *rest: Any) -> tuple[Tensor, ...]:
    return tuple(
        torch.empty_like(t, memory_format=torch.contiguous_format) if wanted else t.new_empty(0)
        for t, wanted in zip(rest[:8], _wanted(*rest[-2:]), strict=True)
    )


@torch.library.register_fake("resblock::residual_lstm_dropout_mask")  # type: ignore[untyped-decorator]
def _dropout_mask_fake(seed: Tensor, layers: int, steps: int, batch: int, units: int, p: float) -> Tensor:
    return seed.new_empty(layers - 1, steps, batch, units, dtype=torch.float64)


# The options that follow the eight tensors in both operators: lengths, dropout_p, dropout_seed, residual,
# output_peephole_previous.
_OPTIONS = 5


def _save_for_backward(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    tensors, (lengths, p, seed, residual, previous) = inputs[:8], inputs[8 : 8 + _OPTIONS]
    ctx.save_for_backward(*tensors, lengths, seed, output[3])
    ctx.options = (p, residual, previous)
    ctx.set_materialize_grads(False)  # else a zero gradient as large as `saved` is made
    ctx.mark_non_differentiable(output[3])


def _gradient_of_forward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
    *tensors, lengths, seed, saved = ctx.saved_tensors
    p, residual, previous = ctx.options
    input, state = tensors[0], tensors[7]
    # Of the dispatcher's keys, which come first, and the tensors.
    _, input_wanted, *_, h_0_wanted, c_0_wanted = ctx.needs_input_grad[:9]
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
        lengths,
        p,
        seed,
        residual,
        previous,
        saved,
        *wanted,
    )
    given = [gradient if w else None for gradient, w in zip(gradients, _wanted(*wanted), strict=True)]
    return (*given, *[None] * (_OPTIONS + 1))


def _save_for_double_backward(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    tensors, (lengths, p, seed, residual, previous) = inputs[:11], inputs[11 : 11 + _OPTIONS]
    ctx.save_for_backward(*tensors, lengths, seed)
    ctx.options = (p, residual, previous)
    ctx.wanted = inputs[-2:]


def _gradient_of_backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
    """Differentiate the gradient, by way of the same network in plain torch operations."""
    *tensors, lengths, seed = ctx.saved_tensors
    p, residual, previous = ctx.options
    with torch.enable_grad():
        grad_outputs, inputs = [list(_detached(part)) for part in (tensors[:3], tensors[3:])]
        outputs = residual_lstm_composite(inputs, lengths, p, seed, residual, previous)
        first = torch.autograd.grad(outputs, inputs, grad_outputs, create_graph=True, materialize_grads=True)
        wanted = [k for k, is_wanted in enumerate(_wanted(*ctx.wanted)) if is_wanted]
        second = torch.autograd.grad(
            [first[k] for k in wanted],
            grad_outputs + inputs,
            [grads[k] for k in wanted],
            allow_unused=True,
            materialize_grads=True,
        )
    return (*second, *[None] * (_OPTIONS + 3))


def _detached(tensors: Sequence[Tensor]) -> Sequence[Tensor]:
    return [t.detach().requires_grad_() for t in tensors]


_Setup = Callable[[Any, tuple[Any, ...], tuple[Tensor, ...]], None]
_Gradient = Callable[..., tuple[Tensor | None, ...]]


def _register_autograd(name: str, setup_context: _Setup, gradient: _Gradient) -> None:
    """Do as `torch.library.register_autograd`, which also walks over the schema in every call.

    That takes longer than the call itself where the network is small.
    """
    operator = getattr(torch.ops.resblock, name).default

    def call(keyset: Any, arguments: tuple[Any, ...]) -> tuple[Tensor, ...]:
        with torch._C._AutoDispatchBelowAutograd():
            output: tuple[Tensor, ...] = operator.redispatch(keyset & torch._C._after_autograd_keyset, *arguments)
        return output

    class Differentiable(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, keyset: Any, *arguments: Any) -> tuple[Tensor, ...]:
            output = call(keyset, arguments)
            setup_context(ctx, arguments, output)
            return output

        @staticmethod
        def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
            return None, *gradient(ctx, *grads)

    def autograd(keyset: Any, *arguments: Any) -> Any:
        if torch.is_grad_enabled() and torch._C._any_requires_grad(*arguments):
            return Differentiable.apply(keyset, *arguments)  # type: ignore[no-untyped-call]
        return call(keyset, arguments)

    _LIBRARY.impl(name, autograd, "Autograd", with_keyset=True)  # type: ignore[no-untyped-call]


# What is registered with it lasts as long as it does.
_LIBRARY = torch.library.Library("resblock", "FRAGMENT")  # type: ignore[no-untyped-call]
_register_autograd("residual_lstm", _save_for_backward, _gradient_of_forward)
_register_autograd("residual_lstm_backward", _save_for_double_backward, _gradient_of_backward)


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

    _LIBRARY.impl("residual_lstm", in_autocast_type, key)  # type: ignore[no-untyped-call]


for _device, _key in (("cpu", "AutocastCPU"), ("cuda", "AutocastCUDA")):
    _register_autocast(_device, _key)
