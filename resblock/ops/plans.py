"""How a call of the operator will be run: which schedule it gets, how its work is shared out, what memory it takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from resblock.ops import library


@dataclass(frozen=True)
class Plan:
    """One pass of a call."""

    schedule: str
    """Its name, one of `schedules(device)`."""
    partition: Mapping[str, int | str]
    """How the schedule shares out its work; the fields are those of `Partition` in csrc/core."""
    workspace: int
    """Bytes that the pass takes while it runs."""
    saved: int
    """Bytes of saved activations, which a training call holds from its forward to its backward pass; else 0."""

    def __str__(self) -> str:
        """Give it as one line."""
        words = ", ".join(f"{name} {value}" for name, value in self.partition.items())
        return f"{self.schedule} ({words}); workspace {self.workspace:,} bytes, saved {self.saved:,} bytes"


@dataclass(frozen=True)
class CallPlan:
    """Both passes of a training call, or the one of inference."""

    forward: Plan
    backward: Plan | None


def plan(
    steps: int,
    batch: int,
    inputs: int,
    units: int,
    layers: int,
    *,
    dtype: torch.dtype = torch.float32,
    training: bool = False,
    dropout: bool = False,
    schedule: str | None = None,
    device: str = "cpu",
    instruction_set: str | None = None,
    threads: int | None = None,
) -> CallPlan:
    """Tell how `residual_lstm` runs a call of these sizes. Nothing is run or allocated, and no GPU is needed.

    Parameters
    ----------
    steps, batch, inputs, units, layers : int
        T, B, I, H and L of the call.
    dtype : torch.dtype
        Of its tensors.
    training : bool
        Whether a backward pass follows.
    dropout : bool
        Whether there is dropout between layers.
    schedule : str, optional
        As in `residual_lstm`.
    device : {"cpu", "cuda"}
        For "cuda" the current GPU, or an H200 where there is none.
    instruction_set, threads : str and int, optional
        Of the CPU; by default those that a call now would use.

    Returns
    -------
    CallPlan

    Raises
    ------
    ValueError
        If the device is neither word, or its kernels are not compiled in; if the schedule is not one of the device's,
        or does not take the call.
    """
    if not library.schedules(device):
        raise ValueError(f"device is {device!r}, expected 'cpu', or 'cuda' where the CUDA kernels are compiled in")
    call = (dtype, steps, batch, inputs, units, layers, dropout, training, schedule)
    if device == "cuda":
        text = torch.ops.resblock.cuda_plan(*call)
    else:
        machine = (instruction_set or library.instruction_set(), threads or torch.get_num_threads())
        text = torch.ops.resblock.cpu_plan(*call, *machine)
    passes = [_parse(line) for line in text.splitlines()]
    return CallPlan(passes[0], passes[1] if training else None)


def _parse(line: str) -> Plan:
    """Read a line of words `name=value`."""
    words = dict(word.split("=") for word in line.split())
    schedule, workspace, saved = words.pop("schedule"), int(words.pop("workspace")), int(words.pop("saved"))
    partition = {name: int(value) if value.isdecimal() else value for name, value in words.items()}
    return Plan(schedule, partition, workspace, saved)
