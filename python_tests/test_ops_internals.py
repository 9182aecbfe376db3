"""A torch that lacks what the operators use of its internals: everything is right, or refused."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import tolerances
import torch

from resblock.ops import internals

PROGRAM = """
import json, sys, warnings
warnings.simplefilter("ignore")
import torch, torch._functorch.utils
if sys.argv[1]:
    owner, _, name = sys.argv[1].rpartition(".")
    delattr(sys.modules[owner], name)
from resblock import ResidualLSTM
from resblock.ops import internals

torch.manual_seed(0)
layer = ResidualLSTM(3, 4, 4).double()
x = torch.randn(5, 2, 3, dtype=torch.float64, requires_grad=True)
loss = lambda x: layer(x)[0].square().sum()
given, tripled = x.detach(), x.detach()[None].repeat(3, 1, 1, 1)

def penalty():
    (gradient,) = torch.autograd.grad(loss(x), x, create_graph=True)
    return torch.autograd.grad(gradient.square().sum(), x)[0]

with torch.no_grad():
    numbers = {"output": layer(x)[0]}
numbers |= {
    "gradient": torch.autograd.grad(loss(x), x)[0],
    "gradient of weights": torch.autograd.grad(loss(x), layer.weight_hh_l1)[0],
    "lengths": torch.autograd.grad(layer(x, lengths=[5, 2])[0].square().sum(), x)[0],
    "cells": layer(x, return_cells=True)[2],
    "penalty": penalty(),
    "jvp": torch.func.jvp(loss, (given,), (torch.ones_like(given),))[1],
    "grad": torch.func.grad(loss)(given),
    "vmap": torch.func.vmap(loss)(tripled),
    "per sample": torch.func.vmap(torch.func.grad(loss))(tripled),
    "hessian": torch.func.hessian(loss)(given),
    "compiled": torch.compile(layer, fullgraph=True, backend="aot_eager")(x)[0],
}
print(json.dumps([internals.MISSING, {name: number.tolist() for name, number in numbers.items()}]))
"""


def run(missing: str) -> tuple[list[str], dict[str, list]]:
    command = [sys.executable, "-c", PROGRAM, missing]
    done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found, numbers = json.loads(done.stdout)
    return found, numbers


@pytest.fixture(scope="module")
def with_all() -> dict[str, list]:
    missing, numbers = run("")
    assert missing == internals.MISSING == []
    return numbers


@pytest.mark.parametrize(
    "name",
    [
        "torch._functorch.utils.enable_single_level_autograd_function",
        "torch._C._has_storage",
    ],
)
def test_without_one_of_them_the_numbers_are_the_same(name: str, with_all: dict[str, list]) -> None:
    missing, numbers = run(name)
    assert missing == [name]
    for kind, expected in with_all.items():
        error = (torch.tensor(numbers[kind]) - torch.tensor(expected)).abs().max()
        assert error < tolerances.FLOAT32_FLOOR, kind  # as printed numbers are read again
