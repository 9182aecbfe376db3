"""DistributedDataParallel over two gloo processes gives the gradients of one process."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from resblock import ResAttnLSTM


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
