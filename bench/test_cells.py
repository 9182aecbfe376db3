"""What c of every step costs, beside a loop over the steps of torch.nn.LSTM."""

import pytest
from conftest import effort, in_turns
from workloads import CELL_SIZES, OURS, PLAIN, STEP_BY_STEP, Participant, Size


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    in_turns(metafunc, [(size, [Participant(peer) for peer in (OURS, PLAIN, STEP_BY_STEP)]) for size in CELL_SIZES])


def test_cells(timed, request, what: Size, turn: int, participant: Participant) -> None:
    timed(participant, what, turn, effort(request.config), mode="cells")
