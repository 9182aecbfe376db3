"""Fitting the calibration of log-odds to labels (Platt scaling)."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from resblock.models import Calibration


def fit_calibration(log_odds: NDArray[np.float32], labels: NDArray[np.bool_]) -> Calibration:
    """Find the correction under which the labels are most likely; every pair counts the same.

    As Platt (1999) has it, a label is taken for a probability a little short of 1 or 0, so that log-odds that tell all
    positives from all negatives are not made infinitely sure.

    Parameters
    ----------
    log_odds : ndarray, shape (P,)
        Of pairs that the model was not trained on.
    labels : ndarray of bool, shape (P,)
        Whether each touches.
    """
    positives = int(labels.sum())
    targets = torch.from_numpy(np.where(labels, (positives + 1) / (positives + 2), 1 / (len(labels) - positives + 2)))
    inputs = torch.from_numpy(log_odds.astype(np.float64))
    weights = torch.tensor([1.0, 0.0], dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([weights], max_iter=200, tolerance_grad=1e-10, line_search_fn="strong_wolfe")

    def loss() -> float:
        optimiser.zero_grad()
        value = nn.functional.binary_cross_entropy_with_logits(weights[0] * inputs + weights[1], targets)
        value.backward()  # type: ignore[no-untyped-call]
        return value.item()

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    return Calibration(*weights.tolist())
