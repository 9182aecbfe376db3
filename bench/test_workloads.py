"""The table: every workload beside its peers. `--select A` takes one row."""

import pytest
from conftest import available_threads, effort, in_turns
from workloads import WORKLOADS, Participant, Workload


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    threads, row = available_threads(metafunc.config), metafunc.config.getoption("--select")
    in_turns(metafunc, [(w, w.participants(threads)) for w in WORKLOADS if row in ("", w.row)])


def test_workload(timed, request, what: Workload, turn: int, participant: Participant) -> None:
    timed(participant, what.size, turn, effort(request.config), workload=what.name)
