"""Networks as modules: the stack, the pooling by attention, the two together, and what residue models are made of."""

from resblock.nn.attention import AttentionPooling
from resblock.nn.inverse_folding import Chains, InverseFolding
from resblock.nn.lstm import ResidualLSTM
from resblock.nn.model import ResAttnLSTM, ResAttnLSTMConfig
from resblock.nn.pair_head import PairHead
from resblock.nn.residue_encoder import BLOCKS, NEIGHBOUR_BLOCKS, ResidueEncoder

__all__ = [
    "BLOCKS",
    "NEIGHBOUR_BLOCKS",
    "AttentionPooling",
    "Chains",
    "InverseFolding",
    "PairHead",
    "ResAttnLSTM",
    "ResAttnLSTMConfig",
    "ResidualLSTM",
    "ResidueEncoder",
]
