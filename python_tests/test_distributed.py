"""DistributedDataParallel over two gloo processes gives the gradients, and the training runs, of one process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from made_complexes import save_complexes
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from resblock import ResAttnLSTM
from resblock.models import load_ensemble
from resblock.training.config import resolve_config
from resblock.training.run import train


def network() -> ResAttnLSTM:
    torch.manual_seed(0)
    return ResAttnLSTM(input_size=5, num_layers=6, input_dropout=0.0, dropout=0.0)


def batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(9, 8, 5, generator=generator), torch.randint(2, (8,), generator=generator)


def gradients_of_half(rank: int) -> list[Tensor]:
    model = DistributedDataParallel(network())
    x, target = batch()
    half = slice(4 * rank, 4 * rank + 4)
    nn.functional.cross_entropy(model(x[:, half]), target[half]).backward()
    return [p.grad for p in model.parameters()]


def one_process(rank: int, rendezvous: str, result: str) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{rendezvous}", rank=rank, world_size=2)
    gradients = gradients_of_half(rank)
    if rank == 0:
        torch.save(gradients, result)
    # The model is gone and nobody communicates any more: gloo's threads can end before the process does.
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


def test_two_processes_give_the_gradients_of_one(tmp_path: Path) -> None:
    result = tmp_path / "gradients.pt"
    torch.multiprocessing.spawn(one_process, (str(tmp_path / "rendezvous"), str(result)), nprocs=2)
    model = network()
    x, target = batch()
    nn.functional.cross_entropy(model(x), target).backward()
    for together, parameter in zip(torch.load(result), model.parameters(), strict=True):
        torch.testing.assert_close(together, parameter.grad)


# Batches that the pairs of four dimers fill, and no dropout, whose masks each process draws for itself.
PRESETS = {
    "windows": (
        ("model.negatives_per_positive=3", "model.hidden_size=4", "model.input_dropout=0", "model.dropout=0"),
        48,
    ),
    "chain": (
        (
            "model.negatives_per_complex=30",
            "model.size=8",
            "model.pair_size=8",
            "model.input_dropout=0",
            "model.dropout=0",
        ),
        2,
    ),
}


@pytest.mark.parametrize("preset", PRESETS)
def test_two_processes_train_as_one_with_twice_the_batch(preset: str, tmp_path: Path) -> None:
    data = save_complexes(tmp_path / "data", 6)
    split = tmp_path / "split"
    split.write_text("D0 train\nD1 train\nD2 train\nD3 train\nD4 validation\nD5 validation\n")
    settings, batch_size = PRESETS[preset]
    settings += (f"optimisation.batch_size={batch_size}", "optimisation.epochs=3", "data.validation_pairs=40")
    # The size of a batch is that of all processes together: half of it is each one's.
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "resblock"]
        + ["train", data, "--out", tmp_path / "two", "--split", split, "--preset", preset]
        + [word for setting in settings for word in ("--set", setting)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        cwd=tmp_path,  # not the source tree, which would hide the installed package
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("median AUROC") == 1

    def trained(name: str, *others: str) -> dict[str, Tensor]:
        outcome = train(data, tmp_path / name, resolve_config(preset, None, settings + others), split)
        return load_ensemble(outcome.weights).models[0].state_dict()

    together, alone = load_ensemble(tmp_path / "two" / "weights.safetensors").models[0].state_dict(), trained("one")
    # Sums in another order, through a few steps of Adam, which makes steps of one size of gradients of any size.
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)
    halved = trained("half", f"optimisation.batch_size={batch_size // 2}")
    assert max(float((halved[name] - value).abs().max()) for name, value in alone.items()) > 1e-3
