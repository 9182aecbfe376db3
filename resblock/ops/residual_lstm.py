"""`residual_lstm`: the operator as it is called, its shapes, and its type in an autocast region."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from resblock.ops import derivatives, devices, internals, onnx_nodes
from resblock.ops.arguments import BackwardCall, ForwardCall, Options, arithmetic_type, check, check_layouts
from resblock.ops.library import LIBRARY
from resblock.ops.packing import Packing

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
    batch_sizes: Tensor | None = None,
    order: Tensor | None = None,
    resets: Tensor | None = None,
    return_cells: bool = False,
) -> tuple[Tensor, ...]:
    """Run a stack of L peephole LSTM layers with a residual connection every two layers.

    Liu & Gong 2019, section "LSTM with residual architecture"; the equations are in docs/lstm.md.

    Parameters
    ----------
    input : Tensor, shape (T, B, I), or (rows, I) with `batch_sizes`
        float32, float64, bfloat16 or float16; half types are stored so and computed in float32. (On CUDA, what
        meets a matrix product in layers of more than 32 units is rounded to the type: inputs, h, z and dz. On a CPU
        with AMX or AVX512_BF16, in bfloat16 layers of at least 128 units: inputs, h and dz.)
    weight_ih_first, weight_ih, weight_hh : Tensor, shapes (4H, I), (L-1, 4H, H), (L, 4H, H)
        Gates in the order i, f, g, o.
    weight_peephole, bias : Tensor, shapes (L, 3, H), (L, 4H)
        Peepholes in the order i, f, o.
    h_0, c_0 : Tensor, shape (L, B, H)
        Where they are zeros, `torch.zeros(()).expand(L, B, H)` saves laying them out and, on a CPU, the products with
        h_0 (an infinite weight then makes no NaN of them).
    lengths : Tensor of int64, shape (B,), optional
        Valid steps of each sequence, 0 to T, on the device of `input`. On a CPU time and memory follow their sum.
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
    batch_sizes : Tensor of int64, shape (T,), on the CPU, optional
        As a `PackedSequence` has them, in place of lengths: how many sequences run at each step. `input` and `output`
        then have a row for each of these, step after step, the longest sequence first.
    order : Tensor of int64, shape (B,), on the CPU, optional
        With `batch_sizes`: the numbers of the sequences, by which states are ordered and dropout is drawn, in the order
        of the rows. Without it sequences are numbered in that order.
    resets : Tensor of bool, shape (T, B), or (rows,) with `batch_sizes`, optional
        Where sequences begin anew, on the device of `input`: the states before such a step are zeros, and no gradient
        goes back past it. At a sequence's first step h_0 and c_0 are so left out; past its length nothing happens. On a
        CPU a sequence is run as that many shorter ones, beside each other.
    return_cells : bool
        Give c of every step, too.

    Returns
    -------
    output : Tensor, shape (T, B, H) or (rows, H)
        Of the last layer, with its residual connection; zero past a sequence's length.
    h_n, c_n : Tensor, shape (L, B, H)
        Cell output (without residual connection) and cell state of each sequence's last valid step; of a sequence of
        no steps, h_0 and c_0.
    cells : Tensor, shape (L, T, B, H) or (L, rows, H)
        With `return_cells`: c of every layer at every step, zero past a sequence's length.

    Raises
    ------
    RuntimeError
        If a shape, dtype, device, storage, length or probability is not as above, or memory does not suffice; the
        message names the argument.
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
    much when its tensors end: fresh pages would cost up to a third of a call's time. It waits in a block cache, which
    keeps the total to a quarter above what recent calls had in use at once, and to 1 GiB; the environment variable
    RESBLOCK_BLOCK_CACHE, read at the first call, says how many MiB instead (0: none), and
    `resblock.ops.empty_block_cache` gives it back. Such results cannot be resized in place, as those of
    `torch.from_numpy` cannot.

    Autograd, the transforms of `torch.func`, forward mode, autocast and `torch.compile(fullgraph=True)` work. Kernels
    serve the first derivative in reverse mode. Forward mode and higher derivatives run in plain torch operations, cell
    by cell, and are slow; `vmap` is one call per sample. On devices without kernels (mps, xpu) all is done so, after a
    warning.

    Infinite values, in inputs, weights and states, give what the equations give by the rules of floating-point
    numbers, with one exception: products with a zero initial state that is laid out nowhere are left out (`h_0`
    above), and with the zeros of resets beside it. docs/lstm.md says how gates round near zero.
    """
    if output_peephole not in OUTPUT_PEEPHOLES:
        raise ValueError(f"output_peephole is {output_peephole!r}, expected 'current' or 'previous'")
    tensors = (input, weight_ih_first, weight_ih, weight_hh, weight_peephole, bias, h_0, c_0)
    options = Options(
        lengths,
        batch_sizes,
        order,
        resets,
        dropout_p,
        dropout_seed,
        residual,
        output_peephole == "previous",
        schedule,
    )
    if batch_sizes is not None and input.is_cuda:  # its kernels take no packed rows
        packing = Packing(batch_sizes, order, h_0.shape[1])
        results = packing.pack_results(_call(*packing.padded(tensors, options), checkpoint_chunks, return_cells))
    else:
        results = _call(tensors, options, checkpoint_chunks, return_cells)
    return results if return_cells else results[:3]


def _call(tensors: tuple[Tensor, ...], options: Options, checkpoint_chunks: int, cells: bool) -> Any:
    compiling, transforms = torch.compiler.is_compiling(), internals.transforms_are_active()
    # Shapes must not follow from values in a graph, nor differ from sample to sample of a vmap.
    arguments = (*tensors, *options, checkpoint_chunks, compiling or transforms, cells)
    if compiling:
        # A compiled graph enters a level of forward mode where the operator's kernels cannot see it.
        if internals.in_forward_mode() and not transforms:
            return derivatives.forward_composite(*arguments)
    else:
        if torch.jit.is_tracing():  # type: ignore[attr-defined, no-untyped-call]
            onnx_nodes.refuse_tracing()
            return tuple(torch.ops.resblock.residual_lstm_traced.default(*arguments))
        if internals.in_forward_mode() or transforms:
            check_layouts(tensors, options)  # transforms look into tensors before the operator does
    return (derivatives.call if internals.MISSING else torch.ops.resblock.residual_lstm.default)(*arguments)


# `torch.jit.trace` records no operator of which a result may be None, but one that gives a list.
_ARGUMENTS = str(torch.ops.resblock.residual_lstm.default._schema).partition("(")[2].partition(") ->")[0]
LIBRARY.define(f"residual_lstm_traced({_ARGUMENTS}) -> Tensor[]")  # type: ignore[no-untyped-call]
LIBRARY.impl(  # type: ignore[no-untyped-call]
    "residual_lstm_traced",
    lambda *arguments: [t for t in torch.ops.resblock.residual_lstm.default(*arguments) if t is not None],
    "CompositeImplicitAutograd",
)


@torch.library.register_fake("resblock::residual_lstm", lib=LIBRARY)  # type: ignore[untyped-decorator]
def _forward_fake(*arguments: Any) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    call = ForwardCall.of(arguments)
    check(call)
    input, state = call.tensors[0], call.tensors[6].shape
    output = input.new_empty(*input.shape[:-1], state[2])
    cells = input.new_empty(state[0], *output.shape) if call.cells else None
    return output, input.new_empty(state), input.new_empty(state), cells


@torch.library.register_fake("resblock::residual_lstm_training", lib=LIBRARY)  # type: ignore[untyped-decorator]
def _training_fake(*arguments: Any) -> tuple[Any, ...]:
    output, h_n, c_n, cells = _forward_fake(*arguments)
    call, (layers, batch, units) = ForwardCall.of(arguments), h_n.shape
    steps = call.steps
    saved: tuple[Any, ...] = (layers * steps * batch * 6 * units,)  # where sequences end early, the most
    if call.options.resets is not None and output.device.type != "cuda":
        saved = (2 * saved[0],)  # as csrc/core/cpu/plan.h has it
    if chunks := call.checkpoint_chunks:
        chunks = torch.sym_max(torch.sym_min(chunks, steps), 1)  # type: ignore[no-untyped-call]
        saved = (chunks - 1, 2, layers, batch, units)
    if not devices.have_kernels(output.device.type):
        saved = (0,)
    return output, h_n, c_n, cells, output.new_empty(*saved, dtype=arithmetic_type(output.dtype))


@torch.library.register_fake("resblock::residual_lstm_backward", lib=LIBRARY)  # type: ignore[untyped-decorator]
def _backward_fake(*arguments: Any) -> tuple[Tensor, ...]:
    call = BackwardCall.of(arguments)
    check(call)
    return tuple(
        torch.empty_like(t, memory_format=torch.contiguous_format) if wanted else t.new_empty(0)
        for t, wanted in zip(call.tensors, call.wanted, strict=True)
    )


@torch.library.register_fake("resblock::residual_lstm_dropout_mask", lib=LIBRARY)  # type: ignore[untyped-decorator]
def _dropout_mask_fake(seed: Tensor, layers: int, steps: int, batch: int, units: int, p: float) -> Tensor:
    return seed.new_empty(layers - 1, steps, batch, units, dtype=torch.float64)


derivatives.register(LIBRARY)
devices.register(LIBRARY)


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


for _device, _key in (("cpu", "AutocastCPU"), ("cuda", "AutocastCUDA"), ("mps", "AutocastMPS"), ("xpu", "AutocastXPU")):
    _register_autocast(_device, _key)
