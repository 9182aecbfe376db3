"""Log-odds and probabilities: the correction of log-odds, and the one place where a probability is made."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray


@dataclass(frozen=True)
class Calibration:
    """A correction of log-odds, which are multiplied by `scale` before `shift` is added (Platt 1999)."""

    scale: float = 1.0
    shift: float = 0.0

    def __call__(self, log_odds: NDArray[np.float32]) -> NDArray[np.float32]:
        """Correct log-odds of any shape; their order stays where `scale` is above 0."""
        return np.asarray(self.scale * log_odds + self.shift, dtype=np.float32)


def probability(log_odds: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probabilities of log-odds, float32 of the same shape."""
    exact = torch.sigmoid(torch.from_numpy(np.asarray(log_odds, dtype=np.float64)))
    return np.asarray(exact.numpy(), dtype=np.float32)


def interface_log_odds(log_odds: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Log-odds of residues to be in the interface, from those of their pairs (n, m), before their own calibration.

    They are the logarithm of the summed odds of a residue's pairs, which is near the number of contacts to expect.

    Returns
    -------
    ndarray, shape (n,) and (m,)
        Of the receptor's and of the ligand's residues.
    """
    exact = log_odds.astype(np.float64)
    return np.logaddexp.reduce(exact, axis=1), np.logaddexp.reduce(exact, axis=0)
