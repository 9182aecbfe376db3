"""Memory of one call, measured in a process of its own: `python bench/memory.py forward|training [CHUNKS]`.

Prints JSON: the bytes by which the process's resident memory rose at its highest during the call, the output's bytes
taken off, and for a training step the values per cell that autograd saves.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from peers import input_of
from workloads import INPUTS, MEMORY_SIZE, Size

from resblock import ResidualLSTM


def _status_bytes(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name + ":")) * 1024


def _step(lstm: ResidualLSTM, x: torch.Tensor, training: bool) -> torch.Tensor:
    with torch.set_grad_enabled(training):
        output, _ = lstm(x)
        if training:
            output.sum().backward()
    return output


def peak_bytes(lstm: ResidualLSTM, x: torch.Tensor, training: bool) -> int:
    """Give the rise of resident memory during a call, without its output."""
    _step(lstm, x[:100], training)  # what is loaded on first use
    lstm.zero_grad()
    before = _status_bytes("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the highest so far is now what it is
    output = _step(lstm, x, training)
    return _status_bytes("VmHWM") - before - output.nbytes


def saved_values_per_cell(lstm: ResidualLSTM, size: Size) -> float:
    """Count what autograd saves for the backward pass, besides inputs and parameters."""
    x = input_of(size)
    given = {t.untyped_storage().data_ptr() for t in (x, *lstm.parameters())}
    saved: dict[int, int] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in given:
            saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        output, _ = lstm(x)
    values = sum(saved.values()) / output.element_size()
    return values / size.cells


def main(kind: str, chunks: str = "") -> None:
    """Measure and print."""
    torch.set_num_threads(1)
    options = {"checkpoint_chunks": int(chunks)} if chunks else {}
    lstm = ResidualLSTM(INPUTS, MEMORY_SIZE.units, MEMORY_SIZE.layers, **options)
    result: dict[str, float] = {"bytes": peak_bytes(lstm, input_of(MEMORY_SIZE), kind == "training")}
    if kind == "training":
        result["saved_per_cell"] = saved_values_per_cell(lstm, Size(MEMORY_SIZE.layers, MEMORY_SIZE.units, 16, 100))
    print(json.dumps(result))


if __name__ == "__main__":
    main(*sys.argv[1:])
