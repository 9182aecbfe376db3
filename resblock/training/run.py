"""A training run in a directory: started, interrupted, resumed, finished.

RUN/config.toml            the resolved configuration
RUN/split.tsv              the part of every complex
RUN/checkpoints/           the last epoch and the best one
RUN/csv, RUN/tensorboard   logs, one version_N for each time the run was started
RUN/weights.safetensors    the best epoch's scorer (without validation the last one's), written at the end

A run of several members holds a run of each, RUN/member-1 and so on, and their average as weights.safetensors.
"""

from __future__ import annotations

import dataclasses
import gc
import os
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import torch

import resblock
from resblock.errors import InputError
from resblock.nn import ChainNetwork, ResAttnLSTM
from resblock.pairs import Dimer, load_dimers
from resblock.pairs.graph import EDGE_SIZE
from resblock.ranking import summary
from resblock.scoring import (
    ChainScorer,
    EnsembleScorer,
    NetworkScorer,
    Scorer,
    WindowScorer,
    choose_device,
    load_scorer,
)
from resblock.structure import FEATURE_VERSION, feature_names
from resblock.structure.files import write_atomically
from resblock.training.config import TrainingConfig, read_toml
from resblock.training.data import DimerData
from resblock.training.evaluation import evaluate
from resblock.training.module import Training
from resblock.training.split import PARTS, Part, Split, codes_of, random_split, read_split, write_split
from resblock.training.trainer import BEST, CHECKPOINTS, LAST, fit, new_trainer, quiet

CONFIG: Final = "config.toml"
SPLIT: Final = "split.tsv"
WEIGHTS: Final = "weights.safetensors"


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a call of `train` came to."""

    weights: Path
    """The finished run's weights."""
    already_finished: bool
    """Nothing was done."""
    figures: dict[str, Any]
    """Ranking of the validation dimers with these weights; empty in all processes but the leader."""
    leader: bool
    """Whether this is the process that writes, of those that train together."""


def train(
    data: str | os.PathLike[str],
    out: str | os.PathLike[str],
    config: TrainingConfig,
    split_file: str | os.PathLike[str] | None = None,
    device: str = "auto",
    features: str | None = None,
) -> Outcome:
    """Train on prepared dimers, or go on with a run that was interrupted.

    Deterministic: the same data, configuration, number of processes and kind of machine give the same weights,
    interrupted or not. Started by `torchrun`, its processes train together.

    Parameters
    ----------
    data : path
        Directory of prepared dimers.
    out : path
        The run's directory; made if missing.
    config : TrainingConfig
    split_file : path, optional
        List for `resblock.training.split.read_split`; complexes it leaves out are not used.
        Without it the complexes are divided 6:2:2 by the seed. Where it has no validation part, the last epoch
        counts.
    device : {"auto", "cpu", "cuda"}
    features : str, optional
        Feature set that the network sees; see `columns`.

    Raises
    ------
    InputError
        If data, list and configuration do not fit together, or `out` holds something else.
    KeyboardInterrupt
        If interrupted; the finished epochs are kept.
    """
    chosen_device = choose_device(device)
    split, dimers = _divide(data, config, split_file, columns(config, features))
    parts = {part: [dimers[code] for code in codes_of(split, part) if code in dimers] for part in PARTS}
    return train_parts(Path(out), config, split, parts, chosen_device)


def columns(config: TrainingConfig, features: str | None = None) -> tuple[str, ...] | None:
    """Feature columns that a network sees; None for all that its data have.

    Without the name of a feature set, windows have the paper's nine, whatever else the data hold: the presets that read
    them are networks for nine features. Whole partners have all.
    """
    if features is None and config.data.reading == "chain":
        return None
    return feature_names(features or "paper")


def train_parts(
    run: Path, config: TrainingConfig, split: Split, parts: Mapping[Part, list[Dimer]], device: torch.device
) -> Outcome:
    """Train on dimers that are loaded and divided already; otherwise as `train`."""
    if config.optimisation.members > 1:
        return _train_members(run, config, split, parts, device)
    try:
        return _train_one(run, config, split, parts, device)
    finally:
        # The trainer and its parts hold each other and the run's tables: hundreds of MiB that many runs would gather.
        gc.collect()


def _train_members(
    run: Path, config: TrainingConfig, split: Split, parts: Mapping[Part, list[Dimer]], device: torch.device
) -> Outcome:
    if int(os.environ.get("WORLD_SIZE", 1)) > 1:
        raise InputError("optimisation.members: several members train in one process; start it without torchrun")
    _claim(run, config, split)
    if (run / WEIGHTS).exists():
        return _finished(run, parts["train"])
    optimisation = config.optimisation
    for number in range(optimisation.members):
        seeded = dataclasses.replace(optimisation, seed=optimisation.seed + number, members=1)
        member = dataclasses.replace(config, optimisation=seeded)
        train_parts(run / f"member-{number + 1}", member, split, parts, device)
    paths = [run / f"member-{number + 1}" / WEIGHTS for number in range(optimisation.members)]
    members = [scorer for path in paths if isinstance(scorer := load_scorer(path), NetworkScorer)]
    ensemble = EnsembleScorer(members)
    figures = _save(run, ensemble, parts["validation"], _card(config, parts))
    return Outcome(run / WEIGHTS, False, figures, leader=True)


def _train_one(
    run: Path, config: TrainingConfig, split: Split, parts: Mapping[Part, list[Dimer]], device: torch.device
) -> Outcome:
    batches = DimerData(parts["train"], parts["validation"], config, int(os.environ.get("WORLD_SIZE", 1)))
    leader = int(os.environ.get("RANK", 0)) == 0
    if leader:
        _claim(run, config, split)
    if (run / WEIGHTS).exists():
        return _finished(run, parts["train"], leader)
    last = run / CHECKPOINTS / f"{LAST}.ckpt"
    resume_from = last if last.exists() else None
    if resume_from is not None:
        _check_features(run, len(_load_checkpoint(resume_from)["state_dict"]["scorer.mean"]), parts["train"])
    with quiet():
        trainer = new_trainer(run, batches, config, device)
        module = _module(batches, config)
        fit(trainer, module, batches, resume_from)
        figures = {}
        if leader:
            figures = _finish(run, module.scorer, parts["validation"], _card(config, parts))
        trainer.strategy.barrier("the weights are written")
    return Outcome(run / WEIGHTS, False, figures, leader)


def _finished(run: Path, learned: Sequence[Dimer], leader: bool = True) -> Outcome:
    scorer = load_scorer(run / WEIGHTS)
    _check_features(run, len(scorer.feature_names), learned)
    return Outcome(run / WEIGHTS, True, scorer.card["validation"], leader)


def _check_features(run: Path, theirs: int, learned: Sequence[Dimer]) -> None:
    """Refuse a run on other columns: the configuration does not tell them."""
    ours = len(learned[0].feature_names)
    if theirs != ours:
        raise InputError(f"{run}: holds a run on {theirs} features (asked for: {ours}); choose another directory")


def _divide(
    data: str | os.PathLike[str],
    config: TrainingConfig,
    split_file: str | os.PathLike[str] | None,
    features: Sequence[str] | None,
) -> tuple[Split, dict[str, Dimer]]:
    """The part of every complex, and the loaded ones."""
    listed = None if split_file is None else read_split(split_file)
    codes = None if listed is None else codes_of(listed, "train") + codes_of(listed, "validation")
    dimers = {
        dimer.code: dimer
        for dimer in load_dimers(data, codes, features)
        if config.data.complexes == "all" or dimer.is_dimer
    }
    if listed is None:
        return random_split(list(dimers), config.optimisation.seed), dimers
    split = {code: part for code, part in listed.items() if part == "test" or code in dimers}
    for part in ("train", "validation"):
        if part in listed.values() and part not in split.values():
            raise InputError(f"{split_file}: no complex to use in the part {part}")
    if "train" not in split.values():
        raise InputError(f"{split_file}: no complex in the part train")
    return split, dimers


def _claim(run: Path, config: TrainingConfig, split: Split) -> None:
    """Make the run's directory, or see that the one there is this run."""
    if run.exists() and (not run.is_dir() or not _unclaimed(run)):
        if not (run / CONFIG).is_file() or not (run / SPLIT).is_file():
            raise InputError(f"{run}: exists and is no training run; choose another directory")
        theirs = TrainingConfig().updated(read_toml(run / CONFIG))
        if theirs != config:
            raise InputError(f"{run}: holds a run with {_difference(theirs, config)}; choose another directory")
        if read_split(run / SPLIT) != split:
            raise InputError(f"{run}: holds a run with another split of complexes; choose another directory")
        return
    try:
        run.mkdir(parents=True, exist_ok=True)
        write_split(run / SPLIT, split)
        # The last, at once: a directory with a configuration is a whole run's, wherever a process was killed.
        write_atomically(run / CONFIG, lambda stream: stream.write(config.to_toml().encode()))
    except OSError as error:
        raise InputError(f"{run}: cannot be written ({error.strerror})") from None


def _unclaimed(run: Path) -> bool:
    """Whether a directory is empty but for what a process leaves that is killed while it makes it a run's."""
    return all(path.name == SPLIT or path.name.startswith(f".{CONFIG}.") for path in run.iterdir())


def _difference(theirs: TrainingConfig, config: TrainingConfig) -> str:
    """The first field that differs."""
    mine = dataclasses.asdict(config)
    return next(
        f"{section}.{name} = {value!r} (asked for: {mine[section][name]!r})"
        for section, fields in dataclasses.asdict(theirs).items()
        for name, value in fields.items()
        if value != mine[section][name]
    )


def _module(batches: DimerData, config: TrainingConfig) -> Training:
    torch.manual_seed(config.optimisation.seed)
    scorer = new_scorer(config, batches)
    total_steps = config.optimisation.epochs * batches.steps_per_epoch
    return Training(scorer, config.optimisation, total_steps)


def new_scorer(config: TrainingConfig, batches: DimerData) -> NetworkScorer:
    """Build an untrained scorer of the kind that the configuration asks for, for the features of the data."""
    names = batches.train[0].feature_names
    given = (batches.mean, batches.scale, names)
    if config.data.reading == "chain":
        chain = dataclasses.replace(config.chain, input_size=len(names), edge_size=EDGE_SIZE)
        return ChainScorer(ChainNetwork(chain), *given, log_odds_shift=batches.log_odds_shift)
    network = dataclasses.replace(config.network, input_size=2 * len(names))
    scorer = WindowScorer(ResAttnLSTM.from_config(network), *given, log_odds_shift=batches.log_odds_shift)
    scorer.side = config.data.window
    return scorer


def _finish(run: Path, scorer: NetworkScorer, validation: Sequence[Dimer], card: dict[str, Any]) -> dict[str, Any]:
    """Write the scorer of the epoch that counts."""
    checkpoint = _load_checkpoint(run / CHECKPOINTS / f"{BEST if validation else LAST}.ckpt")
    state, prefix = checkpoint["state_dict"], "scorer."
    scorer.load_state_dict({k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)})
    return _save(run, scorer, validation, {**card, "epoch": checkpoint["epoch"] + 1})


def _save(run: Path, scorer: Scorer, validation: Sequence[Dimer], card: dict[str, Any]) -> dict[str, Any]:
    """Write a scorer with how well it ranks all pairs of the validation dimers."""
    figures = dataclasses.asdict(summary(evaluate(scorer, validation))) if validation else {}
    scorer.card = {**card, "validation": figures}
    scorer.save(run / WEIGHTS)
    return figures


def _load_checkpoint(path: Path) -> dict[str, Any]:
    try:
        checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, pickle.UnpicklingError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path}: damaged checkpoint ({reason}); remove the run and start it again") from None
    return checkpoint


def _card(config: TrainingConfig, parts: Mapping[Part, list[Dimer]]) -> dict[str, Any]:
    return {
        "resblock": resblock.__version__,
        "torch": torch.__version__,
        "feature_version": FEATURE_VERSION,
        "config": dataclasses.asdict(config),
        "complexes": {part: [dimer.code for dimer in parts[part]] for part in ("train", "validation")},
    }
