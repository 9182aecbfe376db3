"""The derivative of the operator's backward pass, in plain torch operations.

With J the Jacobian of the forward pass, the backward pass gives J' g for gradients g. Its own derivative for cotangents
v of what it gives is that of g' J v. By g that is J v: the forward pass differentiated along v, a recurrence from the
first step to the last. By all else it is the backward pass differentiated along v, as derivatives may be taken in any
order: the recurrence back a second time. Neither needs a graph of single operations.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from resblock.ops.arguments import GRADS, Options, arithmetic_type
from resblock.ops.composite import Cells, over_time, zero_beyond
from resblock.ops.composite_backward import Gradients, Slopes, Stack, rows_product
from resblock.ops.packing import Packing

# None is zero, which saves the products with it.
Cotangent = Tensor | None


class _Direction(NamedTuple):
    """Where one layer's parameters and initial states go."""

    weight_ih: Cotangent
    weight_hh: Cotangent
    peephole: Cotangent
    bias: Cotangent
    h_0: Cotangent
    c_0: Cotangent


class _Tangent(NamedTuple):
    """What one layer computes, differentiated along the direction."""

    x: Cotangent  # (T, B, I)
    y: Tensor  # (T, B, H)
    h: Tensor  # (B, H)
    c: Tensor
    cells: Cells  # (T, B, H)


def residual_lstm_double_backward_composite(
    cotangents: Sequence[Cotangent], grads: Sequence[Tensor | None], tensors: Sequence[Tensor], options: Options
) -> tuple[Any, ...]:
    """Differentiate `residual_lstm_backward_composite`.

    `cotangents` are those of its eight results, None where they are zero. Gives the gradients of its twelve tensors,
    of the cells' one None where there is none.
    """
    if options.batch_sizes is not None:
        packing = Packing(options.batch_sizes, options.order, tensors[6].shape[1])
        cotangents = (None if cotangents[0] is None else packing.pad(cotangents[0]), *cotangents[1:])
        found = residual_lstm_double_backward_composite(
            cotangents, packing.pad_results(grads), *packing.padded(tensors, options)
        )
        return *packing.pack_results(found[:GRADS]), packing.pack(found[GRADS]), *found[GRADS + 1 :]
    dtype = tensors[0].dtype
    tensors = [t.to(arithmetic_type(dtype)) for t in tensors]
    cotangents = [None if t is None else t.to(arithmetic_type(dtype)) for t in cotangents]
    stack = Stack(tensors, options)
    grad_output, grad_h_n, grad_c_n, grad_cells = stack.output_gradients(grads)
    directions = [_direction(cotangents, layer) for layer in range(len(stack.layers))]
    tangents = _tangents(stack, cotangents[0], directions)
    dy, dy_along = stack.outputs(grad_output), stack.outputs(torch.zeros_like(grad_output))
    by_layer: list[tuple[Tensor, ...]] = []
    for layer in reversed(range(len(dy))):
        direction, tangent = directions[layer], tangents[layer]
        more_c = None if grad_cells is None else grad_cells[layer]
        found = stack.back_to_layer(layer, dy[layer], grad_h_n[layer], grad_c_n[layer], more_c=more_c)
        along = _back_along(stack, layer, dy_along[layer], found, tangent, direction)
        dx = _sum(along.z @ stack.weight_ih(layer), _product(found.z, direction.weight_ih))
        stack.pass_down(dy_along, layer, dx)
        if layer:
            stack.pass_down(dy, layer, found.z @ stack.weight_ih(layer))
        weight_ih = rows_product(along.z, stack.layers[layer].x)
        if tangent.x is not None:
            weight_ih = weight_ih + rows_product(found.z, tangent.x)
        products = zip(stack.products(along.z, stack.cells[layer]), stack.products(found.z, tangent.cells), strict=True)
        by_layer.append((weight_ih, *(a + b for a, b in products), along.z.sum((0, 1)), along.h_0, along.c_0))
    h_n, c_n = (torch.stack(part) for part in ([t.h for t in tangents], [t.c for t in tangents]))
    cells = None if grad_cells is None else torch.stack([zero_beyond(t.cells.c, stack.valid) for t in tangents])
    of_tensors = (t.to(dtype) for t in (dx, *stack.stacked(by_layer)))
    of_grads = (None if t is None else t.to(dtype) for t in (tangents[-1].y, h_n, c_n, cells))
    return *of_grads, *of_tensors


def _direction(cotangents: Sequence[Cotangent], layer: int) -> _Direction:
    first, rest, *others = cotangents[1:]
    weight_ih = first if layer == 0 else None if rest is None else rest[layer - 1]
    return _Direction(weight_ih, *(None if t is None else t[layer] for t in others))


def _product(a: Cotangent, b: Cotangent) -> Cotangent:
    return None if a is None or b is None else a @ b


def _sum(first: Tensor, *others: Cotangent) -> Tensor:
    for other in others:
        first = first if other is None else first + other
    return first


def _tangents(stack: Stack, x: Cotangent, directions: Sequence[_Direction]) -> list[_Tangent]:
    """Differentiate all layers along the directions and that of the input."""
    x = None if x is None else zero_beyond(x, stack.valid)
    tangents: list[_Tangent] = []
    for layer, direction in enumerate(directions):
        if tangents:
            x = tangents[-1].y if stack.mask is None else tangents[-1].y * stack.mask[layer - 1]
        tangent = _tangent(stack, layer, x, direction)
        if stack.has_shortcut(layer):
            tangent = tangent._replace(y=tangent.y + tangents[layer - 2].y)
        tangents.append(tangent)
    return tangents


def _tangent(stack: Stack, layer: int, x: Cotangent, d: _Direction) -> _Tangent:
    a, slopes, seen = stack.cells[layer], stack.slopes[layer], None
    if d.peephole is not None:
        d_i, d_f, d_o = d.peephole
        c_seen = stack.c_seen(a)
        seen = torch.cat([d_i * a.c_before, d_f * a.c_before, torch.zeros_like(c_seen), d_o * c_seen], -1)
    z_x = _sum(
        torch.zeros_like(slopes.by_z),
        d.bias,
        _product(x, stack.weight_ih(layer).T),
        _product(stack.layers[layer].x, None if d.weight_ih is None else d.weight_ih.T),
        _product(a.h_before, None if d.weight_hh is None else d.weight_hh.T),
        seen,
    )
    by_z, c_by_c, h_by_c, h_by_c_before = ([] if slope is None else slope.unbind() for slope in slopes)
    h, c = (torch.zeros_like(stack.layers[layer].h) if state is None else state for state in (d.h_0, d.c_0))
    parts: list[list[Tensor]] = [[], [], [], [], []]
    for t, z_x_t in enumerate(z_x.unbind()):
        h, c = stack.zero_resets(h, t), stack.zero_resets(c, t)
        z = torch.addmm(z_x_t, h, stack.weight_hh[layer].T)
        i, f, g, o = (by_z[t] * z).chunk(4, -1)
        c_new = torch.addcmul(i + f + g, c_by_c[t], c)
        y = torch.addcmul(o, h_by_c[t], c_new)
        if h_by_c_before:
            y = torch.addcmul(y, h_by_c_before[t], c)
        for part, value in zip(parts, (z, c_new, c, h, y), strict=True):
            part.append(value)
        h, c = y if stack.valid is None else torch.where(stack.valid[t], y, h), c_new
    z, *states, y = (over_time(part, like) for part, like in zip(parts, (h.repeat(1, 4), h, h, h, h), strict=True))
    return _Tangent(x, zero_beyond(y, stack.valid), h, c, _cells_along(stack, layer, z, *states))


def _cells_along(stack: Stack, layer: int, z: Tensor, c: Tensor, c_before: Tensor, h_before: Tensor) -> Cells:
    """Differentiate gates along what their pre-activations, still without peepholes, and the states do."""
    a, (p_i, p_f, p_o) = stack.cells[layer], stack.weight_peephole[layer]
    z_i, z_f, z_g, z_o = z.chunk(4, -1)
    i, f = a.i * (1 - a.i) * (z_i + p_i * c_before), a.f * (1 - a.f) * (z_f + p_f * c_before)
    c_seen = c_before if stack.options.output_peephole_previous else c
    o = a.o * (1 - a.o) * (z_o + p_o * c_seen)
    return Cells(i, f, (1 - a.g * a.g) * z_g, o, (1 - a.tanh_c * a.tanh_c) * c, c, c_before, h_before)


def _slopes_along(stack: Stack, layer: int, d: Cells, d_peephole: Cotangent) -> Slopes:
    """Differentiate a layer's slopes along what its cells do."""
    a, (p_i, p_f, p_o) = stack.cells[layer], stack.weight_peephole[layer]
    i = d.g * a.i * (1 - a.i) + a.g * d.i * (1 - 2 * a.i)
    f = d.c_before * a.f * (1 - a.f) + a.c_before * d.f * (1 - 2 * a.f)
    g = d.i * (1 - a.g * a.g) - 2 * a.i * a.g * d.g
    o = d.tanh_c * a.o * (1 - a.o) + a.tanh_c * d.o * (1 - 2 * a.o)
    h_by_c = d.o * (1 - a.tanh_c * a.tanh_c) - 2 * a.o * a.tanh_c * d.tanh_c
    c_by_c, by_c_seen = d.f + p_i * i + p_f * f, p_o * o
    if d_peephole is not None:
        by_i, by_f, _, by_o = stack.slopes[layer].by_z.chunk(4, -1)
        c_by_c, by_c_seen = c_by_c + d_peephole[0] * by_i + d_peephole[1] * by_f, by_c_seen + d_peephole[2] * by_o
    return stack.slopes_with_peephole(torch.cat([i, f, g, o], -1), c_by_c, h_by_c, by_c_seen, 0)


def _back_along(
    stack: Stack, layer: int, dy: Tensor, found: Gradients, tangent: _Tangent, direction: _Direction
) -> Gradients:
    """Differentiate the gradients that were found along the direction, given the derivative of those of the outputs."""
    slopes = _slopes_along(stack, layer, tangent.cells, direction.peephole)
    more_z = slopes.by_z * torch.cat([found.c, found.c, found.c, found.h], -1)
    to_c_before = slopes.c_by_c * found.c
    if slopes.h_by_c_before is not None:
        to_c_before = to_c_before + slopes.h_by_c_before * found.h
    to_c_0, to_c = _states_before(stack.zero_resets(to_c_before))
    dh_0 = zero = torch.zeros_like(found.h_0)
    if direction.weight_hh is not None:
        dh_0, to_h = _states_before(stack.zero_resets(found.z @ direction.weight_hh))
        dy = dy + to_h
    along = stack.back_to_layer(layer, dy, zero, zero, more_z, slopes.h_by_c * found.h + to_c)
    return along._replace(h_0=along.h_0 + dh_0, c_0=along.c_0 + to_c_0)


def _states_before(gradient: Tensor) -> tuple[Tensor, Tensor]:
    """Sort the gradients of the states before each step into that of the initial state and those of the steps."""
    after_last = torch.zeros_like(gradient[:1])
    return gradient[:1].sum(0), torch.cat([gradient[1:], after_last])
