"""The network in plain torch operations, one step of one layer at a time, to be read beside the paper.

Symbols as in Liu & Gong 2019 (after Graves): iota, phi, omega are the input, forget and output gates, s the cell
state, b the cell's output. This is the oracle of the tests.
"""

from __future__ import annotations

import torch
from torch import Tensor


def cell(
    x: Tensor,
    b_before: Tensor,
    s_before: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    peephole: Tensor,
    bias: Tensor,
    output_peephole: str = "current",
) -> tuple[Tensor, Tensor]:
    """Compute one layer at one time step.

    Parameters
    ----------
    x : Tensor, shape (B, I)
    b_before, s_before : Tensor, shape (B, H)
        Cell output and cell state of the step before.
    weight_ih, weight_hh : Tensor, shapes (4H, I), (4H, H)
        Gates in the order i, f, g, o.
    peephole, bias : Tensor, shapes (3, H), (4H,)
        Peepholes in the order i, f, o.
    output_peephole : {"current", "previous"}

    Returns
    -------
    b, s : Tensor, shape (B, H)
    """
    p_iota, p_phi, p_omega = peephole
    a_iota, a_phi, a_c, a_omega = (x @ weight_ih.T + b_before @ weight_hh.T + bias).chunk(4, dim=-1)
    b_iota = torch.sigmoid(a_iota + p_iota * s_before)
    b_phi = torch.sigmoid(a_phi + p_phi * s_before)
    s = b_phi * s_before + b_iota * torch.tanh(a_c)
    b_omega = torch.sigmoid(a_omega + p_omega * (s if output_peephole == "current" else s_before))
    return b_omega * torch.tanh(s), s


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
    dropout_mask: Tensor | None = None,
    residual: bool = True,
    output_peephole: str = "current",
    resets: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Compute the stack; arguments and results as in `resblock.ops.residual_lstm`, with the cell states of every step.

    `dropout_mask`, shape (L-1, T, B, H), holds the factors of the inputs of layers 2..L.
    """
    steps, batch, _ = input.shape
    layers, _, units = weight_hh.shape
    if lengths is None:
        lengths = torch.full((batch,), steps, device=input.device)
    y: list[list[Tensor]] = [[] for _ in range(layers)]
    states: list[list[Tensor]] = [[] for _ in range(layers)]
    b, s = list(h_0), list(c_0)
    for t in range(steps):
        running = (t < lengths)[:, None]
        begins_anew = running & resets[t][:, None] if resets is not None else torch.zeros_like(running)
        for layer in range(layers):
            b_before, s_before = (torch.where(begins_anew, 0, state) for state in (b[layer], s[layer]))
            if layer == 0:
                x, weight = torch.where(running, input[t], 0), weight_ih_first
            else:
                x, weight = y[layer - 1][t], weight_ih[layer - 1]
                if dropout_mask is not None:
                    x = x * dropout_mask[layer - 1, t]
            state = cell(
                x,
                b_before,
                s_before,
                weight,
                weight_hh[layer],
                weight_peephole[layer],
                bias[layer],
                output_peephole,
            )
            b[layer] = torch.where(running, state[0], b[layer])
            s[layer] = torch.where(running, state[1], s[layer])
            number = layer + 1  # as the paper counts
            shortcut = residual and number >= 4 and number % 2 == 0
            out = b[layer] + y[layer - 2][t] if shortcut else b[layer]
            y[layer].append(torch.where(running, out, 0))
            states[layer].append(torch.where(running, s[layer], 0))
    if not steps:
        return (
            input.new_empty(0, batch, units),
            torch.stack(b),
            torch.stack(s),
            input.new_empty(layers, 0, batch, units),
        )
    cells = torch.stack([torch.stack(of_layer) for of_layer in states])
    return torch.stack(y[-1]), torch.stack(b), torch.stack(s), cells
