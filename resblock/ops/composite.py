"""The operator in plain torch operations, layer after layer: differentiable to any order.

Double backward differentiates it, so it draws the operator's own dropout mask. For speed there is the operator; for
reading beside the paper there is `reference.py` of the tests.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def has_shortcut(layer: int) -> bool:
    """Whether a residual connection ends at a layer, counted from 0: the paper's layers 4, 6, 8, ..."""
    return layer >= 3 and layer % 2 == 1


def residual_lstm_composite(
    tensors: Sequence[Tensor],
    *,
    lengths: Tensor | None,
    dropout_p: float,
    dropout_seed: Tensor | None,
    residual: bool,
    output_peephole_previous: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Compute what `resblock::residual_lstm` computes; arguments and results as there, the first eight as one."""
    input, weight_ih_first, weight_ih, weight_hh, weight_peephole, bias, h_0, c_0 = tensors
    steps, batch, _ = input.shape
    layers, _, units = weight_hh.shape
    time = torch.arange(steps, device=input.device)
    valid = None if lengths is None else (time[:, None] < lengths)[..., None]
    mask = None
    if dropout_seed is not None and dropout_p > 0:
        seed = dropout_seed.cpu()  # where the mask is drawn; of a seed on a GPU, this waits for it
        mask = torch.ops.resblock.residual_lstm_dropout_mask(seed, layers, steps, batch, units, dropout_p)
        mask = mask.to(input)
    x = input if valid is None else torch.where(valid, input, 0)
    y: list[Tensor] = []
    h_n, c_n = [], []
    for layer in range(layers):
        weight = weight_ih[layer - 1] if layer else weight_ih_first
        if layer and mask is not None:
            x = x * mask[layer - 1]
        out, h, c = _layer(
            x @ weight.T + bias[layer],
            weight_hh[layer],
            weight_peephole[layer],
            h=h_0[layer],
            c=c_0[layer],
            valid=valid,
            previous=output_peephole_previous,
        )
        if residual and has_shortcut(layer):
            out = out + y[layer - 2]
        y.append(out)
        h_n.append(h)
        c_n.append(c)
        x = out
    return x, torch.stack(h_n), torch.stack(c_n)


def _layer(
    z_x: Tensor,
    weight_hh: Tensor,
    peephole: Tensor,
    *,
    h: Tensor,
    c: Tensor,
    valid: Tensor | None,
    previous: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Run one layer on its projected inputs (T, B, 4H)."""
    p_i, p_f, p_o = peephole
    outputs = []
    for t in range(z_x.shape[0]):
        z_i, z_f, z_g, z_o = (z_x[t] + h @ weight_hh.T).chunk(4, -1)
        i, f, g = torch.sigmoid(z_i + p_i * c), torch.sigmoid(z_f + p_f * c), torch.tanh(z_g)
        c_new = f * c + i * g
        o = torch.sigmoid(z_o + p_o * (c if previous else c_new))
        h_new = o * torch.tanh(c_new)
        if valid is None:
            h, c = h_new, c_new
            outputs.append(h)
        else:
            h, c = torch.where(valid[t], h_new, h), torch.where(valid[t], c_new, c)
            outputs.append(torch.where(valid[t], h_new, 0))
    return torch.stack(outputs) if outputs else z_x[..., : h.shape[-1]], h, c
