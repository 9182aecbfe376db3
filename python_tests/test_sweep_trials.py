"""Whose trials count, whatever workers do at the same time, and what is done again."""

import threading
import time
from collections import Counter

import optuna
import pytest

from resblock.errors import InputError
from resblock.sweep.space import SEED, Choices, Range, cells
from resblock.sweep.trials import PLACE, Trials

AXES = {"model.num_layers": Choices((2, 4, 6)), SEED: Choices((1, 2))}
GRID = list(cells({"model.num_layers": Choices((2, 4, 6))}, (1, 2)))


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path / 'trials.db'}"


def trials_of(url, **options):
    return Trials(
        **{"url": url, "name": "test", "definition": {}, "axes": AXES, "queue": GRID, "heartbeat": 1, **options}
    )


def study_of(url):
    return optuna.load_study(study_name="test", storage=url)


def queued(study, places):
    for place in places:
        study.enqueue_trial(GRID[place], user_attrs={PLACE: place})


def states(url):
    return Counter(trial.state.name for trial in study_of(url).trials)


def test_each_cell_is_done_once_by_several_workers(url):
    did = []

    def work(cell):
        did.append(dict(cell))
        time.sleep(0.02)
        return float(cell["model.num_layers"]), None

    workers = [threading.Thread(target=lambda: trials_of(url).work(work)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    finished = trials_of(url).done()
    assert [done.cell for done in finished] == GRID
    assert sorted(map(str, did)) == sorted(map(str, GRID))


def test_queued_twice_and_begun_from_nowhere_do_not_count(url):
    trials = trials_of(url)
    queued(study_of(url), [*range(len(GRID)), *range(len(GRID))])
    trials.work(lambda cell: (0.0, None))
    assert states(url) == {"COMPLETE": len(GRID), "PRUNED": len(GRID)}
    study_of(url).ask()
    assert trials.surplus(2 * len(GRID))
    assert not trials.surplus(0)


def test_what_a_longer_queue_has_asked_for_is_left_alone(url):
    trials_of(url)
    queued(study_of(url), range(len(GRID)))
    trials = trials_of(url, queue=GRID[:2])
    trials.work(lambda cell: (0.0, None))
    assert [done.cell for done in trials.done()] == GRID[:2]
    trials_of(url).work(lambda cell: (0.0, None))
    assert [done.cell for done in trials.done()] == GRID


def test_a_trial_is_taken_up_from_a_worker_that_died_before_its_first_sign_of_life(url):
    trials = trials_of(url)
    queued(study_of(url), [3])
    study_of(url).ask()
    said = []
    trials.progress = said.append
    trials.work(lambda cell: (1.0, "result"))
    assert [done.cell for done in trials.done()] == GRID
    assert said == ["waiting for trial 0 of another worker"]
    assert states(url) == {"COMPLETE": len(GRID), "FAIL": 1}


def test_a_worker_that_was_given_up_goes_on_with_another_trial(url):
    trials, said, late = trials_of(url), [], []
    trials.progress = said.append

    def work(cell):
        if not late:
            late.append(dict(cell))
            study = study_of(url)
            (running,) = [trial for trial in study.trials if trial.state.name == "RUNNING"]
            study._storage.set_trial_state_values(running._trial_id, optuna.trial.TrialState.FAIL)
        return 1.0, None

    trials.work(work)
    assert [done.cell for done in trials.done()] == GRID
    assert late == GRID[:1]
    assert said == ["a trial ended too late: another worker has taken it up"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, InputError("refused"), ValueError("a bug")])
def test_what_fails_is_done_by_the_next_call(url, error):
    trials = trials_of(url)

    def fails(cell):
        if cell == GRID[2]:
            raise error
        return 0.0, None

    with pytest.raises(error if isinstance(error, type) else type(error)):
        trials.work(fails)
    assert [done.cell for done in trials.done()] == GRID[:2]
    again = []
    trials_of(url).work(lambda cell: (0.0, again.append(dict(cell))))
    assert sorted(map(str, again)) == sorted(map(str, GRID[2:]))


DRAWN = {"model.dropout": Range(0.0, 0.9), "model.num_layers": Range(2, 200), SEED: Choices((7,))}


def drawn(url, count, work=lambda cell: (-((cell["model.dropout"] - 0.3) ** 2), None), seed=7):
    trials = trials_of(url, axes=DRAWN, queue=[{}] * count, seed=seed)
    trials.work(work)
    return trials.done()


def test_drawn_trials_repeat_and_can_be_added_to(url, tmp_path):
    at_once = drawn(f"sqlite:///{tmp_path / 'other.db'}", 14)
    assert len(drawn(url, 5)) == 5
    assert drawn(url, 14) == at_once
    assert len(at_once) == 14
    assert all(0 <= done.cell["model.dropout"] <= 0.9 for done in at_once)
    assert all(2 <= done.cell["model.num_layers"] <= 200 for done in at_once)
    assert len({done.cell["model.dropout"] for done in at_once}) == 14


def test_an_interrupted_trial_goes_on_with_what_it_has_drawn(url):
    begun = []

    def interrupted(cell):
        begun.append(dict(cell))
        if len(begun) == 3:
            raise KeyboardInterrupt
        return cell["model.dropout"], None

    with pytest.raises(KeyboardInterrupt):
        drawn(url, 4, interrupted)
    finished = drawn(url, 4, lambda cell: (cell["model.dropout"], None), seed=8)
    assert [done.cell for done in finished[:3]] == begun
