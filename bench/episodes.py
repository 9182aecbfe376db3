"""Sequences that begin anew within a call: ours, and the ways in which torch.nn.LSTM can be made to do so.

Training loops of reinforcement learning go step by step (CleanRL), or split the batch where any of its sequences begins
anew. The third way is the operator's own, written by means of torch: each part of a sequence between two resets is a
sequence of a PackedSequence. The same loop over steps is how torch.nn.LSTM gives c of every step.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_sequence, pad_packed_sequence
from workloads import OURS, PIECES, PLAIN, SPLIT, STEP_BY_STEP

from resblock import ResidualLSTM

Result = tuple[Tensor, object]


class _With(nn.Module):
    """A network that is called with an input alone."""

    def __init__(self, lstm: nn.Module, resets: Tensor | None) -> None:
        super().__init__()
        self.lstm, self.resets = lstm, resets


class _Ours(_With):
    def forward(self, x: Tensor) -> Result:
        if self.resets is not None:
            return self.lstm(x, resets=self.resets)
        output, *_, cells = self.lstm(x, return_cells=True)
        return torch.cat([output, cells[-1]], -1), cells


class _StepByStep(_With):
    def forward(self, x: Tensor) -> Result:
        batch, (layers, units) = x.shape[1], (self.lstm.num_layers, self.lstm.hidden_size)
        h = c = x.new_zeros(layers, batch, units)
        outputs, cells = [], []
        going_on = None if self.resets is None else (~self.resets).to(x.dtype).view(-1, 1, batch, 1)
        for t in range(len(x)):
            if going_on is not None:
                h, c = going_on[t] * h, going_on[t] * c
            output, (h, c) = self.lstm(x[t : t + 1], (h, c))
            outputs.append(output)
            cells.append(c)
        output = torch.cat(outputs)
        return (output if self.resets is not None else torch.cat([output, torch.stack(cells)[:, -1]], -1)), (h, c)


class _SplitAtResets(_With):
    def forward(self, x: Tensor) -> Result:
        assert self.resets is not None
        begins = self.resets[1:].any(1).nonzero().squeeze(1).add(1).tolist()
        going_on = (~self.resets).to(x.dtype).view(len(x), 1, -1, 1)
        h = c = x.new_zeros(self.lstm.num_layers, x.shape[1], self.lstm.hidden_size)
        outputs = []
        for begin, end in zip([0, *begins], [*begins, len(x)], strict=True):
            output, (h, c) = self.lstm(x[begin:end], (going_on[begin] * h, going_on[begin] * c))
            outputs.append(output)
        return torch.cat(outputs), (h, c)


class _PackedPieces(_With):
    def forward(self, x: Tensor) -> Result:
        assert self.resets is not None
        pieces = [
            piece
            for b in range(x.shape[1])
            for piece in x[:, b].tensor_split(self.resets[1:, b].nonzero().squeeze(1) + 1)
        ]
        output, state = self.lstm(pack_sequence(pieces, enforce_sorted=False))
        padded, lengths = pad_packed_sequence(output)
        rows = torch.cat([padded[:length, place] for place, length in enumerate(lengths.tolist())])
        return rows.view(x.shape[1], len(x), -1).transpose(0, 1), state


def resets_of(x: Tensor, probability: float) -> Tensor:
    """Draw where sequences begin anew, the same for all."""
    return torch.rand(x.shape[:2], generator=torch.Generator().manual_seed(1)) < probability


def module_of(peer: str, sizes: tuple[int, int, int], stacked: bool, resets: Tensor | None) -> nn.Module:
    """Give the participant's network, which takes the input alone; without resets it gives cells."""
    if peer == PLAIN:
        return ResidualLSTM(*sizes, stacked=stacked)
    if peer == OURS:
        return _Ours(ResidualLSTM(*sizes, stacked=stacked), resets)
    return {STEP_BY_STEP: _StepByStep, SPLIT: _SplitAtResets, PIECES: _PackedPieces}[peer](nn.LSTM(*sizes), resets)
