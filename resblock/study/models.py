"""Training runs that the parts of the study share."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Mapping
from typing import Final

from resblock.evaluation.splits import Part, Split
from resblock.pairs import Dimer
from resblock.scoring import EnsembleScorer, NetworkScorer, choose_device, load_scorer
from resblock.study.part import Study
from resblock.training.config import TrainingConfig
from resblock.training.run import train_parts

#: Epochs of the quick setting.
QUICK_EPOCHS: Final = 2
#: Parts that a training sees.
LEARNED: Final[tuple[Part, ...]] = ("train", "validation")


def seeded(config: TrainingConfig, seed: int) -> TrainingConfig:
    """The configuration with another seed."""
    return dataclasses.replace(config, optimisation=dataclasses.replace(config.optimisation, seed=seed))


def trained(
    study: Study, name: str, config: TrainingConfig, seed: int, features: str = "paper"
) -> NetworkScorer | EnsembleScorer:
    """Train on the study's training part, stop on its validation part; a run that is there already is taken.

    With `Study.quick`, `QUICK_EPOCHS` epochs.

    Parameters
    ----------
    study : Study
    name : str
        For a reader of the directory of runs; data, split and configuration are told by a digest behind it.
    config : TrainingConfig
        Its seed is replaced.
    seed : int
    features : str
        Feature set that the network sees.
    """
    config = seeded(config, seed)
    if study.quick:
        epochs = min(QUICK_EPOCHS, config.optimisation.epochs)
        config = dataclasses.replace(config, optimisation=dataclasses.replace(config.optimisation, epochs=epochs))
    parts: dict[Part, list[Dimer]] = {part: _usable(study.dimers(part, features), config) for part in LEARNED}
    split: Split = {dimer.code: part for part, dimers in parts.items() for dimer in dimers}
    digest = _digest(config, parts)
    # The same network may have been trained under another name.
    found = sorted(study.runs.glob(f"*-{digest}"))
    run = found[0] if found else study.runs / f"{re.sub(r'[^a-z0-9]+', '-', name.lower())}-seed-{seed}-{digest}"
    study.progress(f"training: {name}, seed {seed}")
    device = choose_device(study.device)
    outcome = train_parts(run, config, split, {**parts, "test": []}, device)
    return load_scorer(outcome.weights, device)


def _usable(dimers: list[Dimer], config: TrainingConfig) -> list[Dimer]:
    return [dimer for dimer in dimers if config.data.complexes == "all" or dimer.is_dimer]


def _digest(config: TrainingConfig, parts: Mapping[Part, list[Dimer]]) -> str:
    """Eight hexadecimal digits of what decides the weights."""
    said = hashlib.sha256(config.to_toml().encode())
    for part, dimers in parts.items():
        said.update(part.encode())
        for dimer in dimers:
            said.update(f"{dimer.code} {dimer.key} {','.join(dimer.feature_names)}".encode())
    return said.hexdigest()[:8]
