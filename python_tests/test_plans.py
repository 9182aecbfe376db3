"""Which schedule a call gets, and what a plan says of it."""

from __future__ import annotations

import dataclasses

import pytest
import torch

import resblock.ops
from resblock.ops import Plan, plan

# T, B, I, H, L; the schedule in inference and in training, float32 on x86-64-v4.
CPU = [
    ((10_000, 1, 18, 8, 60), "wavefront", "layerwise"),
    ((2_000, 1, 18, 16, 60), "wavefront", "layerwise"),
    ((2_000, 1, 18, 32, 60), "wavefront", "layerwise"),
    ((2_000, 1, 18, 33, 60), "layerwise", "layerwise"),
    ((1, 1, 18, 8, 2), "layerwise", "layerwise"),
    ((0, 1, 18, 8, 2), "layerwise", "layerwise"),
    ((9, 0, 18, 8, 60), "layerwise", "layerwise"),
    ((1_000, 5, 18, 8, 60), "wavefront", "batched"),
    ((1_000, 6, 18, 8, 60), "wavefront", "batched"),
    ((1_000, 8, 18, 8, 60), "wavefront", "batched"),
    ((9, 5, 18, 8, 60), "wavefront", "batched"),
    ((9, 6, 18, 8, 60), "wavefront", "batched"),
    ((9, 128, 18, 8, 60), "batched", "batched"),
    ((9, 2_048, 18, 8, 60), "batched", "batched"),
    ((1, 6, 18, 8, 60), "batched", "layerwise"),
    ((2, 6, 18, 8, 60), "batched", "batched"),
    ((9, 6, 18, 12, 60), "layerwise", "layerwise"),
    ((9, 6, 18, 13, 60), "layerwise", "layerwise"),
    ((16, 6, 18, 13, 60), "layerwise", "layerwise"),
    ((15, 16, 18, 16, 20), "batched", "batched"),
    ((16, 16, 18, 16, 20), "batched", "batched"),
    ((16, 15, 18, 16, 20), "batched", "batched"),
    ((20, 17, 18, 16, 20), "wavefront", "layerwise"),
    ((20, 31, 18, 16, 20), "batched", "batched"),
    ((20, 64, 18, 16, 20), "batched", "batched"),
    ((20, 5, 18, 16, 20), "wavefront", "layerwise"),
    ((20, 7, 18, 17, 20), "batched", "batched"),
    ((20, 8, 18, 17, 20), "batched", "batched"),
    ((20, 32, 18, 17, 20), "batched", "batched"),
    ((20, 31, 18, 64, 4), "batched", "layerwise"),
    ((20, 64, 18, 64, 4), "batched", "layerwise"),
    ((20, 64, 18, 65, 4), "batched", "batched"),
    ((20, 4, 18, 64, 4), "layerwise", "layerwise"),
    ((20, 5, 18, 33, 4), "layerwise", "layerwise"),
    ((128, 64, 18, 256, 2), "layerwise", "layerwise"),
    ((1, 1, 18, 256, 2), "layerwise", "layerwise"),
    ((50, 64, 300, 768, 2), "layerwise", "layerwise"),
    ((9, 2_048, 18, 128, 4), "batched", "layerwise"),
    ((100, 4, 18, 8, 60), "wavefront", "batched"),
    ((100, 4, 300, 8, 1), "layerwise", "batched"),
]


@pytest.mark.parametrize(("sizes", "inference", "training"), CPU, ids=str)
def test_schedules_on_the_cpu(sizes: tuple[int, ...], inference: str, training: str) -> None:
    machine = {"instruction_set": "x86-64-v4", "threads": 2}
    assert plan(*sizes, **machine).forward.schedule == inference
    both = plan(*sizes, training=True, **machine)
    assert (both.forward.schedule, both.backward.schedule) == (training, training)
    steps, batch, _, units, layers = sizes
    assert both.forward.saved == both.backward.saved == 6 * layers * steps * batch * units * 4


@pytest.mark.parametrize(
    ("instruction_set", "dtype", "units"),
    [
        ("x86-64-v4", torch.float32, 32),
        ("x86-64-v4", torch.float64, 16),
        ("x86-64-v4", torch.bfloat16, 32),
        ("x86-64-v3", torch.float32, 16),
        ("x86-64-v3", torch.float64, 8),
        ("x86-64", torch.float32, 8),
    ],
)
def test_the_wavefront_takes_layers_as_narrow_as_the_vectors_allow(
    instruction_set: str, dtype: torch.dtype, units: int
) -> None:
    options = {"dtype": dtype, "instruction_set": instruction_set}
    assert plan(100, 1, 18, units, 4, **options).forward.schedule == "wavefront"
    assert plan(100, 1, 18, units + 1, 4, **options).forward.schedule == "layerwise"
    assert plan(100, 1, 18, units, 4, dropout=True, **options).forward.schedule == "layerwise"


# Sizes at which every GPU that the kernels are for gets the same; csrc/tests/test_cuda_plan.cpp has the limits of each.
CUDA = [
    ((9, 2_048, 18, 8, 60), torch.float32, "serial"),
    ((9, 1, 18, 8, 60), torch.float32, "serial"),
    ((0, 1, 18, 8, 2), torch.float32, "serial"),
    ((20, 9, 300, 8, 5), torch.bfloat16, "serial"),
    ((9, 4_096, 18, 16, 20), torch.float16, "serial"),
    ((1_000, 1, 18, 8, 60), torch.float32, "wavefront"),
    ((5_000, 1, 3, 8, 4), torch.float32, "wavefront"),
    ((1_000, 4, 18, 16, 20), torch.bfloat16, "wavefront"),
    ((1_000, 2, 18, 32, 20), torch.float32, "wavefront"),
    ((1_000, 1, 18, 8, 60), torch.float64, "general"),
    ((9, 20, 18, 33, 4), torch.float64, "wide"),
    ((9, 20, 18, 40, 4), torch.float32, "wide"),
    ((128, 64, 18, 256, 2), torch.bfloat16, "wide"),
]


@pytest.mark.skipif(not resblock.ops.has_cuda_kernels(), reason="resblock was built without its CUDA kernels")
@pytest.mark.parametrize(("sizes", "dtype", "schedule"), CUDA, ids=str)
def test_schedules_on_cuda(sizes: tuple[int, ...], dtype: torch.dtype, schedule: str) -> None:
    """No GPU is needed."""
    assert plan(*sizes, dtype=dtype, device="cuda").forward.schedule == schedule
    both = plan(*sizes, dtype=dtype, device="cuda", training=True)
    assert (both.forward.schedule, both.backward.schedule) == (schedule, schedule)
    assert both.forward.saved == both.backward.saved
    with pytest.raises(ValueError, match="schedule is 'batched', expected one of: general, serial, wavefront, wide"):
        plan(*sizes, dtype=dtype, device="cuda", schedule="batched")


def test_what_is_saved_does_not_hang_on_the_threads() -> None:
    """torch.set_num_threads may come between the forward and the backward pass."""
    for schedule in ("batched", "layerwise"):
        options = {"training": True, "schedule": schedule}
        one, many = (plan(1_000, 20, 18, 8, 60, threads=threads, **options) for threads in (1, 16))
        assert one.forward.schedule == many.forward.schedule == schedule
        assert one.forward.saved == many.forward.saved
        for shared in ("sequences", "steps", "groups") if schedule == "batched" else ("groups",):
            assert one.backward.partition[shared] == many.backward.partition[shared]


def test_partition_and_workspace() -> None:
    machine = {"instruction_set": "x86-64-v4", "threads": 2}
    found = plan(9, 2_048, 18, 8, 60, **machine).forward
    assert found.partition["sequences"] * found.partition["blocks"] == 2_048
    assert found.partition["workers"] == 2
    assert found.workspace > plan(9, 2_048, 18, 8, 60, instruction_set="x86-64-v4", threads=1).forward.workspace > 0


def test_a_plan_can_be_printed_and_does_not_change() -> None:
    found = plan(9, 64, 18, 8, 60)
    assert found.backward is None
    assert str(found.forward).startswith("batched (sequences ")
    assert "Plan(schedule='batched', partition={'sequences': " in repr(found)
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.forward.schedule = "layerwise"  # type: ignore[misc]
    assert found == plan(9, 64, 18, 8, 60)
    assert str(Plan("wide", {"blocks": 3}, 1_000, 0)) == "wide (blocks 3); workspace 1,000 bytes, saved 0 bytes"


def test_impossible_requests_are_named() -> None:
    with pytest.raises(ValueError, match="schedule is 'wide', expected one of: batched, layerwise, wavefront"):
        plan(9, 1, 18, 8, 60, schedule="wide")
    with pytest.raises(ValueError, match="schedule is 'wavefront', which takes no training"):
        plan(9, 1, 18, 8, 60, schedule="wavefront", training=True)
    with pytest.raises(ValueError, match="schedule is 'wavefront', which takes calls without dropout"):
        plan(9, 1, 18, 8, 60, schedule="wavefront", dropout=True)
    with pytest.raises(ValueError, match="device is 'tpu'"):
        plan(9, 1, 18, 8, 60, device="tpu")
    if not resblock.ops.has_cuda_kernels():
        with pytest.raises(ValueError, match="device is 'cuda'"):
            plan(9, 1, 18, 8, 60, device="cuda")
