"""Pooling over time by attention."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, overload

import torch
from torch import Tensor, nn

from resblock.nn.steps import as_lengths
from resblock.ops import valid_steps
from resblock.ops.arguments import check_lengths


class AttentionPooling(nn.Module):
    """A weighted sum over time with one learned score per step (Liu & Gong 2019, "attention mechanism").

        score_t = v . tanh(W y_t + b),   weight = softmax over the valid steps,   pooled = sum_t weight_t y_t

    Parameters
    ----------
    hidden_size : int
        H, features of each step.
    attention_size : int, optional
        Rows of W; H by default.
    batch_first : bool
        Inputs are (B, T, H) and weights (B, T) instead of (T, B, H) and (T, B).
    """

    def __init__(
        self,
        hidden_size: int,
        attention_size: int | None = None,
        *,
        batch_first: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.batch_first = batch_first
        size = hidden_size if attention_size is None else attention_size
        self.project = nn.Linear(hidden_size, size, device=device, dtype=dtype)
        self.score = nn.Linear(size, 1, bias=False, device=device, dtype=dtype)

    def weights(self, input: Tensor, lengths: Tensor | Sequence[int] | None = None) -> Tensor:
        """Compute the weights of the steps alone.

        Parameters
        ----------
        input : Tensor, shape (T, B, H), or (B, T, H) with `batch_first`
        lengths : Tensor of an integer type, shape (B,), or sequence of int, optional
            Valid steps of each sequence, 0 to T; the others weigh nothing.

        Returns
        -------
        Tensor, shape (T, B), or (B, T) with `batch_first`
            They sum to 1 over time; where there is no valid step they are 0.

        Raises
        ------
        TypeError
            If lengths are not whole numbers.
        RuntimeError
            If lengths are not one for each sequence, or not from 0 to T.
        """
        return self._weights(*self._without_padding(input, lengths))

    def _without_padding(self, input: Tensor, lengths: Tensor | Sequence[int] | None) -> tuple[Tensor, Tensor | None]:
        """Give the input with zeros past each sequence's end, where it may hold NaN, and the places past the end."""
        if lengths is None:
            return input, None
        steps, batch = input.shape[:2][::-1] if self.batch_first else input.shape[:2]
        given = as_lengths(lengths, input)
        check_lengths(given, steps, batch, "AttentionPooling")
        valid = valid_steps(given, steps)
        past_the_end = ~(valid.T if self.batch_first else valid)
        return input.masked_fill(past_the_end.unsqueeze(-1), 0), past_the_end

    def _weights(self, input: Tensor, past_the_end: Tensor | None) -> Tensor:
        time = 1 if self.batch_first else 0
        score = self.score(torch.tanh(self.project(input))).squeeze(-1)
        if past_the_end is None:
            return torch.softmax(score, time)
        # Not -inf, of which a sequence without steps would make NaN.
        score = score.masked_fill(past_the_end, torch.finfo(score.dtype).min)
        return torch.softmax(score, time).masked_fill(past_the_end, 0)

    @overload
    def forward(
        self, input: Tensor, lengths: Tensor | Sequence[int] | None = None, need_weights: Literal[False] = False
    ) -> Tensor: ...

    @overload
    def forward(
        self, input: Tensor, lengths: Tensor | Sequence[int] | None = None, *, need_weights: Literal[True]
    ) -> tuple[Tensor, Tensor]: ...

    def forward(
        self, input: Tensor, lengths: Tensor | Sequence[int] | None = None, need_weights: bool = False
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Pool the steps of each sequence. Of a sequence of no steps, zeros.

        Parameters
        ----------
        input, lengths
            As in `weights`.
        need_weights : bool
            Give the weights, too.

        Returns
        -------
        pooled : Tensor, shape (B, H)
        weights : Tensor, as `weights` gives them
            With `need_weights`.
        """
        input, past_the_end = self._without_padding(input, lengths)
        weights = self._weights(input, past_the_end)
        pooled = (weights.unsqueeze(-1) * input).sum(1 if self.batch_first else 0)
        return (pooled, weights) if need_weights else pooled
