"""The trials of a search in a database, shared by as many workers as there are, each trial done once.

Optuna stores the trials, draws values, gives a queued trial to one worker only, and fails the trial of a worker whose
heartbeat has stopped. What it does not do is done here:

- A queue that several workers fill. Every trial has a place in it, and whoever looks queues the places that nobody
  does or has done, be it that they are new, that their worker died, or that it was interrupted or failed.
  (`enqueue_trial(skip_if_exists=True)` takes a failed trial for one that exists, `RetryHeartbeatStaleTrialCallback`
  puts back those of dead workers only, and two workers of a `GridSampler` can choose the same cell.)
- One trial for each place, whatever workers do at the same time (`Trials.surplus`).
- Waiting for trials of others, and giving up those of workers that died before their first heartbeat, which Optuna
  waits for forever.
- Drawing that depends on the seed, the place and the trials before it, so that a search may stop at any of them.
"""

from __future__ import annotations

import contextlib
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

import optuna
from optuna.exceptions import ExperimentalWarning, UpdateFinishedTrialError
from optuna.samplers import TPESampler
from optuna.storages import RDBStorage, fail_stale_trials
from optuna.trial import FrozenTrial, Trial, TrialState

from resblock.sweep.space import Axis, Cell, Choices, Value
from resblock.sweep.storage import connect

#: Names under which a trial has its place in the queue and its result, and a study what it is about.
PLACE: Final = "place"
RESULT: Final = "result"
DEFINITION: Final = "definition"

_LIVE: Final = (TrialState.WAITING, TrialState.RUNNING, TrialState.COMPLETE)

#: Does the work of a cell: the value to maximise, and what else to store of it.
Work = Callable[[Cell], tuple[float, Any]]


@dataclass(frozen=True)
class Done:
    """A finished trial."""

    cell: Cell
    value: float
    result: Any


@dataclass(kw_only=True)
class Trials:
    """The trials of one search.

    Parameters
    ----------
    url : str
        Of the database, for `resblock.sweep.storage.connect`.
    name : str
        Workers that give the same one share the trials.
    definition : mapping
        Stored beside the trials for whoever reads the database.
    axes : mapping of str to Axis
    queue : sequence of Cell
        What is to be done. Values that a cell lacks are drawn by the tree-structured Parzen estimator.
    seed : int
        Of the drawing.
    heartbeat : int
        Seconds between signs of life.
    progress : callable
        Called with what is being done.
    """

    url: str
    name: str
    definition: Mapping[str, Any]
    axes: Mapping[str, Axis]
    queue: Sequence[Cell]
    seed: int = 1
    heartbeat: int = 60
    progress: Callable[[str], object] = lambda what: None
    _study: optuna.Study = field(init=False)
    _storage: RDBStorage = field(init=False)

    def __post_init__(self) -> None:
        with _quiet():
            self._storage = connect(self.url, self.heartbeat)
            self._study = optuna.create_study(
                storage=self._storage, study_name=self.name, direction="maximize", load_if_exists=True
            )
            if DEFINITION not in self._study.user_attrs:
                self._study.set_user_attr(DEFINITION, dict(self.definition))

    def work(self, work: Work) -> None:
        """Do trials until all are done, here or by other workers.

        Raises
        ------
        Exception
            What `work` raised; the trial is then free for other workers and later calls.
        """
        seen: set[int] = set()
        with _quiet():
            while True:
                fail_stale_trials(self._study)
                self._fill_queue()
                trials = [trial for trial in self._trials() if self._counts(trial)]
                running = [trial for trial in trials if trial.state == TrialState.RUNNING]
                if any(trial.state == TrialState.WAITING for trial in trials):
                    self._do_one(work)
                elif running:
                    self._wait(running, seen)
                else:
                    return

    def done(self) -> list[Done]:
        """Finished trials in the order of the queue."""
        finished = [trial for trial in self._trials() if trial.state == TrialState.COMPLETE and _place(trial) >= 0]
        return [
            Done(dict(trial.params), cast("float", trial.value), trial.user_attrs[RESULT])
            for trial in sorted(finished, key=_place)
        ]

    def surplus(self, number: int) -> bool:
        """Whether a trial is one too many: of those at one place that can still count, the lowest number does.

        The database gives the numbers, one after the other, and a trial has its place before it has a worker.
        """
        trials = self._trials()
        (trial,) = (one for one in trials if one.number == number)
        # One without a place was begun by Optuna as another worker took the last one from the queue.
        return not self._counts(trial) or any(
            one.number < number and one.state in _LIVE and _place(one) == _place(trial) for one in trials
        )

    def _trials(self) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False)

    def _counts(self, trial: FrozenTrial) -> bool:
        return 0 <= _place(trial) < len(self.queue)

    def _fill_queue(self) -> None:
        """Queue the places that nobody does or has done: all of them at first, later those of lost trials."""
        trials = self._trials()
        live = {_place(trial) for trial in trials if trial.state in _LIVE}
        # What was drawn stays, as a training may have begun.
        drawn = {_place(trial): trial.params for trial in trials if trial.state == TrialState.FAIL}
        for place, cell in enumerate(self.queue):
            if place not in live:
                self._study.enqueue_trial({**drawn.get(place, {}), **cell}, user_attrs={PLACE: place})

    def _do_one(self, work: Work) -> None:
        lost = False

        def objective(trial: Trial) -> float:
            nonlocal lost
            if self.surplus(trial.number):
                raise optuna.TrialPruned("done elsewhere")
            self._study.sampler = TPESampler(seed=self.seed + trial.user_attrs[PLACE], constant_liar=True)
            value, result = work({name: _suggest(trial, name, axis) for name, axis in self.axes.items()})
            try:
                trial.set_user_attr(RESULT, result)
            except UpdateFinishedTrialError:
                lost = True
                raise
            return value

        try:
            self._study.optimize(objective, n_trials=1)
        except ValueError:
            # Optuna's, as the trial has ended without this worker, whose heartbeat others have missed.
            if not lost:
                raise
            self.progress("a trial ended too late: another worker has taken it up")

    def _wait(self, running: Sequence[FrozenTrial], seen: set[int]) -> None:
        """Wait for trials of other workers."""
        for trial in running:
            if trial._trial_id not in seen:
                # A worker killed before its first heartbeat would never be missed.
                self._storage.record_heartbeat(trial._trial_id)
                seen.add(trial._trial_id)
                self.progress(f"waiting for trial {trial.number} of another worker")
        time.sleep(min(self.heartbeat, 5))


def _place(trial: FrozenTrial) -> int:
    """Place in the queue; -1 without one."""
    return int(trial.user_attrs.get(PLACE, -1))


def _suggest(trial: Trial, name: str, axis: Axis) -> Value:
    if isinstance(axis, Choices):
        chosen: Any = trial.suggest_categorical(name, axis.values)
        return cast("Value", chosen)
    if isinstance(axis.low, int) and isinstance(axis.high, int):
        return trial.suggest_int(name, axis.low, axis.high, log=axis.logarithmic)
    return trial.suggest_float(name, axis.low, axis.high, log=axis.logarithmic)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep Optuna from reporting every trial: the search does, and errors reach the user."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(before)
