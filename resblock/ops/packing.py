"""Rows of a PackedSequence and a padded batch, for whoever takes only the latter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from resblock.ops.arguments import Options


class Packing:
    """Where the rows of packed sequences stand in a padded batch.

    Parameters
    ----------
    batch_sizes, order, batch
        As `resblock.residual_lstm` takes them, and the number of sequences.
    """

    def __init__(self, batch_sizes: Tensor, order: Tensor | None, batch: int) -> None:
        runs = torch.arange(batch) < batch_sizes.unsqueeze(1)  # (T, B), the longest sequence first
        step, place = runs.nonzero().unbind(1)
        sequence = torch.arange(batch) if order is None else order
        self._shape = (len(batch_sizes), batch)
        self._rows = step * batch + sequence[place]
        self._lengths = torch.empty_like(sequence).index_copy(0, sequence, runs.sum(0))

    def pad(self, rows: Tensor) -> Tensor:
        """(rows, F) to (T, B, F), zero past a sequence's length."""
        steps, batch = self._shape
        padded = rows.new_zeros(steps * batch, rows.shape[1])
        return padded.index_copy(0, self._rows.to(rows.device), rows).view(steps, batch, rows.shape[1])

    def pack(self, padded: Tensor) -> Tensor:
        """(T, B, F) to (rows, F)."""
        return padded.flatten(0, 1).index_select(0, self._rows.to(padded.device))

    def pad_layers(self, rows: Tensor) -> Tensor:
        """(L, rows, F) to (L, T, B, F)."""
        return torch.stack([self.pad(layer) for layer in rows])

    def pack_layers(self, padded: Tensor) -> Tensor:
        """(L, T, B, F) to (L, rows, F)."""
        return padded.flatten(1, 2).index_select(1, self._rows.to(padded.device))

    def pad_results(self, results: Sequence[Any]) -> tuple[Any, Any, Any, Any]:
        """Pad output, h_n, c_n and cells, or their gradients, as far as they are over time; None stays None."""
        output, h_n, c_n, cells = results
        return self.pad(output), h_n, c_n, None if cells is None else self.pad_layers(cells)

    def pack_results(self, results: Sequence[Any]) -> tuple[Any, Any, Any, Any]:
        """Undo `pad_results`."""
        output, h_n, c_n, cells = results
        return self.pack(output), h_n, c_n, None if cells is None else self.pack_layers(cells)

    def padded(self, tensors: Sequence[Tensor], options: Options) -> tuple[tuple[Tensor, ...], Options]:
        """Give the operator's arguments for the padded batch."""
        input, *others = tensors
        lengths, resets = self._lengths.to(input.device), options.resets
        if resets is not None:
            resets = self.pad(resets.unsqueeze(1)).squeeze(2)
        return (self.pad(input), *others), options._replace(
            lengths=lengths, batch_sizes=None, order=None, resets=resets
        )
