"""Models of every setting, each trained and ranking the test complexes.

OUT/sweep.db               the trials, unless they are in another database
RUNS/LABEL-seed-S-DIGEST   the training run of a trial (`Experiment.trained`)

Trials are compared by their mean AUROC on the validation complexes; the test complexes decide nothing.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import resblock
from resblock.errors import InputError
from resblock.evaluation import Metrics, evaluate
from resblock.evaluation.splits import PARTS, Split, find_list, random_split, read_split
from resblock.sweep.experiment import Experiment, usable
from resblock.sweep.figures import heat_maps
from resblock.sweep.findings import Findings, Trained
from resblock.sweep.results import Result
from resblock.sweep.space import SEED, Axis, Cell, Choices, cells, check_axes, configured, label
from resblock.sweep.tables import tables
from resblock.sweep.trials import Done, Trials, Work
from resblock.training.choice import load_usable
from resblock.training.config import TrainingConfig

DATABASE: Final = "sweep.db"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """What is varied, and how.

    Attributes
    ----------
    base
        The configuration whose fields are replaced.
    axes
        Fields, each ``section.name``, and their values.
    trials
        Trials to draw by the tree-structured Parzen estimator; the whole grid is done if 0.
    storage
        URL of a database that several machines see; else a file in `Experiment.out`.
    heartbeat
        Seconds between a worker's signs of life; without three of them its trial is given to another.
    titles
        What the table of a field is called before its own title.
    """

    base: TrainingConfig
    axes: Mapping[str, Axis]
    trials: int = 0
    storage: str | None = None
    heartbeat: int = 60
    titles: Mapping[str, str] = dataclasses.field(default_factory=dict)


def divide(data: Path, base: TrainingConfig, listed: str | None, seed: int) -> Split:
    """The part of every complex: by a list of `resblock.evaluation.splits`, or 6:2:2 by the seed.

    Raises
    ------
    InputError
        If there is no such list, or the complexes are too few.
    """
    if listed is not None:
        return read_split(find_list(listed))
    whole = dataclasses.replace(base.data, variants=False)
    return random_split([one.code for one in load_usable(data, whole)], seed)


def search(experiment: Experiment, plan: Plan) -> Result:
    """Do the trials that are not done, together with the other workers on them, and lay out all of them.

    Parameters
    ----------
    experiment : Experiment
        Its seeds are a further axis of a grid; of drawn trials it is one.
    plan : Plan

    Raises
    ------
    InputError
        If data, configuration and axes do not fit together, or the database cannot be used.
    """
    _check(experiment, plan)
    definition = _definition(experiment, plan)
    trials = Trials(
        url=plan.storage or f"sqlite:///{experiment.out / DATABASE}",
        name=f"resblock-{_digest(definition)}",
        definition=definition,
        axes={**plan.axes, SEED: Choices(experiment.seeds)},
        queue=[{}] * plan.trials or list(cells(plan.axes, experiment.seeds)),
        seed=experiment.seeds[0],
        heartbeat=plan.heartbeat,
        progress=experiment.progress,
    )
    done = len(trials.done())
    experiment.progress(f"{trials.name}: {done} of {len(trials.queue)} trials are done")
    if done < len(trials.queue):
        trials.work(_work(experiment, plan, trials))
    grid = {} if plan.trials else {name: axis.values for name, axis in plan.axes.items() if isinstance(axis, Choices)}
    findings = Findings([_trained(trial) for trial in trials.done()], grid, plan.base)
    about = f"{experiment.about()} Mean AUROC on the validation dimers chooses; the test dimers decide nothing."
    figures = heat_maps(findings, experiment.out)
    return Result(tables(findings, about, plan.titles), figures, _text(findings))


def _check(experiment: Experiment, plan: Plan) -> None:
    if int(os.environ.get("WORLD_SIZE", 1)) > 1:
        raise InputError("workers of a sweep train each by itself; start them without torchrun")
    check_axes(plan.axes)
    if plan.trials and len(experiment.seeds) > 1:
        raise InputError(f"seeds {', '.join(map(str, experiment.seeds))}: trials that are drawn have one seed")
    for part in ("validation", "test"):
        if part not in experiment.split.values():
            raise InputError(f"no complex in the part {part}, which a sweep needs; give another split")


def _work(experiment: Experiment, plan: Plan, trials: Trials) -> Work:
    test = usable(experiment.complexes("test"), plan.base)
    if not test:
        raise InputError("no dimer in the part test, and data.complexes is dimers; give another split")
    report = _progress(experiment.progress, trials)

    def work(cell: Cell) -> tuple[float, Any]:
        setting = {field: value for field, value in cell.items() if field != SEED}
        ensemble = experiment.trained(label(setting), configured(plan.base, cell), int(cell[SEED]))
        value = float(ensemble.card["validation"]["mean_auroc"])
        results = evaluate(ensemble, test)
        report(cell, value)
        return value, [dataclasses.asdict(result) for result in results]

    return work


def _progress(say: Callable[[str], object], trials: Trials) -> Callable[[Cell, float], None]:
    """Say what a trial came to, and how long the others will take."""
    start, here = time.monotonic(), 0

    def report(cell: Cell, value: float) -> None:
        nonlocal here
        here += 1
        done = len(trials.done()) + 1
        seconds = (time.monotonic() - start) / here * (len(trials.queue) - done)
        left = f"; about {_duration(seconds)} left for one worker" if seconds > 0 else ""
        say(f"{done} of {len(trials.queue)}: {label(cell)}: validation AUROC {value:.3f}{left}")

    return report


def _definition(experiment: Experiment, plan: Plan) -> dict[str, Any]:
    """What the trials of one search share: everything that decides a result."""
    keys = {one.code: one.key for part in PARTS for one in experiment.complexes(part)}
    return {
        "resblock": resblock.__version__,
        "model_version": plan.base.kind.version,
        "config": plan.base.values(),
        "axes": {name: dataclasses.asdict(axis) for name, axis in plan.axes.items()},
        "seeds": list(experiment.seeds),
        "drawn": plan.trials > 0,
        "split": dict(experiment.split),
        "data": _digest(keys),
    }


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]


def _trained(done: Done) -> Trained:
    cell = {field: value for field, value in done.cell.items() if field != SEED}
    return Trained(cell, int(done.cell[SEED]), done.value, tuple(Metrics(**result) for result in done.result))


def _text(findings: Findings) -> str:
    best = max(findings.trials, key=lambda trial: trial.validation_auroc)
    kind = "the whole grid" if findings.grid else "drawn by the tree-structured Parzen estimator"
    return (
        f"{len(findings.trials)} trials, {kind}. The best on the validation dimers is {label(best.cell)} "
        f"(seed {best.seed}, mean AUROC {best.validation_auroc:.3f})."
    )


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes >= 60:
        return f"{minutes // 60}:{minutes % 60:02d} h"
    return f"{minutes} min" if minutes else f"{seconds:.0f} s"
