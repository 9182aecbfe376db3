"""The gradient claim: what reaches the first layers of deep stacks, with and without shortcuts and peepholes."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from resblock.errors import InputError
from resblock.files import write_text
from resblock.models import choose_device
from resblock.models.windows import WindowModel, WindowModelConfig
from resblock.pairs import Complex
from resblock.study import gradient_norms
from resblock.study.cache import cached_values, content
from resblock.study.gradient_figures import draw_curves, draw_norms
from resblock.study.gradient_norms import CURVE_STEPS, SMALLEST, Plan, Trained, blind_loss, train
from resblock.study.measure import rankable
from resblock.study.part import Study
from resblock.sweep.drawing import save_figure, style
from resblock.sweep.results import Cell, Result, Table
from resblock.training.config import TrainingConfig

VERSION: Final = (1, gradient_norms.VERSION)
FULL: Final = Plan((2, 4, 10, 20, 40, 60, 100, 200), 1000, (0, 100, 300, 1000))
QUICK: Final = Plan((2, 6, 20), 60, (0, 60))
#: Shortcuts (residual connections) and peepholes, on or off.
VARIANTS: Final = ((True, True), (True, False), (False, True), (False, False))


def run(study: Study) -> Result:
    """Train every network for a while, or take what is there.

    Raises
    ------
    InputError
        If there is nothing to train on.
    """
    plan = QUICK if study.quick else FULL
    dimers = rankable(study.complexes("train"))
    if not dimers:
        raise InputError("no training complex of two single chains with contacts; choose another split")
    blind = blind_loss(dimers)
    found = [
        _found(study, _config(depth, shortcuts, peepholes).seeded(seed), plan, dimers)
        for depth in plan.depths
        for shortcuts, peepholes in VARIANTS
        for seed in study.seeds
    ]
    write_text(study.out / "gradients_by_layer.csv", _by_layer(found, _note(study, plan)).csv())
    figures = [_save(study.out, found, step) for step in (plan.seen_at[0], plan.seen_at[-1])]
    with style():
        figures.append(save_figure(draw_curves(found, blind), study.out, "training_curves"))
    return Result([_table(found, study, plan)], figures, words(found, plan, blind))


def _config(depth: int, shortcuts: bool, peepholes: bool) -> TrainingConfig:
    """The paper's network and training without dropout: what is seen is the depth's doing alone."""
    options = {"num_layers": depth, "residual": shortcuts, "peephole": peepholes, "input_dropout": 0.0, "dropout": 0.0}
    return TrainingConfig().updated({"model": options})


def _found(study: Study, config: TrainingConfig, plan: Plan, dimers: Sequence[Complex]) -> Trained:
    network, seed = cast("WindowModelConfig", config.model), config.optimisation.seed
    depth, shortcuts, peepholes = network.num_layers, network.residual, network.peephole

    def compute() -> object:
        study.progress(
            f"gradients: {depth} layers, {'with' if shortcuts else 'without'} shortcuts, "
            f"{'with' if peepholes else 'without'} peepholes, seed {seed}"
        )
        norms, losses = train(config, plan, dimers, choose_device(study.device))
        return {"norms": norms, "losses": losses}

    versions = [gradient_norms.VERSION, WindowModel.version]
    key = [versions, config.to_toml(), dataclasses.astuple(plan), study.device, content(dimers)]
    name = f"depth-{depth}-shortcuts-{shortcuts:d}-peepholes-{peepholes:d}-seed-{seed}"
    values = cached_values(study.out / "found", name, key, compute)
    # JSON has no whole numbers as names.
    norms = {int(step): layers for step, layers in values["norms"].items()}
    return Trained(
        depth=depth, shortcuts=shortcuts, peepholes=peepholes, seed=seed, norms=norms, losses=values["losses"]
    )


def _save(out: Path, found: Sequence[Trained], step: int) -> Path:
    norms = {(one.depth, one.shortcuts, one.peepholes): _mean_norms(found, one, step) for one in found}
    title = "at initialisation" if step == 0 else f"after {step:,} steps"
    with style():
        return save_figure(draw_norms(norms, title), out, f"gradients_step_{step}")


def _mean_norms(found: Sequence[Trained], like: Trained, step: int) -> NDArray[np.float64]:
    """Geometric mean over seeds."""
    norms = [one.norms[step] for one in _alike(found, like.depth, like.shortcuts, like.peepholes)]
    return np.asarray(np.exp(_logarithm(np.array(norms)).mean(axis=0)))


def _logarithm(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logarithm to the base of ten; minus infinity for zero, without a warning."""
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(values))


def _alike(found: Sequence[Trained], depth: int, shortcuts: bool, peepholes: bool) -> list[Trained]:
    return [one for one in found if (one.depth, one.shortcuts, one.peepholes) == (depth, shortcuts, peepholes)]


def mean_ratio(found: Sequence[Trained], depth: int, shortcuts: bool, peepholes: bool, *, step: int) -> float:
    """Geometric mean over seeds of the first layer's norm over the last's."""
    ratios = [one.ratio(step) for one in _alike(found, depth, shortcuts, peepholes)]
    return float(np.exp(_logarithm(np.array(ratios)).mean()))


def _table(found: Sequence[Trained], study: Study, plan: Plan) -> Table:
    columns = ["layers", "shortcuts", "peepholes"]
    columns += [f"first over last, step {step}" for step in plan.seen_at]
    columns += ["first layer, step 0", "last layer, step 0", f"loss, first {CURVE_STEPS} steps", f"last {CURVE_STEPS}"]
    rows: list[tuple[Cell, ...]] = []
    for depth in plan.depths:
        for shortcuts, peepholes in VARIANTS:
            alike = _alike(found, depth, shortcuts, peepholes)
            norms = _mean_norms(found, alike[0], 0)
            rows.append(
                (
                    depth,
                    "yes" if shortcuts else "no",
                    "yes" if peepholes else "no",
                    *(_finite(mean_ratio(found, depth, shortcuts, peepholes, step=step)) for step in plan.seen_at),
                    _finite(norms[0]),
                    _finite(norms[-1]),
                    _finite(np.mean([one.losses[0] for one in alike])),
                    _finite(np.mean([one.losses[-1] for one in alike])),
                )
            )
    title = "Norm of the gradient of the first and the last layer"
    return Table("gradients", title, tuple(columns), rows=rows, note=_note(study, plan))


def _finite(value: float | np.floating[Any]) -> float | None:
    return float(value) if np.isfinite(value) else None


def _by_layer(found: Sequence[Trained], note: str) -> Table:
    rows: list[tuple[Cell, ...]] = [
        (one.depth, int(one.shortcuts), int(one.peepholes), one.seed, step, layer, norm)
        for one in found
        for step, norms in one.norms.items()
        for layer, norm in enumerate(norms, start=1)
    ]
    columns = ("layers", "shortcuts", "peepholes", "seed", "step", "layer", "norm")
    return Table("gradients_by_layer", "Norm of the gradient of every layer", columns, rows=rows, note=note)


def _note(study: Study, plan: Plan) -> str:
    optimisation = TrainingConfig().optimisation
    return (
        f"Cross-entropy on {optimisation.batch_size} windows of the paper's training pairs (the same batch at "
        f"all steps of a seed), {WindowModelConfig().hidden_size} units, no dropout; norms of the weights and biases "
        "of a layer, without peepholes, in double precision, geometric means over seeds. "
        f"{plan.steps:,} steps of Adam with the learning rate {optimisation.learning_rate:g}. {study.about()}"
    )


def words(found: Sequence[Trained], plan: Plan, blind: float) -> str:
    """What was found, in sentences made of the numbers."""
    said = []
    for shortcuts in (False, True):
        ratios = [f"{mean_ratio(found, depth, shortcuts, True, step=0):.1e} ({depth})" for depth in plan.depths]
        said.append(
            f"{'With' if shortcuts else 'Without'} shortcuts, the first layer's gradient over the last's at "
            f"initialisation, by the number of layers: {', '.join(ratios)}."
        )
    deepest = plan.depths[-1]
    changes = [
        mean_ratio(found, deepest, shortcuts, True, step=0) / mean_ratio(found, deepest, shortcuts, False, step=0)
        for shortcuts in (True, False)
    ]
    said.append(
        f"Peepholes change the ratio of {deepest} layers by the factor {changes[0]:.2g} with shortcuts and "
        f"{changes[1]:.2g} without."
    )
    for shortcuts in (False, True):
        norms = _mean_norms(found, _alike(found, deepest, shortcuts, True)[0], 0)
        lost = int((norms < SMALLEST).sum())
        said.append(
            f"Of {deepest} layers {'with' if shortcuts else 'without'} shortcuts, {lost} have a gradient that single "
            "precision cannot tell from zero."
        )
    losses = [
        f"{depth}: {_last_loss(found, depth, True):.3f} with and {_last_loss(found, depth, False):.3f} without"
        for depth in plan.depths
    ]
    said.append(
        f"Mean loss of the last {CURVE_STEPS} of {plan.steps:,} steps, with peepholes, by the number of layers: "
        f"{'; '.join(losses)}. Giving every pair the share of positives has {blind:.3f}."
    )
    return " ".join(said)


def _last_loss(found: Sequence[Trained], depth: int, shortcuts: bool) -> float:
    return float(np.mean([one.losses[-1] for one in _alike(found, depth, shortcuts, True)]))
