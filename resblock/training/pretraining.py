"""Training a network for inverse folding in a directory: started, interrupted, resumed, finished.

RUN/config.toml            the configuration
RUN/checkpoint.pt          the last epoch
RUN/log.tsv                loss, perplexity and recovery of every epoch
RUN/weights.safetensors    the network, written at the end
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import torch

import resblock
from resblock.errors import InputError
from resblock.evaluation.groups import Member
from resblock.files import read_text, write_atomically, write_text
from resblock.models.inverse_folding import InverseFolder, InverseFoldingConfig
from resblock.training.config import parse_setting, replace_fields
from resblock.training.folding import FoldingRun, PretrainingConfig, load_partners

CONFIG: Final = "config.toml"
CHECKPOINT: Final = "checkpoint.pt"
LOG: Final = "log.tsv"
WEIGHTS: Final = "weights.safetensors"


@dataclasses.dataclass(frozen=True)
class Settings:
    """Network and optimisation of a run."""

    network: InverseFoldingConfig = dataclasses.field(default_factory=InverseFoldingConfig)
    optimisation: PretrainingConfig = dataclasses.field(default_factory=PretrainingConfig)

    def __post_init__(self) -> None:
        self.network.check()
        self.optimisation.check()

    @classmethod
    def of(cls, settings: Sequence[str] = ()) -> Settings:
        """Replace fields of the default, each by a ``section.field=value``.

        Raises
        ------
        InputError
            A setting is unknown, of the wrong type or impossible.
        """
        given = cls()
        for setting in settings:
            given = given.updated(parse_setting(setting))
        return given

    def updated(self, values: Mapping[str, Mapping[str, Any]]) -> Settings:
        """Replace fields by sections.

        Raises
        ------
        InputError
            As of `of`.
        """
        sections: dict[str, Any] = {"network": self.network, "optimisation": self.optimisation}
        for name, fields in values.items():
            if name not in sections:
                raise InputError(f"section {name!r} is unknown; the sections are {', '.join(sections)}")
            sections[name] = replace_fields(name, sections[name], fields)
        return Settings(**sections)

    def to_toml(self, left_out: int | None) -> str:
        """Write as TOML, with the group that is left out."""
        sections = {**dataclasses.asdict(self), "groups": {} if left_out is None else {"left_out": left_out}}
        blocks = [
            "\n".join([f"[{section}]", *(f"{name} = {json.dumps(value)}" for name, value in fields.items())])
            for section, fields in sections.items()
        ]
        return "\n\n".join(blocks) + "\n"


def pretrain(
    data: str | os.PathLike[str],
    out: str | os.PathLike[str],
    settings: Settings,
    *,
    members: Sequence[Member] = (),
    left_out: int | None = None,
    progress: Callable[[str], object] = lambda said: None,
) -> Path:
    """Train a network for inverse folding on the partners of prepared complexes, or go on with a run.

    Deterministic: interrupted or not, the same data and settings give the same weights on one kind of machine.

    Parameters
    ----------
    data : path
        Directory of prepared complexes. Those of the final test are not trained on.
    out : path
        The run's directory; made if missing.
    settings : Settings
    members : sequence of Member
        Clusters and groups of partners (`resblock.evaluation.groups`). Without them a complex's cluster is that of its
        partners.
    left_out : int, optional
        Group whose clusters are left out, whole.
    progress : callable
        Called with a line after every epoch.

    Returns
    -------
    Path
        The network's file, for `resblock.models.inverse_folding.InverseFolder.load`.

    Raises
    ------
    InputError
        Data, groups and settings do not fit together, or `out` holds another run.
    """
    out = Path(out)
    _claim(out, settings.to_toml(left_out))
    if (out / WEIGHTS).exists():
        return out / WEIGHTS
    optimisation = settings.optimisation
    partners = load_partners(data, settings.network.neighbours, optimisation.cluster_power, members, left_out)
    train, held = partners.divided(optimisation.validation_share, optimisation.seed)
    run = FoldingRun(settings.network, optimisation, train, held)
    if (out / CHECKPOINT).exists():
        run.load(out / CHECKPOINT)
    while run.epoch < optimisation.epochs:
        said = run.train_epoch()
        write_atomically(out / CHECKPOINT, lambda stream: torch.save(run.state(), stream))
        write_text(out / LOG, run.log)
        progress(said)
    card = {
        "resblock": resblock.__version__,
        "complexes": sorted(set(train.codes)),
        "left_out": left_out,
        "settings": dataclasses.asdict(optimisation),
    }
    InverseFolder(settings.network, run.network, card).save(out / WEIGHTS)
    return out / WEIGHTS


def _claim(out: Path, wanted: str) -> None:
    """Make the run's directory, or see that the one there is this run."""
    if (out / CONFIG).is_file():
        if read_text(out / CONFIG) != wanted:
            raise InputError(f"{out}: holds a run with other settings; choose another directory")
        return
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out}: exists and is no pretraining run; choose another directory")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{out}: cannot be made ({error.strerror})") from None
    write_text(out / CONFIG, wanted)
