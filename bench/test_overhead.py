"""What a call costs where there is next to nothing to compute: without gradient, with a graph, and with backward."""

import pytest
from conftest import effort, in_turns
from workloads import OURS, OVERHEAD_SIZE, TORCH, Participant


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    in_turns(metafunc, [(mode, [Participant(OURS), Participant(TORCH)]) for mode in ("inference", "graph", "training")])


def test_overhead(timed, request, what: str, turn: int, participant: Participant) -> None:
    timed(participant, OVERHEAD_SIZE, turn, effort(request.config), mode=what, call=what)
