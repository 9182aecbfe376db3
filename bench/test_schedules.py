"""Ours alone on the schedule that RESBLOCK_SCHEDULE names, to see how far from the limit each is."""

import os

import pytest
from conftest import effort, in_turns
from workloads import OURS, SCHEDULE_SIZES, Participant, Size

SCHEDULE = os.environ.get("RESBLOCK_SCHEDULE", "by size")


def takes(schedule: str, size: Size) -> bool:
    """Tell whether it runs such sizes: one that does not gives way to another, which would be timed in its place."""
    return schedule != "wavefront" or (not size.training and size.units <= 32)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    in_turns(metafunc, [(size, [Participant(OURS)]) for size in SCHEDULE_SIZES if takes(SCHEDULE, size)])


def test_schedule(timed, request, what: Size, turn: int, participant: Participant) -> None:
    timed(participant, what, turn, effort(request.config), schedule=SCHEDULE)
