"""The two directions of a bidirectional stack: states taken apart, results joined, in the order of `torch.nn.LSTM`."""

from __future__ import annotations

import torch
from torch import Tensor

from resblock.nn.steps import PackedSteps, PaddedSteps

State = tuple[Tensor, Tensor]
Results = tuple[Tensor, State, Tensor | None]  # output, (h_n, c_n), and c of every step where it is wanted


def divided(state: State | None, layers: int) -> tuple[State | None, State | None]:
    """Give the states (2L, B, H) of each direction of L layers, (L, B, H).

    Raises
    ------
    ValueError
        If there are other than 2L layers.
    """
    if state is None:
        return None, None
    for name, tensor in zip(("h_0", "c_0"), state, strict=True):
        if len(tensor) != 2 * layers:
            raise ValueError(f"{name} has {len(tensor)} layers, expected {2 * layers}, those of both directions")
    h_0, c_0 = state
    return (h_0[::2], c_0[::2]), (h_0[1::2], c_0[1::2])


def joined(ahead: Results, back: Results, steps: PaddedSteps | PackedSteps) -> Results:
    """Join what both directions give, the second with its steps reversed."""
    first, (h_first, c_first), cells_first = ahead
    second, (h_second, c_second), cells_second = back
    cells: Tensor | None = None
    if cells_first is not None and cells_second is not None:
        layers, units = len(cells_second), cells_second.shape[-1]
        side_by_side = steps.reversed(cells_second.movedim(0, -2).flatten(-2))
        by_layer = side_by_side.reshape(*side_by_side.shape[:-1], layers, units).movedim(-2, 0)
        cells = _interleaved(cells_first, by_layer)
    output = torch.cat([first, steps.reversed(second)], dim=-1)
    return output, (_interleaved(h_first, h_second), _interleaved(c_first, c_second)), cells


def _interleaved(ahead: Tensor, back: Tensor) -> Tensor:
    """Join what both directions have for each layer, (L, ...), layer by layer."""
    return torch.stack([ahead, back], 1).flatten(0, 1)
