"""Log-odds and probabilities: the correction of log-odds, and the one place where a probability is made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

#: Pairs of a residue that tell whether it is in the interface.
BEST: Final = 10


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

    The mean of a residue's `BEST` pairs, less the logarithm of the summed odds of its partner's residues: interfaces
    have about the same size on small partners and on large ones, and what all residues of a partner share tells
    nothing (docs/accuracy.md).

    Returns
    -------
    ndarray, shape (n,) and (m,)
        Of the receptor's and of the ligand's residues.
    """
    return _share(log_odds), _share(log_odds.T)


def _share(rows: NDArray[np.float32]) -> NDArray[np.float64]:
    count = min(BEST, rows.shape[1])
    best = np.partition(rows.astype(np.float64), -count, axis=1)[:, -count:]
    # Sorted, because the sum is to be the same whatever the order of the other partner's residues.
    means = np.sort(best, axis=1).mean(axis=1)
    return np.asarray(means - np.logaddexp.reduce(means))
