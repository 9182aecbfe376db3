"""The network as modules: the stack, the pooling by attention, and the two together."""

from resblock.nn.attention import AttentionPooling
from resblock.nn.chain import ChainNetwork, ChainNetworkConfig
from resblock.nn.lstm import ResidualLSTM
from resblock.nn.model import ResAttnLSTM, ResAttnLSTMConfig

__all__ = ["AttentionPooling", "ChainNetwork", "ChainNetworkConfig", "ResAttnLSTM", "ResAttnLSTMConfig", "ResidualLSTM"]
