"""Forward and backward in turn with other work, as in training: caches hold other things, and threads sleep."""

import pytest
import torch
from conftest import available_threads, effort, in_turns
from workloads import AMID_WORK, Participant, Workload


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    threads = available_threads(metafunc.config)
    in_turns(metafunc, [(w, w.participants(threads)) for w in AMID_WORK])


@pytest.fixture(scope="module")
def other_work():
    """An optimizer's step of the same number of parameters, and a small network's forward and backward."""
    parameter = torch.nn.Parameter(torch.randn(60, 4 * 8, 20))
    parameter.grad = torch.randn_like(parameter)
    adam = torch.optim.Adam([parameter])
    network = torch.nn.Sequential(torch.nn.Linear(256, 512), torch.nn.ReLU(), torch.nn.Linear(512, 256))
    x = torch.randn(512, 256)

    def work() -> None:
        adam.step()
        network.zero_grad()
        network(x).square().sum().backward()

    return work


def test_amid(timed, request, what: Workload, turn: int, participant: Participant, other_work) -> None:
    timed(participant, what.size, turn, effort(request.config), before_each=other_work, workload=what.name)
