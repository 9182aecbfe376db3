"""The operators: the compiled module, and what PyTorch has to know about it.

`residual_lstm` is the one entry point; `resblock.nn` wraps it in modules. `plan` tells how a call will be run.
"""

from resblock.ops.composite import has_shortcut, valid_steps
from resblock.ops.library import empty_block_cache, has_cuda_kernels, instruction_set, schedules
from resblock.ops.plans import CallPlan, Plan, plan
from resblock.ops.residual_lstm import OUTPUT_PEEPHOLES, residual_lstm

__all__ = [
    "OUTPUT_PEEPHOLES",
    "CallPlan",
    "Plan",
    "empty_block_cache",
    "has_cuda_kernels",
    "has_shortcut",
    "instruction_set",
    "plan",
    "residual_lstm",
    "schedules",
    "valid_steps",
]
