"""The database of a search: what it refuses, and that a trial is given to one worker only."""

import threading
import time

import optuna
import pytest
from optuna.trial import TrialState

from resblock.errors import InputError
from resblock.sweep.storage import connect

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")


@pytest.mark.parametrize(
    "url",
    ["nowhere", "sqlite:////no/such/directory/trials.db", "postgresql://me:secret@localhost:1/trials", "odd://x/y"],
)
def test_a_database_that_cannot_be_used_is_named_without_its_password(url, monkeypatch):
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    with pytest.raises(InputError, match="storage") as refused:
        connect(url, 60)
    assert "secret" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_sqlite_gives_a_trial_to_one_worker(tmp_path):
    """Optuna reads a trial's state before it writes it: without a lock two workers read that it waits."""
    url, trials, workers = f"sqlite:///{tmp_path / 'trials.db'}", 20, 4
    study = optuna.create_study(storage=connect(url, 60), study_name="test")
    for k in range(trials):
        study.enqueue_trial({"k": k})
    waiting = [trial._trial_id for trial in study.trials]
    taken, together = [], threading.Barrier(workers)

    def take():
        storage = connect(url, 60)
        for trial in waiting:
            together.wait(timeout=60)
            if storage.set_trial_state_values(trial, TrialState.RUNNING):
                taken.append(trial)

    threads = [threading.Thread(target=take) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == waiting
