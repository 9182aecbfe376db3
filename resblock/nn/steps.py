"""Which steps the sequences of a batch have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence


def as_lengths(lengths: Tensor | Sequence[int], input: Tensor) -> Tensor:
    """Give lengths as the operators take them: int64, beside the input.

    Parameters
    ----------
    lengths : Tensor of an integer type, shape (B,), or sequence of int
    input : Tensor

    Returns
    -------
    Tensor of int64, shape (B,)

    Raises
    ------
    TypeError
        If they are not whole numbers.
    """
    given = lengths if isinstance(lengths, Tensor) else torch.tensor(lengths)
    if given is not lengths and not given.numel():
        given = given.to(torch.int64)  # an empty list says nothing of its type
    if given.is_floating_point() or given.is_complex() or given.dtype == torch.bool:
        raise TypeError(f"lengths are {given.dtype}, expected whole numbers: an integer tensor or a list of int")
    return given.to(input.device, torch.int64)


class PaddedSteps(NamedTuple):
    """Steps of a batch (T, B, .), of which sequences may have fewer than T."""

    lengths: Tensor | None

    def sequences(self, input: Tensor) -> int:
        """Count them."""
        return input.shape[1]

    def reversed(self, input: Tensor) -> Tensor:
        """Reverse the steps of each sequence in time; what lies past a sequence's length stays there."""
        if self.lengths is None:
            return input.flip(0)
        steps = torch.arange(input.shape[0], device=input.device).unsqueeze(1)
        source = torch.where(steps < self.lengths, self.lengths - 1 - steps, steps)
        return input.gather(0, source.unsqueeze(-1).expand_as(input))


class PackedSteps(NamedTuple):
    """Steps of a PackedSequence (rows, .), as the operator takes them."""

    batch_sizes: Tensor
    order: Tensor | None

    @classmethod
    def of(cls, packed: PackedSequence) -> PackedSteps:
        """Give those of a PackedSequence."""
        order = packed.sorted_indices
        return cls(packed.batch_sizes, None if order is None else order.cpu())

    def sequences(self, input: Tensor) -> int:
        """Count them."""
        return int(self.batch_sizes[0])

    def reversed(self, input: Tensor) -> Tensor:
        """Reverse the steps of each sequence in time."""
        runs = torch.arange(self.sequences(input)) < self.batch_sizes.unsqueeze(1)
        step, place = runs.nonzero().unbind(1)
        rows_before = self.batch_sizes.cumsum(0) - self.batch_sizes
        rows = rows_before[runs.sum(0)[place] - 1 - step] + place
        return input.index_select(0, rows.to(input.device))
