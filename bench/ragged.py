"""Batches of sequences of unequal lengths: ours with lengths and packed, the full batch, and torch.nn.LSTM packed."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence
from workloads import FULL, INPUTS, LENGTHS, OUTLIER, TORCH, Size

from resblock import ResidualLSTM


class _WithLengths(nn.Module):
    def __init__(self, lstm: ResidualLSTM, lengths: Tensor) -> None:
        super().__init__()
        self.lstm, self.lengths = lstm, lengths

    def forward(self, x: Tensor) -> tuple[Tensor, object]:
        return self.lstm(x, lengths=self.lengths)


def lengths_of(size: Size, fill: float) -> Tensor:
    """Draw lengths that fill this part of the batch, evenly up to twice the mean where that fits."""
    generator = torch.Generator().manual_seed(1)
    if size == OUTLIER:
        return torch.tensor([size.steps, *[20] * (size.batch - 1)])
    mean = fill * size.steps
    reach = min(mean, size.steps - mean)
    return (mean + reach * (2 * torch.rand(size.batch, generator=generator) - 1)).round().long().clamp(1)


def network_and_input(peer: str, size: Size, x: Tensor, fill: float) -> tuple[nn.Module, Tensor | PackedSequence]:
    """Give the participant's network and what it is called with."""
    lengths = lengths_of(size, fill)
    if peer == TORCH:
        network: nn.Module = nn.LSTM(INPUTS, size.units, size.layers)
    else:
        network = ResidualLSTM(INPUTS, size.units, size.layers, stacked=size.layers > 8)
    if peer == FULL:
        return network, x
    if peer == LENGTHS:
        return _WithLengths(network, lengths), x
    return network, pack_padded_sequence(x, lengths, enforce_sorted=False)
