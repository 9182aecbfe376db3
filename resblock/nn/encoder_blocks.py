"""Blocks of residue encoders: what a residue takes in from its neighbours in space and from its chain."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from resblock.nn.lstm import ResidualLSTM


class NeighbourAttention(nn.Module):
    """Each residue takes in messages of its neighbours in space, weighted by learned attention.

        message_ij = relu(W h_i + U h_j + E e_ij),   weight_ij = softmax over j of v . message_ij
        h_i <- LayerNorm(h_i + relu(O [h_i, sum_j weight_ij message_ij]))

    Parameters
    ----------
    size, edge_size : int
        Features of a residue and of an edge.
    dropout : float
        Of the input of O.
    attention : bool
        Without it all neighbours weigh the same.
    """

    def __init__(self, size: int, edge_size: int, dropout: float, attention: bool) -> None:
        super().__init__()
        self.own = nn.Linear(size, size)
        self.other = nn.Linear(size, size, bias=False)
        self.edge = nn.Linear(edge_size, size, bias=False)
        self.score = nn.Linear(size, 1, bias=False) if attention else None
        self.dropout = nn.Dropout(dropout)
        self.update = nn.Linear(2 * size, size)
        self.norm = nn.LayerNorm(size)

    def forward(self, residues: Tensor, neighbours: Tensor, edges: Tensor) -> Tensor:
        """Shapes (R, size), (R, K) with -1 where there is none, (R, K, edge_size); gives (R, size)."""
        there = (neighbours >= 0).unsqueeze(-1)
        messages = self.own(residues).unsqueeze(1) + self.other(residues)[neighbours.clamp(min=0)] + self.edge(edges)
        messages = torch.relu(messages)
        if self.score is None:
            weights = there / there.sum(1, keepdim=True).clamp(min=1)
        else:
            # Without any neighbour the weights are equal, and the messages zero.
            score = self.score(messages).masked_fill(~there, torch.finfo(messages.dtype).min)
            weights = torch.softmax(score, 1) * there
        taken = (weights * messages).sum(1)
        update = self.update(self.dropout(torch.cat([residues, taken], 1)))
        updated: Tensor = self.norm(residues + torch.relu(update))
        return updated


class ChainLSTM(nn.Module):
    """Each residue takes in its chain, read in both directions by `ResidualLSTM`.

        h <- LayerNorm(h + dropout(Linear(lstm(h))))

    Parameters
    ----------
    size, num_layers : int
        Features of a residue, and layers of each of the two stacks of half as many units.
    dropout : float
    """

    def __init__(self, size: int, num_layers: int, dropout: float) -> None:
        super().__init__()
        between = dropout if num_layers > 1 else 0.0
        self.lstm = ResidualLSTM(size, size // 2, num_layers, dropout=between, bidirectional=True, stacked=True)
        self.dropout = nn.Dropout(dropout)
        self.update = nn.Linear(size, size)
        self.norm = nn.LayerNorm(size)

    def forward(self, residues: Tensor, lengths: Tensor) -> Tensor:
        """Shapes (R, size) and (B,), residues of each of the B chains in turn; gives (R, size)."""
        sequences = torch.split(residues, lengths.tolist())
        padded = nn.utils.rnn.pad_sequence(list(sequences))
        output, _ = self.lstm(padded, lengths=lengths)
        steps = torch.arange(len(padded), device=residues.device)
        flat = output.transpose(0, 1)[steps < lengths.to(residues.device).unsqueeze(1)]
        updated: Tensor = self.norm(residues + self.dropout(self.update(flat)))
        return updated
