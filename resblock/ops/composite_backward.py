"""The operator's backward pass in plain torch operations; `composite_double_backward.py` differentiates it.

It is a recurrence from the last step to the first, with the slopes of the cells: how their states follow from those
before, to first order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from resblock.ops.arguments import Options, arithmetic_type
from resblock.ops.composite import (
    Cells,
    dropout_mask,
    has_shortcut,
    over_time,
    reset_rows,
    run_layers,
    valid_rows,
    zero_beyond,
)
from resblock.ops.packing import Packing


class Slopes(NamedTuple):
    """Derivatives of a cell's new c and h, peepholes included, (T, B, H); past a sequence's end its states stay."""

    by_z: Tensor  # (T, B, 4H): of c by the pre-activations of i, f and g, of h by that of o
    c_by_c: Tensor  # by the c before
    h_by_c: Tensor  # by the new c
    h_by_c_before: Tensor | None  # where the output gate sees that


class Gradients(NamedTuple):
    """Of what one layer computes at every step, and of its initial states."""

    z: Tensor  # (T, B, 4H), the pre-activations
    c: Tensor  # (T, B, H), the new c
    h: Tensor
    h_0: Tensor  # (B, H)
    c_0: Tensor


class Stack:
    """All layers at one point: what they computed, and the slopes there."""

    def __init__(self, tensors: Sequence[Tensor], options: Options) -> None:
        input, self._weight_ih_first, self._weight_ih, self.weight_hh, self.weight_peephole = tensors[:5]
        self.options = options
        self.valid, self.mask = valid_rows(input, options.lengths), dropout_mask(tensors, options)
        self.resets = reset_rows(options, self.valid)
        self.layers = run_layers(tensors, options, self.mask)
        self.cells = [_over_time(layer.cells, layer.h) for layer in self.layers]
        self.slopes = [self._slopes(layer) for layer in range(len(self.layers))]

    def weight_ih(self, layer: int) -> Tensor:
        """(4H, I)."""
        return self._weight_ih[layer - 1] if layer else self._weight_ih_first

    def has_shortcut(self, layer: int) -> bool:
        """Whether a residual connection ends at a layer."""
        return self.options.residual and has_shortcut(layer)

    def _slopes(self, layer: int) -> Slopes:
        a, (p_i, p_f, p_o) = self.cells[layer], self.weight_peephole[layer]
        i, f, g = a.g * a.i * (1 - a.i), a.c_before * a.f * (1 - a.f), a.i * (1 - a.g * a.g)
        o, h_by_c = a.tanh_c * a.o * (1 - a.o), a.o * (1 - a.tanh_c * a.tanh_c)
        return self.slopes_with_peephole(torch.cat([i, f, g, o], -1), a.f + p_i * i + p_f * f, h_by_c, p_o * o, 1)

    def slopes_with_peephole(
        self, by_z: Tensor, c_by_c: Tensor, h_by_c: Tensor, by_c_seen: Tensor, c_by_c_beyond: float
    ) -> Slopes:
        """Add the slope of h by what the output gate sees of c, and end the sequences."""
        seen_before = by_c_seen if self.options.output_peephole_previous else None
        h_by_c = h_by_c if seen_before is not None else h_by_c + by_c_seen
        if self.valid is None:
            return Slopes(by_z, c_by_c, h_by_c, seen_before)
        return Slopes(
            zero_beyond(by_z, self.valid),
            torch.where(self.valid, c_by_c, c_by_c_beyond),
            zero_beyond(h_by_c, self.valid),
            None if seen_before is None else zero_beyond(seen_before, self.valid),
        )

    def zero_resets(self, before: Tensor, t: int | slice = slice(None)) -> Tensor:
        """Replace gradients of, or changes to, states before steps, where sequences begin anew."""
        return before if self.resets is None else torch.where(self.resets[t], 0, before)

    def c_seen(self, cells: Cells) -> Tensor:
        """The cell state that the output gate sees."""
        return cells.c_before if self.options.output_peephole_previous else cells.c

    def back_to_layer(
        self, layer: int, dy: Tensor, dh: Tensor, dc: Tensor, more_z: Tensor | None = None, more_c: Tensor | None = None
    ) -> Gradients:
        """Go back through a layer from the gradients of its outputs and last states; z and c may receive more."""
        by_z, c_by_c, h_by_c, h_by_c_before = ([] if slope is None else slope.unbind() for slope in self.slopes[layer])
        zs, cs, hs = [], [], []
        for t in reversed(range(dy.shape[0])):
            dh = dh + dy[t]
            dc = torch.addcmul(dc if more_c is None else dc + more_c[t], h_by_c[t], dh)
            received = torch.cat([dc, dc, dc, dh], -1)
            dz = by_z[t] * received if more_z is None else torch.addcmul(more_z[t], by_z[t], received)
            zs.append(dz)
            cs.append(dc)
            hs.append(dh)
            dc = c_by_c[t] * dc
            if h_by_c_before:
                dc = torch.addcmul(dc, h_by_c_before[t], dh)
            through_z = dz @ self.weight_hh[layer]
            dh = through_z if self.valid is None else torch.where(self.valid[t], through_z, dh)
            dh, dc = self.zero_resets(dh, t), self.zero_resets(dc, t)
        z, c, h = over_time(zs[::-1], dc.repeat(1, 4)), over_time(cs[::-1], dc), over_time(hs[::-1], dh)
        return Gradients(z, c, h, dh, dc)

    def products(self, dz: Tensor, cells: Cells) -> tuple[Tensor, Tensor]:
        """Multiply gradients of pre-activations and the states before, for weight_hh and the peepholes."""
        dz_i, dz_f, _, dz_o = dz.chunk(4, -1)
        seen = (dz_i * cells.c_before, dz_f * cells.c_before, dz_o * self.c_seen(cells))
        peephole = torch.stack([by_step.sum((0, 1)) for by_step in seen])
        return rows_product(dz, cells.h_before), peephole

    def output_gradients(self, grads: Sequence[Any]) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        """Give those of output, h_n, c_n and, if there are any, of the cells (L, T, B, H), in the type computed in."""
        *others, cells = grads
        output, h_n, c_n = (t.to(self.weight_hh.dtype) for t in others)
        return output, h_n, c_n, None if cells is None else zero_beyond(cells.to(output.dtype), self.valid)

    def outputs(self, grad_output: Tensor) -> list[Tensor]:
        """Give the gradients of all layers' outputs (T, B, H), of which only the last has one yet."""
        zero = torch.zeros_like(grad_output)
        return [zero] * (len(self.layers) - 1) + [zero_beyond(grad_output, self.valid)]

    def pass_down(self, dy: list[Tensor], layer: int, dx: Tensor) -> None:
        """Add the gradients of a layer's input and of its shortcut to those of the outputs that they came from."""
        if layer:
            dy[layer - 1] = dy[layer - 1] + (dx if self.mask is None else dx * self.mask[layer - 1])
        if self.has_shortcut(layer):
            dy[layer - 2] = dy[layer - 2] + dy[layer]

    def stacked(self, by_layer: Sequence[Sequence[Tensor]]) -> list[Tensor]:
        """Lay out gradients, from weight_ih to c_0 for each layer and the last layer first, as the operator does."""
        (first, *rest), *others = (list(part) for part in zip(*reversed(by_layer), strict=True))
        weight_ih = torch.stack(rest) if rest else torch.zeros_like(self._weight_ih)
        return [first, weight_ih, *(torch.stack(part) for part in others)]


def residual_lstm_backward_composite(
    grads: Sequence[Tensor | None], tensors: Sequence[Tensor], options: Options
) -> tuple[Tensor, ...]:
    """Compute what `resblock::residual_lstm_backward` computes, all eight gradients, from the forward pass anew."""
    if options.batch_sizes is not None:
        packing = Packing(options.batch_sizes, options.order, tensors[6].shape[1])
        grads = packing.pad_results(grads)
        grad_input, *others = residual_lstm_backward_composite(grads, *packing.padded(tensors, options))
        return packing.pack(grad_input), *others
    dtype = tensors[0].dtype
    tensors = [t.to(arithmetic_type(dtype)) for t in tensors]
    stack = Stack(tensors, options)
    grad_output, grad_h_n, grad_c_n, grad_cells = stack.output_gradients(grads)
    dy = stack.outputs(grad_output)
    by_layer: list[tuple[Tensor, ...]] = []
    for layer in reversed(range(len(dy))):
        found = stack.back_to_layer(
            layer, dy[layer], grad_h_n[layer], grad_c_n[layer], more_c=None if grad_cells is None else grad_cells[layer]
        )
        dx = found.z @ stack.weight_ih(layer)
        stack.pass_down(dy, layer, dx)
        weight_ih = rows_product(found.z, stack.layers[layer].x)
        by_layer.append(
            (weight_ih, *stack.products(found.z, stack.cells[layer]), found.z.sum((0, 1)), found.h_0, found.c_0)
        )
    return tuple(t.to(dtype) for t in (dx, *stack.stacked(by_layer)))


def rows_product(a: Tensor, b: Tensor) -> Tensor:
    """Sum the outer products over all rows, (T, B, M) and (T, B, N) to (M, N)."""
    return a.flatten(0, 1).T @ b.flatten(0, 1)


def _over_time(cells: Sequence[Cells], like: Tensor) -> Cells:
    if not cells:
        return Cells(*[like.new_zeros(0, *like.shape)] * len(Cells._fields))
    return Cells(*(torch.stack(part) for part in zip(*cells, strict=True)))
