"""A training run in a directory: started, interrupted, resumed, finished.

RUN/config.toml            the resolved configuration
RUN/split.tsv              the part of every complex
RUN/inherited.json         digests of the weights that it begins with, and of the network that describes partners
RUN/checkpoints/           the last epoch and the best one
RUN/csv, RUN/tensorboard   logs, one version_N for each time the run was started
RUN/weights.safetensors    the best epoch's model (without validation the last one's), written at the end

The run of an ensemble holds a run of each model, RUN/model-1 and so on.
"""

from __future__ import annotations

import dataclasses
import gc
import json
import os
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import torch

import resblock
from resblock.errors import InputError
from resblock.evaluation import evaluate, summarise
from resblock.evaluation.splits import PARTS, Part, Split, codes_of, random_split, read_split, write_split
from resblock.files import read_text, write_text
from resblock.models import Ensemble, InverseFolder, Model, Scaling, choose_device, load_ensemble, save_ensemble
from resblock.pairs import Complex
from resblock.structure import FEATURE_VERSION
from resblock.training.choice import drawable, load_usable, refuse_final_test
from resblock.training.config import TrainingConfig, read_toml
from resblock.training.data import TrainingData
from resblock.training.description import Describer, columns_seen
from resblock.training.module import Training
from resblock.training.trainer import BEST, CHECKPOINTS, LAST, fit, new_trainer, quiet

CONFIG: Final = "config.toml"
SPLIT: Final = "split.tsv"
INHERITED: Final = "inherited.json"
WEIGHTS: Final = "weights.safetensors"


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a call of `train` came to."""

    weights: Path
    """The finished run's weights."""
    already_finished: bool
    """Nothing was done."""
    metrics: dict[str, Any]
    """Summary of the ranked validation complexes; empty in all processes but the leader."""
    leader: bool
    """Whether this is the process that writes, of those that train together."""


@dataclasses.dataclass(frozen=True)
class Inherited:
    """What a run takes over from others.

    Attributes
    ----------
    folder
        Network that has described the partners; goes with the weights.
    start
        Weights to begin with.
    """

    folder: InverseFolder | None = None
    start: Ensemble | None = None

    def digests(self) -> dict[str, str]:
        """What tells them from others."""
        given = {"folder": self.folder, "start": self.start}
        return {name: one.digest for name, one in given.items() if one is not None}

    def of(self, number: int, count: int) -> Inherited:
        """What the model of this number takes over, of so many.

        Raises
        ------
        InputError
            There are not as many models to begin with.
        """
        if self.start is None:
            return self
        if len(self.start.models) != count:
            raise InputError(f"--start: the weights have {len(self.start.models)} models, {count} are to be trained")
        return dataclasses.replace(self, start=Ensemble([self.start.models[number]]))


def train(
    data: str | os.PathLike[str],
    out: str | os.PathLike[str],
    config: TrainingConfig,
    split_file: str | os.PathLike[str] | None = None,
    device: str = "auto",
    *,
    folding: str | os.PathLike[str] | None = None,
    start: str | os.PathLike[str] | None = None,
) -> Outcome:
    """Train on prepared complexes, or go on with a run that was interrupted.

    Deterministic: the same data, configuration, number of processes and kind of machine give the same weights,
    interrupted or not. Started by `torchrun`, its processes train together.

    Parameters
    ----------
    data : path
        Directory of prepared complexes.
    out : path
        The run's directory; made if missing.
    config : TrainingConfig
    split_file : path, optional
        List for `resblock.evaluation.splits.read_split`; complexes it leaves out are not used.
        Without it the complexes are divided 6:2:2 by the seed. Where it has no validation part, the last epoch
        counts.
    device : {"auto", "cpu", "cuda"}
    folding : path, optional
        Directory of networks for inverse folding (`resblock.training.description`), which describe the partners.
    start : path, optional
        Weights to begin with in place of random ones, of as many models of the same settings.

    Raises
    ------
    InputError
        If data, list, configuration and weights do not fit together, or `out` holds something else.
    KeyboardInterrupt
        If interrupted; the finished epochs stay.
    """
    chosen_device = choose_device(device)
    describer = None if folding is None else Describer.load(folding)
    split, complexes = _divide(data, config, split_file, describer)
    parts = {part: [complexes[code] for code in codes_of(split, part) if code in complexes] for part in PARTS}
    inherited = Inherited(
        None if describer is None else describer.whole, None if start is None else load_ensemble(start)
    )
    return train_parts(Path(out), config, split, parts, device=chosen_device, inherited=inherited)


def train_parts(
    run: Path,
    config: TrainingConfig,
    split: Split,
    parts: Mapping[Part, list[Complex]],
    *,
    device: torch.device,
    inherited: Inherited | None = None,
) -> Outcome:
    """Train on complexes that are loaded, divided and described already; otherwise as `train`."""
    inherited = inherited or Inherited()
    refuse_final_test(complex for part in ("train", "validation") for complex in parts[part])
    parts = {**parts, "train": drawable(parts["train"], config.data)}
    if config.optimisation.ensemble > 1:
        return _train_ensemble(run, config, split, parts, device=device, inherited=inherited)
    try:
        return _train_one(run, config, split, parts, device=device, inherited=inherited)
    finally:
        # The trainer and its parts hold each other and the run's tables: hundreds of MiB that many runs would gather.
        gc.collect()


def _train_ensemble(
    run: Path,
    config: TrainingConfig,
    split: Split,
    parts: Mapping[Part, list[Complex]],
    *,
    device: torch.device,
    inherited: Inherited,
) -> Outcome:
    if int(os.environ.get("WORLD_SIZE", 1)) > 1:
        raise InputError("optimisation.ensemble: several models train in one process; start it without torchrun")
    _claim(run, config, split, inherited)
    if (run / WEIGHTS).exists():
        return _finished(run)
    optimisation = config.optimisation
    ensembles = []
    for number in range(optimisation.ensemble):
        seeded = dataclasses.replace(optimisation, seed=optimisation.seed + number, ensemble=1)
        one = dataclasses.replace(config, optimisation=seeded)
        own = inherited.of(number, optimisation.ensemble)
        outcome = train_parts(run / f"model-{number + 1}", one, split, parts, device=device, inherited=own)
        ensembles.append(load_ensemble(outcome.weights))
    metrics = _save(run, Ensemble.of(ensembles), parts["validation"], _card(config, parts, inherited))
    return Outcome(run / WEIGHTS, False, metrics, leader=True)


def _train_one(
    run: Path,
    config: TrainingConfig,
    split: Split,
    parts: Mapping[Part, list[Complex]],
    *,
    device: torch.device,
    inherited: Inherited,
) -> Outcome:
    model = new_model(config, parts["train"], inherited.of(0, 1).start)
    world_size = int(os.environ.get("WORLD_SIZE", 1))
    data = TrainingData(model, parts["train"], parts["validation"], config, world_size=world_size)
    model.calibrate(data.prior)
    leader = int(os.environ.get("RANK", 0)) == 0
    if leader:
        _claim(run, config, split, inherited)
    if (run / WEIGHTS).exists():
        return _finished(run, leader)
    last = run / CHECKPOINTS / f"{LAST}.ckpt"
    resume_from = last if last.exists() else None
    if resume_from is not None:
        _load_checkpoint(resume_from)
    with quiet():
        trainer = new_trainer(run, data, config, device)
        module = Training(model, config.optimisation, config.optimisation.epochs * data.steps_per_epoch)
        fit(trainer, module, data, resume_from)
        metrics = {}
        if leader:
            ensemble = Ensemble([model], folder=inherited.folder)
            metrics = _finish(run, ensemble, parts["validation"], _card(config, parts, inherited))
        trainer.strategy.barrier("the weights are written")
    return Outcome(run / WEIGHTS, False, metrics, leader)


def _finished(run: Path, leader: bool = True) -> Outcome:
    return Outcome(run / WEIGHTS, True, load_ensemble(run / WEIGHTS).card["validation"], leader)


def _divide(
    data: str | os.PathLike[str],
    config: TrainingConfig,
    split_file: str | os.PathLike[str] | None,
    describer: Describer | None,
) -> tuple[Split, dict[str, Complex]]:
    """The part of every complex, and the loaded ones."""
    listed = None if split_file is None else read_split(split_file)
    wanted = None if listed is None else codes_of(listed, "train") + codes_of(listed, "validation")
    usable = load_usable(data, config.data, wanted)
    described = usable if describer is None else map(describer.describe, usable)
    complexes = {complex.code: complex for complex in described}
    if listed is None:
        whole = sorted({complex.root for complex in complexes.values()})
        drawn = random_split(whole, config.optimisation.seed)
        return _with_variants(drawn, complexes), complexes
    split = _with_variants(listed, complexes)
    for part in ("train", "validation"):
        if part in listed.values() and part not in split.values():
            raise InputError(f"{split_file}: no complex to use in the part {part}")
    if "train" not in split.values():
        raise InputError(f"{split_file}: no complex in the part train")
    return split, complexes


def _with_variants(split: Split, complexes: Mapping[str, Complex]) -> Split:
    """Leave out what was not loaded, but of the test part, and add variants, which are for training alone."""
    parts: dict[str, Part] = {code: part for code, part in split.items() if part == "test" or code in complexes}
    for code, complex in complexes.items():
        if complex.origin and code not in parts and split.get(complex.root) == "train":
            parts[code] = "train"
    return parts


def _claim(run: Path, config: TrainingConfig, split: Split, inherited: Inherited) -> None:
    """Make the run's directory, or see that the one there is this run."""
    if run.exists() and (not run.is_dir() or not _unclaimed(run)):
        if not (run / CONFIG).is_file() or not (run / SPLIT).is_file():
            raise InputError(f"{run}: exists and is no training run; choose another directory")
        theirs = TrainingConfig().updated(read_toml(run / CONFIG))
        if theirs != config:
            raise InputError(f"{run}: holds a run with {_difference(theirs, config)}; choose another directory")
        if read_split(run / SPLIT) != split:
            raise InputError(f"{run}: holds a run with another split of complexes; choose another directory")
        before = run / INHERITED
        if (json.loads(read_text(before)) if before.is_file() else {}) != inherited.digests():
            raise InputError(f"{run}: holds a run that began with other weights; choose another directory")
        return
    try:
        run.mkdir(parents=True, exist_ok=True)
        write_split(run / SPLIT, split)
        if inherited.digests():
            write_text(run / INHERITED, json.dumps(inherited.digests()) + "\n")
        # The last, at once: a directory with a configuration is a whole run's, wherever a process was killed.
        write_text(run / CONFIG, config.to_toml())
    except OSError as error:
        raise InputError(f"{run}: cannot be written ({error.strerror})") from None


def _unclaimed(run: Path) -> bool:
    """Whether a directory is empty but for what a process leaves that is killed while it makes it a run's."""
    return all(path.name in (SPLIT, INHERITED) or path.name.startswith(f".{CONFIG}.") for path in run.iterdir())


def _difference(theirs: TrainingConfig, config: TrainingConfig) -> str:
    """The first field that differs."""
    mine = config.values()
    return next(
        f"{section}.{name} = {value!r} (asked for: {mine[section].get(name)!r})"
        for section, fields in theirs.values().items()
        for name, value in fields.items()
        if value != mine[section].get(name)
    )


def new_model(config: TrainingConfig, train: Sequence[Complex], start: Ensemble | None = None) -> Model[Any]:
    """Build a model of the configuration: untrained, its features scaled over the training complexes, or as `start`.

    Raises
    ------
    InputError
        The weights to begin with are of another model.
    """
    names = columns_seen(config.model, train[0].receptor) if train else ()
    torch.manual_seed(config.optimisation.seed)
    if start is None:
        return config.kind(config.model, Scaling.over(train, names))
    (before,) = start.models
    if type(before) is not config.kind or before.config != config.model or before.feature_names != names:
        raise InputError(f"--start: the weights are of {before.config}, to be trained is {config.model}")
    model = config.kind(config.model, before.scaling)
    own = {name for name, _ in model.named_parameters()}
    # The calibration is that of other complexes.
    model.load_state_dict({k: v for k, v in before.state_dict().items() if k in own}, strict=False)
    return model


def _finish(run: Path, ensemble: Ensemble, validation: Sequence[Complex], card: dict[str, Any]) -> dict[str, Any]:
    """Write the model of the epoch that counts."""
    checkpoint = _load_checkpoint(run / CHECKPOINTS / f"{BEST if validation else LAST}.ckpt")
    state, prefix = checkpoint["state_dict"], "model."
    (model,) = ensemble.models
    model.load_state_dict({k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)})
    return _save(run, ensemble, validation, {**card, "epoch": checkpoint["epoch"] + 1})


def _save(run: Path, ensemble: Ensemble, validation: Sequence[Complex], card: dict[str, Any]) -> dict[str, Any]:
    """Write an ensemble with how well it ranks all pairs of the validation complexes."""
    metrics = dataclasses.asdict(summarise(evaluate(ensemble, validation))) if validation else {}
    ensemble.card.update(card, validation=metrics)
    save_ensemble(run / WEIGHTS, ensemble)
    return metrics


def _load_checkpoint(path: Path) -> dict[str, Any]:
    try:
        checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, pickle.UnpicklingError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path}: damaged checkpoint ({reason}); remove the run and start it again") from None
    return checkpoint


def _card(config: TrainingConfig, parts: Mapping[Part, list[Complex]], inherited: Inherited) -> dict[str, Any]:
    card = {
        "resblock": resblock.__version__,
        "torch": torch.__version__,
        "feature_version": FEATURE_VERSION,
        "config": config.values(),
        "complexes": {part: [complex.code for complex in parts[part]] for part in ("train", "validation")},
    }
    return card if inherited.start is None else {**card, "start": inherited.start.card}
