"""The operator in plain torch operations, layer after layer; `composite_backward.py` has its backward passes.

PyTorch differentiates them in every way it knows: they give forward-mode and higher derivatives, and run on devices
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


class Cells(NamedTuple):
    """What one layer computed, each (B, H) at one time step, or (T, B, H)."""

    i: Tensor
    f: Tensor
    g: Tensor
    o: Tensor
    tanh_c: Tensor
    c: Tensor
    c_before: Tensor
    h_before: Tensor


class Layer(NamedTuple):
    """What one layer computed."""

    x: Tensor  # (T, B, I), its input after dropout
    y: Tensor  # (T, B, H), with its residual connection
    h: Tensor
    c: Tensor
    cells: list[Cells]


def residual_lstm_composite(
    tensors: Sequence[Tensor], options: Options, wants_cells: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """Compute what `resblock::residual_lstm` computes, its eight tensors given as one."""
    if options.batch_sizes is not None:
        packing = Packing(options.batch_sizes, options.order, tensors[6].shape[1])
        return packing.pack_results(residual_lstm_composite(*packing.padded(tensors, options), wants_cells))
    dtype = tensors[0].dtype
    tensors = [t.to(arithmetic_type(dtype)) for t in tensors]
    layers = run_layers(tensors, options, dropout_mask(tensors, options))
    output, h_n, c_n = layers[-1].y, torch.stack([a.h for a in layers]), torch.stack([a.c for a in layers])
    cells: Tensor | None = None
    if wants_cells:
        valid = valid_rows(tensors[0], options.lengths)
        cells = torch.stack([zero_beyond(over_time([at.c for at in a.cells], a.c), valid) for a in layers]).to(dtype)
    return output.to(dtype), h_n.to(dtype), c_n.to(dtype), cells


def valid_steps(lengths: Tensor, steps: int) -> Tensor:
    """Tell which steps lie within each sequence: bool, shape (T, B)."""
    return torch.arange(steps, device=lengths.device).unsqueeze(1) < lengths


def valid_rows(input: Tensor, lengths: Tensor | None) -> Tensor | None:
    """(T, B, 1), or None where all are."""
    return None if lengths is None else valid_steps(lengths, input.shape[0]).unsqueeze(-1)


def reset_rows(options: Options, valid: Tensor | None) -> Tensor | None:
    """(T, B, 1), where states are zero before a step; None where nowhere."""
    if options.resets is None:
        return None
    resets = options.resets.unsqueeze(-1)
    return resets if valid is None else resets & valid


def zero_beyond(x: Tensor, valid: Tensor | None) -> Tensor:
    """Replace what lies past the ends of sequences, whatever it is."""
    return x if valid is None else torch.where(valid, x, 0)


def dropout_mask(tensors: Sequence[Tensor], options: Options) -> Tensor | None:
    """(L - 1, T, B, H), the factors of the inputs of layers 2 to L."""
    if options.dropout_seed is None or not options.dropout_p:
        return None
    seed = options.dropout_seed.cpu()  # where the mask is drawn; of a seed on a GPU, this waits for it
    input, weight_hh = tensors[0], tensors[3]
    (steps, batch, _), (layers, _, units) = input.shape, weight_hh.shape
    mask: Tensor = torch.ops.resblock.residual_lstm_dropout_mask(seed, layers, steps, batch, units, options.dropout_p)
    return mask.to(input.dtype).to(input.device)  # in this order: not every device has float64


def over_time(parts: Sequence[Tensor], like: Tensor) -> Tensor:
    """Stack what the steps gave; nothing, of the shape of `like`, where there are none."""
    return torch.stack(list(parts)) if parts else like.new_zeros(0, *like.shape)


def run_layers(tensors: Sequence[Tensor], options: Options, mask: Tensor | None) -> list[Layer]:
    """Run all layers."""
    input, weight_ih_first, weight_ih, weight_hh, weight_peephole, bias, h_0, c_0 = tensors
    valid = valid_rows(input, options.lengths)
    resets = reset_rows(options, valid)
    x = zero_beyond(input, valid)
    layers: list[Layer] = []
    for layer in range(weight_hh.shape[0]):
        weight = weight_ih[layer - 1] if layer else weight_ih_first
        if layer and mask is not None:
            x = x * mask[layer - 1]
        z_x = x @ weight.T + bias[layer]
        y, h, c, cells = _run_cells(
            z_x, weight_hh[layer], weight_peephole[layer], h_0[layer], c_0[layer], valid, resets, options
        )
        if options.residual and has_shortcut(layer):
            y = y + layers[layer - 2].y
        layers.append(Layer(x, y, h, c, cells))
        x = y
    return layers


def _run_cells(
    z_x: Tensor,
    weight_hh: Tensor,
    peephole: Tensor,
    h: Tensor,
    c: Tensor,
    valid: Tensor | None,
    resets: Tensor | None,
    options: Options,
) -> tuple[Tensor, Tensor, Tensor, list[Cells]]:
    """Run one layer on its projected inputs (T, B, 4H); gives h of every step, the last h and c, and the cells."""
    units = c.shape[-1]
    outputs, cells = [], []
    for t, z_x_t in enumerate(z_x.unbind()):
        if resets is not None:
            h, c = torch.where(resets[t], 0, h), torch.where(resets[t], 0, c)
        # The input and forget gates are alike, and computed as one.
        z_if, z_g, z_o = torch.addmm(z_x_t, h, weight_hh.T).view(-1, 4, units).split_with_sizes([2, 1, 1], 1)
        i, f = torch.sigmoid(torch.addcmul(z_if, peephole[:2], c.unsqueeze(1))).unbind(1)
        g = torch.tanh(z_g.squeeze(1))
        c_new = torch.addcmul(f * c, i, g)
        c_seen = c if options.output_peephole_previous else c_new
        o, tanh_c = torch.sigmoid(torch.addcmul(z_o.squeeze(1), peephole[2], c_seen)), torch.tanh(c_new)
        cells.append(Cells(i, f, g, o, tanh_c, c_new, c_before=c, h_before=h))
        h_new = o * tanh_c
        if valid is None:
            h, c = h_new, c_new
            outputs.append(h)
        else:
            h, c = torch.where(valid[t], h_new, h), torch.where(valid[t], c_new, c)
            outputs.append(torch.where(valid[t], h_new, 0))
    return over_time(outputs, h), h, c, cells
