"""Where scores are computed."""

from __future__ import annotations

from typing import Final

import torch

from resblock.errors import InputError
from resblock.ops import has_cuda_kernels

#: What `choose_device` understands.
DEVICES: Final = ("auto", "cpu", "cuda")


def choose_device(name: str) -> torch.device:
    """Turn auto, cpu or cuda into a device; auto is cuda where the kernels and a GPU are there.

    Raises
    ------
    InputError
        If the name is another, or cuda cannot be used.
    """
    if name not in DEVICES:
        raise InputError(f"device {name!r} is unknown; choose {', '.join(DEVICES)}")
    usable = torch.cuda.is_available() and has_cuda_kernels()
    if name == "cuda" and not usable:
        lacking = "resblock was built without its CUDA kernels" if torch.cuda.is_available() else "torch finds no GPU"
        raise InputError(f"device cuda: {lacking}; use --device cpu, or see `resblock doctor`")
    return torch.device("cuda" if usable and name != "cpu" else "cpu")
