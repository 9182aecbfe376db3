"""Pooling over time by attention."""

from __future__ import annotations

import torch
from torch import Tensor, nn


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

    def weights(self, input: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Compute the weights of the steps alone.

        Parameters
        ----------
        input : Tensor, shape (T, B, H), or (B, T, H) with `batch_first`
        lengths : Tensor of int64, shape (B,), optional
            Valid steps of each sequence; the others weigh nothing.

        Returns
        -------
        Tensor, shape (T, B), or (B, T) with `batch_first`
            They sum to 1 over time.
        """
        time = 1 if self.batch_first else 0
        score = self.score(torch.tanh(self.project(input))).squeeze(-1)
        if lengths is not None:
            steps = torch.arange(input.shape[time], device=input.device)
            valid = steps < lengths.to(input.device)[:, None]
            score = score.masked_fill(~(valid if self.batch_first else valid.T), -torch.inf)
        return torch.softmax(score, time)

    def forward(self, input: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Pool the steps of each sequence; arguments as in `weights`.

        Returns
        -------
        Tensor, shape (B, H)
        """
        weights = self.weights(input, lengths)
        return (weights.unsqueeze(-1) * input).sum(1 if self.batch_first else 0)
