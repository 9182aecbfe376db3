"""Wide layers of bfloat16, whose products multiply such numbers where the processor has instructions for it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import tolerances
import torch
from networks import Case, gradients
from tolerances import error

import resblock.ops
from resblock.ops import plan

CASES = [
    Case(12, 5, 40, 256, 2, with_lengths=True),
    Case(6, 33, 30, 512, 1),
    Case(7, 3, 5, 257, 4, "previous", with_lengths=True),
    Case(5, 70, 33, 130, 3, dropout_p=0.3),
    Case(9, 18, 20, 260, 4, residual=False),
]


@pytest.mark.parametrize("chunks", [0, 2])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_results_and_gradients_are_those_of_float32_to_rounding(case: Case, chunks: int) -> None:
    tensors = case.tensors(torch.bfloat16)
    wide = [t.detach().float().requires_grad_() for t in tensors]
    actual, expected = case.run(tensors, chunks), case.run(wide)
    for a, e in zip(actual, expected, strict=True):
        assert a.dtype == torch.bfloat16
        assert error(a, e) < tolerances.BFLOAT16_PRODUCTS
    for a, e in zip(gradients(actual, tensors), gradients(expected, wide), strict=True):
        assert error(a, e) < tolerances.BFLOAT16_PRODUCTS
    with torch.no_grad():
        assert error(case.run(tensors)[0], expected[0]) < tolerances.BFLOAT16_PRODUCTS


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_number_of_threads_changes_no_bit(case: Case) -> None:
    before = torch.get_num_threads()
    results = []
    for threads in (1, 3):
        torch.set_num_threads(threads)
        tensors = case.tensors(torch.bfloat16)
        outputs = case.run(tensors)
        results.append((*outputs, *gradients(outputs, tensors)))
    torch.set_num_threads(before)
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


@pytest.mark.parametrize(
    ("instruction_set", "dtype", "sizes", "products"),
    [
        ("x86-64-v4-bf16-amx", torch.bfloat16, (32, 64, 64, 512, 1), "amx_bf16"),
        ("x86-64-v4-bf16", torch.bfloat16, (32, 64, 64, 512, 1), "avx512_bf16"),
        ("x86-64-v4", torch.bfloat16, (32, 64, 64, 512, 1), "full"),
        ("x86-64-v4-bf16-amx", torch.float16, (32, 64, 64, 512, 1), "full"),
        ("x86-64-v4-bf16-amx", torch.float32, (32, 64, 64, 512, 1), "full"),
        ("x86-64-v4-bf16-amx", torch.bfloat16, (32, 64, 64, 128, 1), "amx_bf16"),
        ("x86-64-v4-bf16-amx", torch.bfloat16, (32, 64, 64, 127, 1), "full"),
        ("x86-64-v4-bf16-amx", torch.bfloat16, (16, 1, 64, 512, 1), "amx_bf16"),
        ("x86-64-v4-bf16-amx", torch.bfloat16, (15, 1, 64, 512, 1), "full"),
    ],
)
def test_which_products_a_call_gets(
    instruction_set: str, dtype: torch.dtype, sizes: tuple[int, ...], products: str
) -> None:
    both = plan(*sizes, dtype=dtype, training=True, instruction_set=instruction_set)
    assert both.backward is not None
    assert both.forward.schedule == "layerwise"
    assert (both.forward.partition["products"], both.backward.partition["products"]) == (products, products)


def test_float32_rounds_nothing() -> None:
    """The same bits with and without the instructions."""
    script = (
        "import torch; from networks import Case; c = Case(5, 9, 20, 256, 2);"
        "print(*[hash(t.detach().numpy().tobytes()) for t in c.run(c.tensors(torch.float32))])"
    )
    printed = [
        subprocess.run(
            [sys.executable, "-c", script],
            cwd=Path(__file__).parent,
            env={**os.environ, "RESBLOCK_ISA": isa, "PYTHONHASHSEED": "0"},
            capture_output=True,
            check=True,
        ).stdout
        for isa in ("x86-64-v4", resblock.ops.instruction_set())
        if resblock.ops.instruction_set().startswith("x86-64-v4")
    ]
    assert len(set(printed)) <= 1
