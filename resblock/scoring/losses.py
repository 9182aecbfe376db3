"""Losses of residue pairs: from their log-odds, labels and weights, which together are 1, to one number."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import torch
from torch import Tensor, nn

#: (P,) log-odds, (P,) whether a pair is true, (P,) weights; gives a scalar.
PairLoss = Callable[[Tensor, Tensor, Tensor], Tensor]

#: Of the focal loss: how much less a pair counts the better it is told already.
FOCUS: Final = 2.0


def cross_entropy(log_odds: Tensor, true: Tensor, weights: Tensor) -> Tensor:
    """Categorical cross-entropy of two classes, the paper's loss."""
    return (weights * _surprise(log_odds, true)).sum()


def focal(log_odds: Tensor, true: Tensor, weights: Tensor) -> Tensor:
    """Cross-entropy of which pairs that are told well make little (Lin et al., ICCV 2017, equation 4)."""
    surprise = _surprise(log_odds, true)
    return (weights * (1.0 - torch.exp(-surprise)) ** FOCUS * surprise).sum()


def top(log_odds: Tensor, true: Tensor, weights: Tensor) -> Tensor:
    """How seldom a true pair would come first, were one pair drawn by its odds: the list's first ranks decide.

    ListNet's loss with top-one probabilities (Cao et al., ICML 2007, section 4), of which every pair has a part by its
    weight; 0 without a true pair.
    """
    share = torch.log_softmax(log_odds + torch.log(weights), 0)
    of_true = torch.where(true, weights, 0.0)
    return -(of_true * share).sum() / of_true.sum().clamp(min=torch.finfo(weights.dtype).tiny)


def _surprise(log_odds: Tensor, true: Tensor) -> Tensor:
    return nn.functional.binary_cross_entropy_with_logits(log_odds, true.to(log_odds.dtype), reduction="none")


#: By the name that a configuration gives.
LOSSES: Final[Mapping[str, PairLoss]] = {"cross-entropy": cross_entropy, "focal": focal, "top": top}
