"""Programs of torch.export beside the module they were made from."""

import pytest
from conftest import effort, in_turns
from workloads import EXPORT_SIZES, EXPORTED, OURS, Participant, Size


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    in_turns(metafunc, [(size, [Participant(OURS), Participant(EXPORTED)]) for size in EXPORT_SIZES])


def test_exported(timed, request, what: Size, turn: int, participant: Participant) -> None:
    timed(participant, what, turn, effort(request.config))
