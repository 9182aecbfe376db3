"""Some of the table again, where glibc gives no pages back to the system: run.py sets its thresholds."""

import os

import pytest
from conftest import available_threads, effort, in_turns
from workloads import KEEP_PAGES, KEPT_PAGES, Participant, Workload


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    threads = available_threads(metafunc.config)
    in_turns(metafunc, [(w, w.participants(threads)) for w in KEPT_PAGES])


def test_pages(timed, request, what: Workload, turn: int, participant: Participant) -> None:
    assert KEEP_PAGES.items() <= os.environ.items(), f"set {KEEP_PAGES} before Python starts"
    timed(participant, what.size, turn, effort(request.config), workload=what.name)
