"""Lengths of the sequences in a padded batch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


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


def reversed_in_time(input: Tensor, lengths: Tensor | None) -> Tensor:
    """Reverse the valid steps of each sequence of (T, B, .); what lies past a sequence's length stays there."""
    if lengths is None:
        return input.flip(0)
    steps = torch.arange(input.shape[0], device=input.device).unsqueeze(1)
    source = torch.where(steps < lengths, lengths - 1 - steps, steps)
    return input.gather(0, source.unsqueeze(-1).expand_as(input))
