"""Every tolerance of the numerical tests, with its reason.

Errors are the largest absolute difference over the largest absolute value of the expected tensor, which is what
rounding does to sums of terms of both signs.
"""

import torch
from torch import Tensor

# One rounding of double is 1e-16; a stack of 60 layers gathers a few of them, gradients some tens.
DOUBLE = 1e-13
DOUBLE_GRADIENT = 1e-12

# Ours may err at most this many times as much as the same network in plain torch float32, both against float64.
TIMES_TORCH_FLOAT32 = 2.0

# Below a few units in the last place the ratio of two errors is luck: such errors pass whatever plain torch's are.
# (Gradients of 60 layers: 4.6 units where the lowest instruction set rounds every product before it is added, 6.2 where
# the batched schedule sums over the lanes at the end; over 20 networks its largest error is 1.5 times plain torch's.)
FLOAT32_FLOOR = 7 * 2.0**-23

# Storage rounds inputs, weights and outputs once each (2^-9 and 2^-12 relative); the arithmetic is float32.
HALF = {torch.bfloat16: 4 * 2.0**-8, torch.float16: 4 * 2.0**-11}

# What meets weights is rounded to bfloat16, and in the backward pass dz and what meets it, each by up to 2^-9 of
# itself; sums over hundreds of units let most of that cancel, a recurrence of a dozen steps adds some of it up.
BFLOAT16_PRODUCTS = 4 * 2.0**-8

# onnxruntime's float32 LSTM uses its own approximations of tanh and the sigmoid.
ONNXRUNTIME = 1e-5

# torch.nn.LSTM against ours, both float32, T up to 40.
TORCH_LSTM_FLOAT32 = 2e-6

# Stored as float32 (6e-8 of the value); another BLAS sums in another order, and a spread across a plane is the root of
# a difference near zero, which turns 1e-12 into 1e-6.
GOLDEN_FEATURE = 2e-6
# PROPKA counts atoms with cutoffs: another libm may take one for another.
GOLDEN_PKA = 0.02
# Log-odds of the included weights: instruction sets and numbers of threads differ by 1.2e-6 over the 60 layers of the
# paper's network.
GOLDEN_LOG_ODDS = 5e-6

# The slow definitions sum areas of 200 square Angstrom in another order, from coordinates in another frame ...
DEFINITION = 1e-7
# ... and the spread across a plane is a root, as above.
DEFINITION_SPREAD = 1e-5


def error(actual: Tensor, expected: Tensor) -> float:
    """Largest absolute difference over the largest absolute value; NaN counts as infinite."""
    if expected.numel() == 0:
        return 0.0
    actual, expected = actual.detach().double(), expected.detach().double()
    difference = (actual - expected).abs().max()
    scale = expected.abs().max().clamp_min(1e-30)
    return float(torch.nan_to_num(difference / scale, nan=torch.inf))
