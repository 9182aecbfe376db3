"""The trials of a sweep in a database, shared by as many workers as there are, each trial done once.

The cells of a grid are put into Optuna's queue, from which a trial is taken by one worker only. `optuna.GridSampler` is
not used: its workers choose by looking at what the others have begun, and two of them can choose the same cell.

A worker that dies stops its heartbeat, and its trial is put back into the queue by whoever notices. Whatever workers
do at the same time, one rule decides which trial counts (`Trials.surplus`).
"""

from __future__ import annotations

import contextlib
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

import optuna
from optuna.exceptions import ExperimentalWarning, OptunaError, UpdateFinishedTrialError
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback, fail_stale_trials
from optuna.trial import FrozenTrial, Trial, TrialState
from sqlalchemy import event
from sqlalchemy.engine import Engine, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from resblock.errors import InputError
from resblock.study.space import Axis, Cell, Choices, Value

#: Names under which a trial has its result and a study what it is about.
RESULT: Final = "result"
DEFINITION: Final = "definition"
#: Where Optuna keeps the values of a queued trial.
_QUEUED: Final = "fixed_params"

_LIVE: Final = (TrialState.WAITING, TrialState.RUNNING, TrialState.COMPLETE)
#: Heartbeats that a worker may miss before its trial is given to another.
_MISSED: Final = 3
#: Attempts at making the tables of a new database, which another worker may be making.
_ATTEMPTS: Final = 5

#: Does the work of a cell: the value to maximise, and what is to be kept of it.
Work = Callable[[Cell], tuple[float, Any]]


@dataclass(frozen=True)
class Done:
    """A finished trial."""

    cell: Cell
    value: float
    result: Any


@dataclass
class Trials:
    """The trials of one sweep.

    Parameters
    ----------
    url : str
        Of the database: ``sqlite:///FILE`` or ``postgresql://USER@HOST/DATABASE``.
    name : str
        Workers that give the same one share the trials.
    definition : mapping
        Kept beside the trials for whoever reads the database.
    axes : mapping of str to Axis
    grid : sequence of Cell
        To be done, all of them; empty if trials are drawn.
    drawn : int
        Trials to draw by the tree-structured Parzen estimator, if there is no grid.
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
    grid: Sequence[Cell] = ()
    drawn: int = 0
    seed: int = 1
    heartbeat: int = 60
    progress: Callable[[str], object] = lambda what: None
    _study: optuna.Study = field(init=False)
    _storage: RDBStorage = field(init=False)

    def __post_init__(self) -> None:
        with _quiet():
            self._storage = _connect(self.url, self.heartbeat)
            self._study = optuna.create_study(
                storage=self._storage, study_name=self.name, direction="maximize", load_if_exists=True
            )
            if DEFINITION not in self._study.user_attrs:
                self._study.set_user_attr(DEFINITION, dict(self.definition))

    @property
    def total(self) -> int:
        """Trials that the sweep is made of."""
        return len(self.grid) or self.drawn

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
                trials = self._trials()
                states = [trial.state for trial in trials]
                unclaimed = not self.grid and sum(state in _LIVE for state in states) < self.drawn
                if TrialState.WAITING in states or unclaimed:
                    self._do_one(work)
                elif TrialState.RUNNING in states:
                    self._wait([trial for trial in trials if trial.state == TrialState.RUNNING], seen)
                else:
                    return

    def done(self) -> list[Done]:
        """Finished trials, in the order of the grid or as they were drawn."""
        finished = [
            Done(dict(trial.params), trial.value, trial.user_attrs[RESULT])
            for trial in self._trials()
            if trial.state == TrialState.COMPLETE and trial.value is not None
        ]
        if self.grid:
            order = [dict(cell) for cell in self.grid]
            return sorted(finished, key=lambda done: order.index(dict(done.cell)))
        return finished

    def surplus(self, number: int, trials: Sequence[FrozenTrial]) -> bool:
        """Whether a trial is one too many: of those that can still count, the ones with the lowest numbers do.

        Numbers are given by the database, one after the other, and a trial's cell stands in the queue from the start.
        """
        before = [trial for trial in trials if trial.number < number and trial.state in _LIVE]
        if not self.grid:
            return len(before) >= self.drawn
        cell = _queued(next(trial for trial in trials if trial.number == number))
        # One that does not come from the queue was begun by Optuna as another worker took the last one from it.
        return cell is None or cell in [_queued(trial) for trial in before]

    def _trials(self) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False)

    def _fill_queue(self) -> None:
        """Queue the cells that nobody does or has done: all of them at first, later those of interrupted workers."""
        begun = [_queued(trial) for trial in self._trials() if trial.state in _LIVE]
        for cell in self.grid:
            if cell not in begun:
                self._study.enqueue_trial(dict(cell))

    def _do_one(self, work: Work) -> None:
        given_up = False

        def objective(trial: Trial) -> float:
            nonlocal given_up
            if self.surplus(trial.number, self._trials()):
                raise optuna.TrialPruned("done elsewhere")
            value, result = work(self._suggested(trial))
            try:
                trial.set_user_attr(RESULT, result)
            except UpdateFinishedTrialError:
                given_up = True
                raise
            return value

        if not self.grid:
            # Each trial is drawn anew from the seed and those before it, so that a sweep may stop at any of them.
            seed = self.seed + len(self._trials())
            self._study.sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=True)
        try:
            self._study.optimize(objective, n_trials=1)
        except ValueError:
            # Optuna's, as the trial has ended without this worker, whose heartbeat others have missed.
            if not given_up:
                raise
            self.progress("a trial ended too late: another worker has taken it up")

    def _suggested(self, trial: Trial) -> dict[str, Value]:
        return {name: _suggest(trial, name, axis) for name, axis in self.axes.items()}

    def _wait(self, running: Sequence[FrozenTrial], seen: set[int]) -> None:
        """Wait for trials of other workers."""
        for trial in running:
            if trial._trial_id not in seen:
                # A worker killed before its first sign of life would never be missed.
                self._storage.record_heartbeat(trial._trial_id)
                seen.add(trial._trial_id)
                self.progress(f"waiting for trial {trial.number} of another worker")
        time.sleep(min(self.heartbeat, 5))


def _queued(trial: FrozenTrial) -> Any:
    """The cell of a trial from the queue."""
    return trial.system_attrs.get(_QUEUED)


def _suggest(trial: Trial, name: str, axis: Axis) -> Value:
    if isinstance(axis, Choices):
        chosen: Any = trial.suggest_categorical(name, axis.values)
        return cast("Value", chosen)
    if isinstance(axis.low, int) and isinstance(axis.high, int):
        return trial.suggest_int(name, axis.low, axis.high, log=axis.logarithmic)
    return trial.suggest_float(name, axis.low, axis.high, log=axis.logarithmic)


def _connect(url: str, heartbeat: int) -> RDBStorage:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise InputError(
            f"storage {url!r} is no URL; write sqlite:///FILE or postgresql://USER@HOST/DATABASE"
        ) from None
    if parsed.drivername in ("postgresql", "postgres"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    for attempt in range(_ATTEMPTS):
        try:
            storage = RDBStorage(
                parsed.render_as_string(hide_password=False),
                # Of SQLite: the seconds to wait for other workers.
                engine_kwargs={"connect_args": {"timeout": 60}} if parsed.drivername.startswith("sqlite") else None,
                heartbeat_interval=heartbeat,
                grace_period=_MISSED * heartbeat,
                heartbeat_stale_trial_callback=RetryHeartbeatStaleTrialCallback(),
            )
            if parsed.drivername.startswith("sqlite"):
                _one_transaction_at_a_time(storage.engine)
            return storage
        except (SQLAlchemyError, OptunaError) as error:
            if attempt == _ATTEMPTS - 1:
                reason = str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
                raise InputError(f"storage {parsed.render_as_string()}: cannot be used ({reason})") from None
            time.sleep(0.5)
    raise AssertionError


def _one_transaction_at_a_time(engine: Engine) -> None:
    """Keep two workers from taking one trial: Optuna locks its row first, and SQLite has no locks on rows."""

    @event.listens_for(engine, "connect")
    def connected(connection: Any, record: Any) -> None:
        connection.isolation_level = None  # Python begins no transactions of its own

    @event.listens_for(engine, "begin")
    def begun(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    engine.dispose()  # connections made before


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep Optuna from reporting every trial: the sweep does, and errors reach the user."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(before)
