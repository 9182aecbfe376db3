"""Deep peephole LSTMs with residual blocks, and the residue pairs of two proteins that touch.

`import resblock` needs torch and numpy only. The protein side (`resblock.structure`, `resblock.pairs`,
`resblock.prediction`) is imported where it is used.
"""

from resblock.nn import AttentionPooling, ResAttnLSTM, ResAttnLSTMConfig, ResidualLSTM
from resblock.ops import residual_lstm

__version__ = "0.1.0"

__all__ = ["AttentionPooling", "ResAttnLSTM", "ResAttnLSTMConfig", "ResidualLSTM", "residual_lstm"]
