"""From the encodings of two residues to one logit, the same in either order."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class PairHead(nn.Module):
    """A symmetric head over two encodings.

        logit(i, j) = g(A h_i + B h_j) + g(A h_j + B h_i) + s . h_i + s . h_j + bias
        g(x) = v . relu(V relu(x))

    Parameters
    ----------
    size : int
        Of an encoding.
    pair_size : int
        Rows of A and B; V has half as many.
    dropout : float
        Of the encodings before A and B.
    """

    def __init__(self, size: int, pair_size: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.first = nn.Linear(size, pair_size)
        self.second = nn.Linear(size, pair_size)
        self.hidden = nn.Linear(pair_size, pair_size // 2)
        self.last = nn.Linear(pair_size // 2, 1)
        self.site = nn.Linear(size, 1)

    def forward(self, receptor: Tensor, ligand: Tensor, pairs: tuple[Tensor, Tensor]) -> Tensor:
        """Logits (P,) of pairs, (P,) rows of `receptor` (n, size) and (P,) rows of `ligand` (m, size)."""
        rows, columns = pairs
        site = self.site(receptor)[rows, 0] + self.site(ligand)[columns, 0]
        receptor, ligand = self.dropout(receptor), self.dropout(ligand)
        one = self.first(receptor)[rows] + self.second(ligand)[columns]
        other = self.second(receptor)[rows] + self.first(ligand)[columns]
        both: Tensor = self.last(torch.relu(self.hidden(torch.relu(torch.stack([one, other]))))).squeeze(-1)
        logits: Tensor = both.sum(0) + site
        return logits
