"""The second reading: the residues of a partner are encoded once, and pairs are scored from two encodings."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Final

from torch import Tensor, nn

from resblock.errors import InputError
from resblock.nn.config import config_from
from resblock.nn.encoder import ChainLSTM, NeighbourAttention, PartnerAttention
from resblock.nn.pair_head import PairHead

#: Blocks that an encoder is made of: attention over neighbours in space, plain means over them, the chain, attention to
#: the other partner.
BLOCKS: Final = ("attention", "mean", "lstm", "partner")


@dataclasses.dataclass(frozen=True)
class ChainNetworkConfig:
    """What a `ChainNetwork` is built from."""

    input_size: int = 9
    """Features of a residue."""
    edge_size: int = 14
    """Numbers that describe a residue and one of its neighbours."""
    size: int = 64
    """Features of an encoding."""
    encoder: str = ""
    """Blocks in turn, each attention, mean, lstm or partner; empty: every residue by itself."""
    lstm_layers: int = 2
    """Layers of each direction of an lstm block."""
    pair_size: int = 64
    """Features of a pair in the head."""
    input_dropout: float = 0.1
    """Of the features."""
    dropout: float = 0.2
    """Inside the blocks and before the head."""

    def blocks(self) -> tuple[str, ...]:
        """Blocks of the encoder.

        Raises
        ------
        InputError
            If one is unknown.
        """
        names = tuple(self.encoder.split())
        for name in names:
            if name not in BLOCKS:
                raise InputError(f"encoder block {name!r} is unknown; the blocks are {', '.join(BLOCKS)}")
        return names


class ChainNetwork(nn.Module):
    """Residue encoder and symmetric pair head: n + m residues are encoded for n x m pairs.

    Parameters
    ----------
    config : ChainNetworkConfig
    """

    def __init__(self, config: ChainNetworkConfig) -> None:
        super().__init__()
        self.config = config
        size = config.size
        self.input_dropout = nn.Dropout(config.input_dropout)
        self.embed = nn.Sequential(nn.Linear(config.input_size, size), nn.LayerNorm(size), nn.ReLU())
        self.blocks = nn.ModuleList(self._block(name) for name in config.blocks())
        self.head = PairHead(size, config.pair_size, config.dropout)

    def _block(self, name: str) -> nn.Module:
        config = self.config
        if name == "lstm":
            return ChainLSTM(config.size, config.lstm_layers, config.dropout)
        if name == "partner":
            return PartnerAttention(config.size, config.dropout)
        return NeighbourAttention(config.size, config.edge_size, config.dropout, attention=name == "attention")

    @classmethod
    def from_config(cls, values: Mapping[str, Any]) -> ChainNetwork:
        """Build from the fields of a `ChainNetworkConfig`.

        Raises
        ------
        InputError
            If a field is unknown.
        """
        return cls(config_from(ChainNetworkConfig, values))

    def encode(self, features: Tensor, neighbours: Tensor, edges: Tensor, lengths: Tensor, partners: Tensor) -> Tensor:
        """Encode R residues of D dimers.

        Parameters
        ----------
        features : Tensor, shape (R, input_size)
        neighbours : Tensor of int64, shape (R, K)
            Rows of the residues near each residue; -1 where there is none.
        edges : Tensor, shape (R, K, edge_size)
        lengths : Tensor of int64, shape (B,)
            Residues of each of the B chains in turn; together R.
        partners : Tensor of int64, shape (2D,)
            Residues of the receptor and of the ligand of each dimer in turn; together R.

        Returns
        -------
        Tensor, shape (R, size)
        """
        residues: Tensor = self.embed(self.input_dropout(features))
        for block in self.blocks:
            if isinstance(block, ChainLSTM):
                residues = block(residues, lengths)
            elif isinstance(block, PartnerAttention):
                residues = block(residues, partners)
            else:
                residues = block(residues, neighbours, edges)
        return residues

    def forward(
        self, features: Tensor, neighbours: Tensor, edges: Tensor, lengths: Tensor, partners: Tensor, pairs: Tensor
    ) -> Tensor:
        """Encode as `encode` does and score (2, P) pairs of rows: logits (P,)."""
        residues = self.encode(features, neighbours, edges, lengths, partners)
        logits: Tensor = self.head(residues, residues, (pairs[0], pairs[1]))
        return logits
