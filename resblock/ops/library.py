"""The compiled module: loads it, and says what it holds."""

from __future__ import annotations

from importlib import import_module

import torch

try:
    import_module("resblock._C")  # registers torch.ops.resblock
except ImportError as error:
    raise ImportError(
        "resblock: the compiled kernels (resblock._C) could not be loaded. Likely causes: the package "
        "was not built (run `pip install -c constraints.txt .` in its directory and start Python "
        "elsewhere); torch is older than 2.11; torch was exchanged for a build with another C++ ABI "
        f"or another platform. The loader said: {error}"
    ) from error

# What is registered with it lasts as long as it does.
LIBRARY = torch.library.Library("resblock", "FRAGMENT")  # type: ignore[no-untyped-call]

# Asked once: inside a compiled graph these operators could not be called.
_SCHEDULES = {
    "cpu": tuple(torch.ops.resblock.cpu_schedules().split()),
    "cuda": tuple(torch.ops.resblock.cuda_schedules().split()),
}


def instruction_set() -> str:
    """Name the CPU instruction set the kernels use: x86-64, x86-64-v3, x86-64-v4 or portable.

    Those of x86-64-v4 with products of bfloat16 numbers are x86-64-v4-bf16 and x86-64-v4-bf16-amx.
    """
    return str(torch.ops.resblock.instruction_set())


def empty_block_cache() -> int:
    """Give the memory that waits for the next call on a CPU back to the operating system; tell how many bytes.

    Results and saved activations of 4 MiB and more wait so when their tensors end: fresh pages would cost up to a third
    of a call's time. What waits and what is in use together never take more than a quarter above what the last dozens
    of calls had in use at once.
    """
    return int(torch.ops.resblock.empty_block_cache())


def schedules(device: str) -> tuple[str, ...]:
    """Name the schedules that the kernels of a kind of device choose from; none where this build has no kernels."""
    return _SCHEDULES.get(device, ())


def has_cuda_kernels() -> bool:
    """Tell whether the compiled module holds the CUDA kernels."""
    return bool(schedules("cuda"))
