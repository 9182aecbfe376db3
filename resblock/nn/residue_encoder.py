"""Encoder of residues: each becomes a vector, from its features, its neighbours in space and its chain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from torch import Tensor, nn

from resblock.nn.encoder_blocks import ChainLSTM, NeighbourAttention

#: Blocks that an encoder is made of: attention over neighbours in space, plain means over them, the chain.
BLOCKS: Final = ("attention", "mean", "lstm")
#: Those that look at neighbours in space.
NEIGHBOUR_BLOCKS: Final = ("attention", "mean")


class ResidueEncoder(nn.Module):
    """Encodes the residues of partners, each partner by itself.

    Parameters
    ----------
    input_size, edge_size : int
        Features of a residue, and numbers that describe a residue and one of its neighbours.
    size : int
        Features of an encoding.
    blocks : sequence of str
        Each one of `BLOCKS`, in turn; empty: every residue by itself.
    lstm_layers : int
        Layers of each direction of an lstm block.
    input_dropout, dropout : float
        Of the features, and inside the blocks.
    """

    def __init__(
        self,
        input_size: int,
        edge_size: int,
        *,
        size: int = 64,
        blocks: Sequence[str] = (),
        lstm_layers: int = 2,
        input_dropout: float = 0.1,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        self.input_dropout = nn.Dropout(input_dropout)
        self.embed = nn.Sequential(nn.Linear(input_size, size), nn.LayerNorm(size), nn.ReLU())
        self.blocks = nn.ModuleList(
            ChainLSTM(size, lstm_layers, dropout)
            if name == "lstm"
            else NeighbourAttention(size, edge_size, dropout, attention=name == "attention")
            for name in blocks
        )

    def forward(self, features: Tensor, neighbours: Tensor, edges: Tensor, lengths: Tensor) -> Tensor:
        """Encode R residues.

        Parameters
        ----------
        features : Tensor, shape (R, input_size)
        neighbours : Tensor of int64, shape (R, K)
            Rows of the residues near each residue; -1 where there is none.
        edges : Tensor, shape (R, K, edge_size)
        lengths : Tensor of int64, shape (B,)
            Residues of each of the B chains in turn; together R.

        Returns
        -------
        Tensor, shape (R, size)
        """
        residues: Tensor = self.embed(self.input_dropout(features))
        for block in self.blocks:
            inputs = (lengths,) if isinstance(block, ChainLSTM) else (neighbours, edges)
            residues = block(residues, *inputs)
        return residues
