"""What a search and every part of the study work on: divided complexes, and training runs that they share."""

from __future__ import annotations

import fcntl
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from resblock.evaluation.splits import PARTS, Part, Split, codes_of
from resblock.models import Ensemble, choose_device, load_ensemble
from resblock.pairs import Complex, load_complexes
from resblock.training.config import TrainingConfig
from resblock.training.run import train_parts

#: Parts that a training sees.
_TRAINED_ON: Final[tuple[Part, ...]] = ("train", "validation")


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """Complexes divided into parts, and where results go.

    Attributes
    ----------
    data
        Directory of prepared complexes.
    out
        Directory of the results, which exists.
    runs
        Directory of the training runs.
    split
        Part of every complex that is used.
    seeds
        Of trainings; at least one.
    device
        auto, cpu or cuda.
    progress
        Called with what is being done.
    """

    data: Path
    out: Path
    runs: Path
    split: Split
    seeds: tuple[int, ...]
    device: str = "auto"
    progress: Callable[[str], object] = field(default=lambda what: None)

    def complexes(self, part: Part) -> list[Complex]:
        """Prepared complexes of one part of the split.

        Raises
        ------
        InputError
            If one is missing or cannot be read.
        """
        return load_complexes(self.data, codes_of(self.split, part))

    def about(self) -> str:
        """On what is measured, for notes: numbers of complexes by part, and seeds."""
        counts = ", ".join(f"{len(codes_of(self.split, part))} {part}" for part in PARTS)
        return f"Complexes: {counts}. Seeds: {', '.join(map(str, self.seeds))}."

    def trained(self, name: str, config: TrainingConfig, seed: int) -> Ensemble:
        """Train on the part train and stop on the part validation, or take the run that is there already.

        Parameters
        ----------
        name : str
            For a reader of the directory of runs; data, split and configuration are told by a digest behind it.
        config : TrainingConfig
            Its seed is replaced.
        seed : int
        """
        config = config.seeded(seed)
        parts = {part: usable(self.complexes(part), config) for part in _TRAINED_ON}
        split: Split = {one.code: part for part, complexes in parts.items() for one in complexes}
        digest = _digest(config, parts)
        self.progress(f"training: {name}, seed {seed}")
        device = choose_device(self.device)
        with _alone(self.runs, digest):
            # The same model may have been trained under another name.
            found = sorted(self.runs.glob(f"*-{digest}"))
            run = found[0] if found else self.runs / f"{re.sub(r'[^a-z0-9]+', '-', name.lower())}-seed-{seed}-{digest}"
            outcome = train_parts(run, config, split, {**parts, "test": []}, device=device)
        return load_ensemble(outcome.weights, device)


def usable(complexes: Sequence[Complex], config: TrainingConfig) -> list[Complex]:
    """Complexes that a configuration is about."""
    return [one for one in complexes if config.data.complexes == "all" or one.is_dimer]


@contextmanager
def _alone(runs: Path, digest: str) -> Iterator[None]:
    """Keep others on this machine from a run: a worker that was taken for dead may still live, unheard."""
    runs.mkdir(parents=True, exist_ok=True)
    with open(runs / f".{digest}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _digest(config: TrainingConfig, parts: Mapping[Part, Sequence[Complex]]) -> str:
    """Eight hexadecimal digits of what decides the weights."""
    said = hashlib.sha256(f"{config.kind.version} {config.to_toml()}".encode())
    for part, complexes in parts.items():
        said.update(part.encode())
        for one in complexes:
            said.update(f"{one.code} {one.key}".encode())
    return said.hexdigest()[:8]
