"""A loss on gradients: forward, backward, and the derivative of both, beside torch.nn.LSTM."""

import pytest
from conftest import effort, in_turns
from workloads import OURS, PENALTY_SIZES, TORCH, Participant, Size


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    in_turns(metafunc, [(size, [Participant(OURS), Participant(TORCH)]) for size in PENALTY_SIZES])


def test_penalty(timed, request, what: Size, turn: int, participant: Participant) -> None:
    timed(participant, what, turn, effort(request.config), mode="penalty")
