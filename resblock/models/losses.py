"""Losses of residue pairs: from their log-odds, labels and weights, which together are 1, to one number."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import torch
from torch import Tensor, nn

#: (P,) log-odds, (P,) labels, (P,) weights; gives a scalar.
PairLoss = Callable[[Tensor, Tensor, Tensor], Tensor]

#: How much less a pair counts in the focal loss the better it is told already.
FOCUS: Final = 2.0


def cross_entropy(log_odds: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Categorical cross-entropy of two classes, the paper's loss."""
    return (weights * _surprise(log_odds, labels)).sum()


def focal(log_odds: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Cross-entropy in which pairs that are told well count little (Lin et al., ICCV 2017, equation 4)."""
    surprise = _surprise(log_odds, labels)
    return (weights * (1.0 - torch.exp(-surprise)) ** FOCUS * surprise).sum()


def top(log_odds: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """How seldom a positive would come first, were one pair drawn by its odds: the list's first ranks decide.

    ListNet's loss with top-one probabilities (Cao et al., ICML 2007, section 4), of which every pair has a part by its
    weight; 0 without a positive.
    """
    share = torch.log_softmax(log_odds + torch.log(weights), 0)
    of_positives = torch.where(labels, weights, 0.0)
    return -(of_positives * share).sum() / of_positives.sum().clamp(min=torch.finfo(weights.dtype).tiny)


def _surprise(log_odds: Tensor, labels: Tensor) -> Tensor:
    return nn.functional.binary_cross_entropy_with_logits(log_odds, labels.to(log_odds.dtype), reduction="none")


#: By the name that a configuration gives.
LOSSES: Final[Mapping[str, PairLoss]] = {"cross-entropy": cross_entropy, "focal": focal, "top": top}
