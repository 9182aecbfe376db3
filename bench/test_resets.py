"""Sequences that begin anew within a call, beside the ways in which torch.nn.LSTM can be made to do so."""

import pytest
from conftest import effort, in_turns
from workloads import OURS, PIECES, PLAIN, RESET_SIZES, SPLIT, STEP_BY_STEP, Participant, Size


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    participants = [Participant(peer) for peer in (OURS, PLAIN, STEP_BY_STEP, SPLIT, PIECES)]
    in_turns(metafunc, [(case, participants) for case in RESET_SIZES])


def test_resets(timed, request, what: tuple[Size, float], turn: int, participant: Participant) -> None:
    size, probability = what
    timed(participant, size, turn, effort(request.config), mode=f"resets {probability}", probability=probability)
