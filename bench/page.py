"""docs/speed.md, and tables between the markers of other files."""

from __future__ import annotations

from pathlib import Path

import comparisons
import tables
from record import Record

PAGE = """# Speed on a CPU

Written by `python bench/run.py` ([bench/README.md](../bench/README.md) says how each number is measured); not to be
edited. {machine}

A cell is one layer at one time step of one sequence. L layers of H units run over T steps of B sequences. All
runs have 18 inputs, float32, peepholes and residual connections, `output_peephole="current"`, and include the Python
call. torch.nn.LSTM has neither peepholes nor residual connections: it does less. onnxruntime has peepholes. Both run on
the number of threads they are fastest with, which is one at batch 1.

## Workloads

{workloads}

The ratio is the other's time over ours: how many times as fast ours is. The limit is the time of the multiply-adds at
the processor's measured peak plus that of the cell's equations, see below; behind it, how many times that ours takes.

JAX's network is written with `lax.scan` over the steps and compiled as a whole.

**In turn with other work**, as in a training loop: an optimizer's step and another network's forward and backward come
between two calls and are not timed.

{amid}

**Where all keep their pages**: part of the lead in training is glibc giving pages back to the system and getting them
anew. Here its thresholds are raised for all (`MALLOC_TRIM_THRESHOLD_`, `MALLOC_MMAP_THRESHOLD_`).

{pages}

## One step at a time

One step of one sequence, its state carried from call to call, on one thread.

{streaming}

## Sequences of unequal lengths

Lengths are drawn, so that the batch is filled to the given part. Ours gets the padded batch with `lengths=`, or the
PackedSequence that torch.nn.LSTM gets, too.

{ragged}

## Exported programs

`torch.export.export(lstm.eval(), (x,)).module()` without gradients.

{exported}

## Distance from the limit

{limits}

{schedules}

What is above the limit is lost to loads and stores, to chains of dependent operations, to lanes that idle, and to what
a call does besides: packing weights and laying inputs out anew.

## Every other size

A grid over L, H, B and T, as far as torch.nn.LSTM takes under two seconds.

{grid}

## Half types

Stored in 16 bits, computed in float32; products of wide layers in bfloat16 where the processor has them.

{halves}

## Losses on gradients

Forward, backward to the input, and the gradient of that gradient's square: a gradient penalty.

{penalty}

## Sequences that begin anew, and cells of every step

`resets=`, at each step of each sequence with the probability that is given, beside ours without, a loop over the steps
of torch.nn.LSTM, calls of it from reset to reset of any sequence, and one call of it on a PackedSequence of the parts
between resets.

{resets}

`return_cells=True`, beside ours without and the loop over steps.

{cells}

## What a call costs

L 2, H 8, B 1, T 1.

{overhead}

## Memory

The rise of the process's resident memory at its highest during the call, in a process of its own.

{memory}

## How cost grows

{growth}
"""

PLOTS = """![Forward pass: time against T, L, H and B](speed_forward.svg)

![Training step: time against T, L, H and B](speed_training.svg)"""


def page(record: Record) -> str:
    """Fill in the page."""
    return PAGE.format(
        machine=machine(record),
        workloads=tables.workload_table(record),
        amid=tables.workload_table(record, "amid"),
        pages=tables.workload_table(record, "pages"),
        streaming=comparisons.streaming_table(record),
        ragged=comparisons.ragged_table(record),
        exported=comparisons.export_table(record),
        limits=_limits(record),
        schedules=tables.schedule_table(record),
        grid=tables.grid_table(record),
        halves=comparisons.half_table(record),
        penalty=comparisons.penalty_table(record),
        resets=comparisons.reset_table(record),
        cells=comparisons.cell_table(record),
        overhead=comparisons.overhead_table(record),
        memory=comparisons.memory_table(record),
        growth=PLOTS if record.of_suite("growth") else "Not measured.",
    )


def machine(record: Record) -> str:
    """Say what was measured on."""
    names = {
        f"{m['processor']}, {m['cores']} core{'s' * (m['cores'] > 1)}, {m['instruction_set']}, torch {m['torch']}, "
        f"onnxruntime {m['onnxruntime']}" + (f", jax {m['jax']}" if m.get("jax") else "")
        for m in record.machines
    }
    text = "Measured on: " + "; ".join(sorted(names)) + "."
    if len(record.builds) > 1:
        text += " Not all with the same kernels: " + "; ".join(", ".join(parts) for parts in record.builds.values())
    return text


def _limits(record: Record) -> str:
    if not record.machines:
        return ""
    found = [machine["limits"] for machine in record.machines]
    peak = max(limits["fma_gflops"] for limits in found)
    forward, backward = (min(limits[name] for limits in found) for name in ("cell_forward_ns", "cell_backward_ns"))
    return (
        f"One core makes {peak:.0f} GFLOP/s of float32 multiply-adds from registers. The equations of one unit add "
        f"{forward:.2f} ns to them in the forward pass and {backward:.2f} ns in the backward pass, as `core/cell.h` "
        "writes them, with operands at hand and nothing to wait for. Each part of the record is compared with the "
        "peak of its own run. The backward pass has twice the multiply-adds of the forward pass."
    )


def with_table(text: str, name: str, table: str) -> str | None:
    """Put the table between the markers of this name; None where there are none."""
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    if begin not in text or end not in text:
        return None
    head, rest = text.split(begin, 1)
    return f"{head}{begin}\n{table}\n{end}{rest.split(end, 1)[1]}"


def write_table(path: Path, name: str, table: str) -> bool:
    """Write the table into a file; False where it has no markers for it."""
    text = with_table(path.read_text(), name, table)
    if text is not None:
        path.write_text(text)
    return text is not None
