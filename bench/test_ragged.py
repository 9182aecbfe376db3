"""Sequences of unequal lengths, beside the full batch and torch.nn.LSTM on the same PackedSequence."""

import pytest
from conftest import effort, in_turns
from workloads import FULL, LENGTHS, OURS, OUTLIER, RAGGED_SIZES, TORCH, Participant, Size


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    all_ = [Participant(peer) for peer in (OURS, LENGTHS, FULL, TORCH)]
    without_full = [participant for participant in all_ if participant.peer != FULL]
    in_turns(metafunc, [*((case, all_) for case in RAGGED_SIZES), ((OUTLIER, 0.0), without_full)])


def test_ragged(timed, request, what: tuple[Size, float], turn: int, participant: Participant) -> None:
    size, fill = what
    timed(participant, size, turn, effort(request.config), mode=f"ragged {fill}", fill=fill)
