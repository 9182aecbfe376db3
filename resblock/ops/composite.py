"""The operator and its backward pass in plain torch operations, layer after layer.

PyTorch differentiates both in every way it knows: they give forward-mode and higher derivatives, and run on devices
without kernels. They draw the operator's own dropout mask. For speed there is the operator; for reading beside the
paper there is `reference.py` of the tests.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from resblock.ops.arguments import Options, arithmetic_type
from resblock.ops.packing import Packing


def has_shortcut(layer: int) -> bool:
    """Whether a residual connection ends at a layer, counted from 0: the paper's layers 4, 6, 8, ..."""
    return layer >= 3 and layer % 2 == 1


class _Cells(NamedTuple):
    """What one layer computed at one time step, each (B, H)."""

    i: Tensor
    f: Tensor
    g: Tensor
    o: Tensor
    tanh_c: Tensor
    c_seen: Tensor  # by the output gate
    c_before: Tensor
    h_before: Tensor


class _Layer(NamedTuple):
    """What one layer computed."""

    x: Tensor  # (T, B, I), its input after dropout
    y: Tensor  # (T, B, H), with its residual connection
    h: Tensor
    c: Tensor
    cells: list[_Cells]


def residual_lstm_composite(tensors: Sequence[Tensor], options: Options) -> tuple[Tensor, Tensor, Tensor]:
    """Compute what `resblock::residual_lstm` computes, its eight tensors given as one."""
    if options.batch_sizes is not None:
        packing = Packing(options.batch_sizes, options.order, tensors[6].shape[1])
        output, h_n, c_n = residual_lstm_composite(*packing.padded(tensors, options))
        return packing.pack(output), h_n, c_n
    dtype = tensors[0].dtype
    layers = _run_layers([t.to(arithmetic_type(dtype)) for t in tensors], options)
    output, h_n, c_n = layers[-1].y, torch.stack([a.h for a in layers]), torch.stack([a.c for a in layers])
    return output.to(dtype), h_n.to(dtype), c_n.to(dtype)


def valid_steps(lengths: Tensor, steps: int) -> Tensor:
    """Tell which steps lie within each sequence: bool, shape (T, B)."""
    return torch.arange(steps, device=lengths.device).unsqueeze(1) < lengths


def _valid(input: Tensor, lengths: Tensor | None) -> Tensor | None:
    """(T, B, 1), or None where all are."""
    return None if lengths is None else valid_steps(lengths, input.shape[0]).unsqueeze(-1)


def _dropout_mask(input: Tensor, weight_hh: Tensor, options: Options) -> Tensor | None:
    """(L - 1, T, B, H), the factors of the inputs of layers 2 to L."""
    if options.dropout_seed is None or not options.dropout_p:
        return None
    seed = options.dropout_seed.cpu()  # where the mask is drawn; of a seed on a GPU, this waits for it
    (steps, batch, _), (layers, _, units) = input.shape, weight_hh.shape
    mask: Tensor = torch.ops.resblock.residual_lstm_dropout_mask(seed, layers, steps, batch, units, options.dropout_p)
    return mask.to(input.dtype).to(input.device)  # in this order: not every device has float64


def _run_layers(tensors: Sequence[Tensor], options: Options) -> list[_Layer]:
    input, weight_ih_first, weight_ih, weight_hh, weight_peephole, bias, h_0, c_0 = tensors
    valid, mask = _valid(input, options.lengths), _dropout_mask(input, weight_hh, options)
    x = input if valid is None else torch.where(valid, input, 0)
    layers: list[_Layer] = []
    for layer in range(weight_hh.shape[0]):
        weight = weight_ih[layer - 1] if layer else weight_ih_first
        if layer and mask is not None:
            x = x * mask[layer - 1]
        z_x = x @ weight.T + bias[layer]
        y, h, c, cells = _run_cells(
            z_x, weight_hh[layer], weight_peephole[layer], h_0[layer], c_0[layer], valid, options
        )
        if options.residual and has_shortcut(layer):
            y = y + layers[layer - 2].y
        layers.append(_Layer(x, y, h, c, cells))
        x = y
    return layers


def _run_cells(
    z_x: Tensor, weight_hh: Tensor, peephole: Tensor, h: Tensor, c: Tensor, valid: Tensor | None, options: Options
) -> tuple[Tensor, Tensor, Tensor, list[_Cells]]:
    """Run one layer on its projected inputs (T, B, 4H); gives h of every step, the last h and c, and the cells."""
    p_i, p_f, p_o = peephole
    outputs, cells = [], []
    for t in range(z_x.shape[0]):
        z_i, z_f, z_g, z_o = (z_x[t] + h @ weight_hh.T).chunk(4, -1)
        i, f, g = torch.sigmoid(z_i + p_i * c), torch.sigmoid(z_f + p_f * c), torch.tanh(z_g)
        c_new = f * c + i * g
        c_seen = c if options.output_peephole_previous else c_new
        o, tanh_c = torch.sigmoid(z_o + p_o * c_seen), torch.tanh(c_new)
        cells.append(_Cells(i, f, g, o, tanh_c, c_seen, c_before=c, h_before=h))
        h_new = o * tanh_c
        if valid is None:
            h, c = h_new, c_new
            outputs.append(h)
        else:
            h, c = torch.where(valid[t], h_new, h), torch.where(valid[t], c_new, c)
            outputs.append(torch.where(valid[t], h_new, 0))
    return torch.stack(outputs) if outputs else z_x[..., : h.shape[-1]], h, c, cells


def residual_lstm_backward_composite(
    grads: Sequence[Tensor], tensors: Sequence[Tensor], options: Options
) -> tuple[Tensor, ...]:
    """Compute what `resblock::residual_lstm_backward` computes, all eight gradients, from the forward pass anew."""
    if options.batch_sizes is not None:
        packing = Packing(options.batch_sizes, options.order, tensors[6].shape[1])
        grads = (packing.pad(grads[0]), *grads[1:])
        grad_input, *others = residual_lstm_backward_composite(grads, *packing.padded(tensors, options))
        return packing.pack(grad_input), *others
    dtype = tensors[0].dtype
    grads, tensors = ([t.to(arithmetic_type(dtype)) for t in part] for part in (grads, tensors))
    input, weight_ih_first, weight_ih, weight_hh, weight_peephole = tensors[:5]
    grad_output, grad_h_n, grad_c_n = grads
    valid, mask = _valid(input, options.lengths), _dropout_mask(input, weight_hh, options)
    layers = _run_layers(tensors, options)
    dy = [torch.zeros_like(layer.y) for layer in layers]
    dy[-1] = grad_output if valid is None else torch.where(valid, grad_output, 0)
    dx = torch.zeros_like(input)
    by_layer: list[tuple[Tensor, ...]] = []
    for layer in reversed(range(len(layers))):
        if options.residual and has_shortcut(layer):
            dy[layer - 2] = dy[layer - 2] + dy[layer]
        dz, *others = _cells_backward(
            layers[layer].cells,
            dy[layer],
            weight_hh[layer],
            weight_peephole[layer],
            dh=grad_h_n[layer],
            dc=grad_c_n[layer],
            valid=valid,
            previous=options.output_peephole_previous,
        )
        grad_weight = torch.einsum("tbz,tbx->zx", dz, layers[layer].x)
        by_layer.append((grad_weight, *others))
        dx = dz @ (weight_ih[layer - 1] if layer else weight_ih_first)
        if layer:
            dy[layer - 1] = dy[layer - 1] + (dx if mask is None else dx * mask[layer - 1])
    (first, *rest), *stacked = (list(part) for part in zip(*reversed(by_layer), strict=True))
    gradients = (
        dx,
        first,
        torch.stack(rest) if rest else torch.zeros_like(weight_ih),
        *(torch.stack(part) for part in stacked),
    )
    return tuple(gradient.to(dtype) for gradient in gradients)


def _cells_backward(
    cells: Sequence[_Cells],
    dy: Tensor,
    weight_hh: Tensor,
    peephole: Tensor,
    *,
    dh: Tensor,
    dc: Tensor,
    valid: Tensor | None,
    previous: bool,
) -> tuple[Tensor, ...]:
    """Give the gradients of a layer's pre-activations (T, B, 4H), weight_hh, peephole, bias, h_0 and c_0."""
    p_i, p_f, p_o = peephole
    grad_hh, grad_peephole = torch.zeros_like(weight_hh), torch.zeros_like(peephole)
    grad_bias = torch.zeros_like(weight_hh[:, 0])
    dzs = []
    for t in reversed(range(len(cells))):
        cell = cells[t]
        through_o = (dh + dy[t]) * cell.o
        dz_o = through_o * cell.tanh_c * (1 - cell.o)
        dc_new = dc + through_o * (1 - cell.tanh_c * cell.tanh_c)
        if not previous:
            dc_new = dc_new + p_o * dz_o
        dz_i = dc_new * cell.g * cell.i * (1 - cell.i)
        dz_f = dc_new * cell.c_before * cell.f * (1 - cell.f)
        dz = torch.cat([dz_i, dz_f, dc_new * cell.i * (1 - cell.g * cell.g), dz_o], -1)
        dc_before = dc_new * cell.f + p_i * dz_i + p_f * dz_f
        if previous:
            dc_before = dc_before + p_o * dz_o
        if valid is None:
            dh, dc = dz @ weight_hh, dc_before
        else:
            dz = torch.where(valid[t], dz, 0)
            dh, dc = torch.where(valid[t], dz @ weight_hh, dh), torch.where(valid[t], dc_before, dc)
        dz_i, dz_f, _, dz_o = dz.chunk(4, -1)
        seen = ((dz_i * cell.c_before).sum(0), (dz_f * cell.c_before).sum(0), (dz_o * cell.c_seen).sum(0))
        grad_hh, grad_bias = grad_hh + dz.T @ cell.h_before, grad_bias + dz.sum(0)
        grad_peephole = grad_peephole + torch.stack(seen)
        dzs.append(dz)
    dz_all = torch.stack(dzs[::-1]) if dzs else dy.repeat(1, 1, 4)
    return dz_all, grad_hh, grad_peephole, grad_bias, dh, dc
