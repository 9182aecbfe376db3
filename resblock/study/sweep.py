"""Networks of every depth and width, and other fields, each trained and ranking the test dimers: tables 1 and 2.

OUT/sweep.db               the trials, unless they are in another database
RUNS/LABEL-seed-S-DIGEST   the training run of a trial (`resblock.study.models.trained`)

Trials are compared by their mean AUROC on the validation dimers; the test dimers decide nothing.
"""

from __future__ import annotations

import dataclasses
import fcntl
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import resblock
from resblock.errors import InputError
from resblock.evaluation import evaluate
from resblock.evaluation.splits import Split, find_list, random_split, read_split
from resblock.pairs import load_dimers
from resblock.ranking import DimerResult
from resblock.study.models import trained
from resblock.study.part import Result, Study
from resblock.study.space import SEED, Axis, Cell, Choices, cells, check_axes, configured, label
from resblock.study.sweep_tables import Trained, figures, tables
from resblock.study.trials import Done, Trials
from resblock.training.config import PRESETS, TrainingConfig

DATABASE: Final = "sweep.db"
#: The paper's depths and widths.
LAYERS: Final = (20, 40, 50, 55, 60, 65, 70, 80, 100)
UNITS: Final = (4, 6, 8, 10)
_QUICK_LAYERS: Final = (2, 4)
_QUICK_UNITS: Final = (4, 8)


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is varied, and how.

    Attributes
    ----------
    base
        The configuration whose fields are replaced.
    axes
        Fields, each ``section.name``, and their values.
    features
        Feature set that the networks see.
    trials
        Trials to draw by the tree-structured Parzen estimator; the whole grid is done if 0.
    storage
        URL of a database that several machines see; else a file in `Study.out`.
    heartbeat
        Seconds between a worker's signs of life; without three of them its trial is given to another.
    """

    base: TrainingConfig
    axes: Mapping[str, Axis]
    features: str = "paper"
    trials: int = 0
    storage: str | None = None
    heartbeat: int = 60


def run(study: Study) -> Result:
    """Tables 1 and 2: depths and widths of the paper's network. `Study.quick`: two of each, a few layers deep."""
    axes = {
        "network.num_layers": Choices(_QUICK_LAYERS if study.quick else LAYERS),
        "network.hidden_size": Choices(_QUICK_UNITS if study.quick else UNITS),
    }
    return sweep(study, Plan(PRESETS["paper"], axes))


def divide(data: Path, base: TrainingConfig, listed: str | None, seed: int) -> Split:
    """The part of every complex: by a list of `resblock.evaluation.splits`, or 6:2:2 by the seed.

    Raises
    ------
    InputError
        If there is no such list, or the complexes are too few.
    """
    if listed is not None:
        return read_split(find_list(listed))
    codes = [dimer.code for dimer in load_dimers(data) if base.data.complexes == "all" or dimer.is_dimer]
    return random_split(codes, seed)


def sweep(study: Study, plan: Plan) -> Result:
    """Do the trials that are not done, together with the other workers on them, and lay out all of them.

    Parameters
    ----------
    study : Study
        Its seeds are a further axis of a grid; of drawn trials it is one.
    plan : Plan

    Raises
    ------
    InputError
        If data, configuration and axes do not fit together, or the database cannot be used.
    """
    _check(study, plan)
    drawn = plan.trials > 0
    definition = _definition(study, plan)
    trials = Trials(
        url=plan.storage or f"sqlite:///{study.out / DATABASE}",
        name=f"resblock-{_digest(definition)}",
        definition=definition,
        axes={**plan.axes, SEED: Choices(study.seeds)},
        grid=() if drawn else list(cells(plan.axes, study.seeds)),
        drawn=plan.trials,
        seed=study.seeds[0],
        heartbeat=plan.heartbeat,
        progress=study.progress,
    )
    done = len(trials.done())
    study.progress(f"{trials.name}: {done} of {trials.total} trials are done")
    if done < trials.total:
        trials.work(_work(study, plan, trials))
    finished = [_trained(trial) for trial in trials.done()]
    axes = {name: axis.values for name, axis in plan.axes.items() if isinstance(axis, Choices)} if not drawn else {}
    about = f"{study.about()} Mean AUROC on the validation dimers chooses; the test dimers decide nothing."
    return Result(
        tables(finished, axes, plan.base, about),
        figures(finished, axes, plan.base, study.out),
        _text(finished, drawn),
    )


def _check(study: Study, plan: Plan) -> None:
    if int(os.environ.get("WORLD_SIZE", 1)) > 1:
        raise InputError("workers of a sweep train each by itself; start them without torchrun")
    check_axes(plan.base, plan.axes)
    if plan.trials and len(study.seeds) > 1:
        raise InputError(f"seeds {', '.join(map(str, study.seeds))}: trials that are drawn have one seed")
    for part in ("validation", "test"):
        if part not in study.split.values():
            raise InputError(f"no complex in the part {part}, which a sweep needs; give another split")


def _work(study: Study, plan: Plan, trials: Trials) -> Callable[[Cell], tuple[float, Any]]:
    test = [
        dimer for dimer in study.dimers("test", plan.features) if plan.base.data.complexes == "all" or dimer.is_dimer
    ]
    if not test:
        raise InputError("no dimer in the part test, and data.complexes is dimers; give another split")
    start, here = time.monotonic(), 0

    def work(cell: Cell) -> tuple[float, Any]:
        nonlocal here
        config, seed = configured(plan.base, cell), int(cell[SEED])
        # The run of a preset is one that other parts of the study may have trained.
        presets = [name for name, preset in PRESETS.items() if preset == config]
        name = presets[0] if presets else label({field: value for field, value in cell.items() if field != SEED})
        with _alone(study.runs, name, seed):
            scorer = trained(study, name, config, seed, plan.features)
        value = float(scorer.card["validation"]["mean_auroc"])
        results = evaluate(scorer, test)
        here += 1
        done = len(trials.done()) + 1
        seconds = (time.monotonic() - start) / here * (trials.total - done)
        study.progress(
            f"{done} of {trials.total}: {label(cell)}: validation AUROC {value:.3f}"
            + (f"; about {_duration(seconds)} left for one worker" if seconds > 0 else "")
        )
        return value, [dataclasses.asdict(result) for result in results]

    return work


@contextmanager
def _alone(runs: Path, name: str, seed: int) -> Iterator[None]:
    """Keep a trial that was taken up again from the run of a worker that still lives, unheard, on this machine."""
    runs.mkdir(parents=True, exist_ok=True)
    locked = hashlib.sha256(f"{name} {seed}".encode()).hexdigest()[:8]
    with open(runs / f".{locked}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _definition(study: Study, plan: Plan) -> dict[str, Any]:
    """What the trials of one sweep share: everything that decides a result."""
    keys = {
        dimer.code: dimer.key for part in ("train", "validation", "test") for dimer in study.dimers(part, plan.features)
    }
    return {
        "resblock": resblock.__version__,
        "config": dataclasses.asdict(plan.base),
        "axes": {name: dataclasses.asdict(axis) for name, axis in plan.axes.items()},
        "seeds": list(study.seeds),
        "features": plan.features,
        "quick": study.quick,
        "drawn": plan.trials > 0,
        "split": dict(study.split),
        "data": _digest(keys),
    }


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]


def _trained(done: Done) -> Trained:
    cell = {field: value for field, value in done.cell.items() if field != SEED}
    return Trained(cell, int(done.cell[SEED]), done.value, tuple(DimerResult(**result) for result in done.result))


def _text(finished: list[Trained], drawn: bool) -> str:
    best = max(finished, key=lambda trial: trial.validation_auroc)
    kind = "drawn by the tree-structured Parzen estimator" if drawn else "the whole grid"
    return (
        f"{len(finished)} trials, {kind}. The best on the validation dimers is {label(best.cell)} "
        f"(seed {best.seed}, mean AUROC {best.validation_auroc:.3f})."
    )


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    return (
        f"{minutes // 60}:{minutes % 60:02d} h"
        if minutes >= 60
        else f"{minutes} min"
        if minutes
        else f"{seconds:.0f} s"
    )
