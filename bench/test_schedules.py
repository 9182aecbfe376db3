"""Ours alone on the schedule that --select names, to see how far from the limit each is."""

import pytest
from conftest import effort, in_turns
from workloads import INPUTS, OURS, SCHEDULE_SIZES, Participant, Size

from resblock.ops import plan


def takes(schedule: str, size: Size) -> bool:
    """Tell whether it runs such sizes."""
    sizes = size.steps, size.batch, INPUTS, size.units, size.layers
    try:
        plan(*sizes, training=size.training, schedule=schedule or None)
    except ValueError:
        return False
    return True


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    schedule = metafunc.config.getoption("--select")
    participants = [Participant(OURS, schedule=schedule)]
    in_turns(metafunc, [(size, participants) for size in SCHEDULE_SIZES if takes(schedule, size)])


def test_schedule(timed, request, what: Size, turn: int, participant: Participant) -> None:
    timed(participant, what, turn, effort(request.config), schedule=participant.schedule or "by size")
