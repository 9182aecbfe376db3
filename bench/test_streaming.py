"""One step of one sequence, its state carried from call to call."""

import pytest
from conftest import effort, in_turns
from workloads import JAX, ONNX, OURS, STREAMING_SIZES, TORCH, Participant, Size


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    participants = [Participant(peer) for peer in (OURS, ONNX, JAX, TORCH)]
    in_turns(metafunc, [(size, participants) for size in STREAMING_SIZES], passes=9)


def test_streaming(timed, request, what: Size, turn: int, participant: Participant) -> None:
    timed(participant, what, turn, effort(request.config, passes=9), mode="streaming")
