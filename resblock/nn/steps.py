"""Which steps the sequences of a batch have, and where they begin anew."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

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


def as_resets(resets: Tensor, dimensions: int, device: torch.device) -> Tensor:
    """Give resets as the operators take them: beside the input.

    Raises
    ------
    TypeError
        If they are no flags.
    ValueError
        If they have another number of dimensions.
    """
    if not isinstance(resets, Tensor) or resets.dtype != torch.bool:
        found = resets.dtype if isinstance(resets, Tensor) else type(resets).__name__
        raise TypeError(f"resets are {found}, expected a tensor of torch.bool (of numbers, `done > 0` makes one)")
    if resets.dim() != dimensions:
        raise ValueError(
            f"resets have shape {tuple(resets.shape)}, expected {dimensions} dimensions, those of the input without "
            "its features"
        )
    return resets.to(device)


class PaddedSteps(NamedTuple):
    """Steps of a batch (T, B, .), of which sequences may have fewer than T."""

    lengths: Tensor | None
    resets: Tensor | None = None

    @property
    def options(self) -> dict[str, Any]:
        """Of the operator."""
        return {"lengths": self.lengths, "resets": self.resets}

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

    def backwards(self) -> PaddedSteps:
        """Give those of reversed inputs: nothing goes from a step that begins anew to the one before it."""
        if self.resets is None:
            return self
        after = self.reversed(self.resets.unsqueeze(-1)).squeeze(-1)
        return self._replace(resets=torch.cat([torch.zeros_like(after[:1]), after[:-1]]))


class PackedSteps(NamedTuple):
    """Steps of a PackedSequence (rows, .), as the operator takes them."""

    batch_sizes: Tensor
    order: Tensor | None
    resets: Tensor | None = None

    @classmethod
    def of(cls, packed: PackedSequence, resets: PackedSequence | None = None) -> PackedSteps:
        """Give those of a PackedSequence.

        Raises
        ------
        TypeError, ValueError
            If the resets are not packed as it is, or no flags.
        """
        order = packed.sorted_indices
        flags = None
        if resets is not None:
            if not isinstance(resets, PackedSequence):
                raise TypeError("resets are no PackedSequence but the input is one; pack them with the same lengths")
            alike = [(packed.batch_sizes, resets.batch_sizes), (order, resets.sorted_indices)]
            if not torch.compiler.is_compiling() and not all(_equal(a, b) for a, b in alike):
                raise ValueError("resets are packed otherwise than the input; pack them with the same lengths")
            flags = as_resets(resets.data, 1, packed.data.device)
        return cls(packed.batch_sizes, None if order is None else order.cpu(), flags)

    @property
    def options(self) -> dict[str, Any]:
        """Of the operator."""
        return {"batch_sizes": self.batch_sizes, "order": self.order, "resets": self.resets}

    def sequences(self, input: Tensor) -> int:
        """Count them."""
        return int(self.batch_sizes[0])

    def reversed(self, input: Tensor) -> Tensor:
        """Reverse the steps of each sequence in time."""
        step, place, lengths = self._rows(input)
        return self._row_of(input, lengths - 1 - step, place)

    def backwards(self) -> PackedSteps:
        """Give those of reversed inputs: nothing goes from a step that begins anew to the one before it."""
        if self.resets is None:
            return self
        step, place, lengths = self._rows(self.resets)
        after = self._row_of(self.resets, torch.where(step > 0, lengths - step, 0), place)
        return self._replace(resets=after & (step > 0).to(after.device))

    def _rows(self, input: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Give the step and the place of each row, and how many steps there are at its place."""
        runs = torch.arange(self.sequences(input)) < self.batch_sizes.unsqueeze(1)
        step, place = runs.nonzero().unbind(1)
        return step, place, runs.sum(0)[place]

    def _row_of(self, input: Tensor, step: Tensor, place: Tensor) -> Tensor:
        rows_before = self.batch_sizes.cumsum(0) - self.batch_sizes
        return input.index_select(0, (rows_before[step] + place).to(input.device))


def _equal(a: Tensor | None, b: Tensor | None) -> bool:
    return a is b or (a is not None and b is not None and torch.equal(a, b))
