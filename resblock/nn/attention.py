"""Pooling over time by attention."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, overload

import torch
from torch import Tensor, nn

from resblock.nn.lengths import as_lengths
from resblock.ops import valid_steps


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
        """
        time = 1 if self.batch_first else 0
        score = self.score(torch.tanh(self.project(input))).squeeze(-1)
        if lengths is None:
            return torch.softmax(score, time)
        valid = valid_steps(as_lengths(lengths, input), input.shape[time])
        past_the_end = ~(valid.T if self.batch_first else valid)
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
        weights = self.weights(input, lengths)
        pooled = (weights.unsqueeze(-1) * input).sum(1 if self.batch_first else 0)
        return (pooled, weights) if need_weights else pooled
