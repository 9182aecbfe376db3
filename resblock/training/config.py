"""What a training run is made of: frozen configurations, the presets, and TOML on top of them."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import sys
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

from resblock.errors import InputError
from resblock.nn import ChainNetworkConfig, ResAttnLSTMConfig
from resblock.ops import OUTPUT_PEEPHOLES
from resblock.pairs.windows import SIDE

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


_KINDS: Final = {int: "a whole number", float: "a finite number", bool: "true or false", str: "a string"}

#: Fields of the network that the data decide.
GIVEN: Final = ("input_size", "num_classes", "edge_size")


def _check_network(network: ResAttnLSTMConfig) -> None:
    _require(network.hidden_size >= 1, "network.hidden_size", "at least 1", network)
    _require(network.num_layers >= 1, "network.num_layers", "at least 1", network)
    _require(0 <= network.input_dropout < 1, "network.input_dropout", "from 0 to below 1", network)
    _require(0 <= network.dropout < 1, "network.dropout", "from 0 to below 1", network)
    _require(
        network.output_peephole in OUTPUT_PEEPHOLES, "network.output_peephole", " or ".join(OUTPUT_PEEPHOLES), network
    )


def _check_chain(chain: ChainNetworkConfig) -> None:
    _require(chain.size >= 2 and chain.size % 2 == 0, "chain.size", "even and at least 2", chain)
    _require(chain.pair_size >= 2, "chain.pair_size", "at least 2", chain)
    _require(chain.lstm_layers >= 1, "chain.lstm_layers", "at least 1", chain)
    _require(0 <= chain.input_dropout < 1, "chain.input_dropout", "from 0 to below 1", chain)
    _require(0 <= chain.dropout < 1, "chain.dropout", "from 0 to below 1", chain)
    chain.blocks()


def _require(holds: bool, name: str, wanted: str, config: Any) -> None:
    if not holds:
        raise InputError(f"{name} is {getattr(config, name.partition('.')[2])}; it must be {wanted}")


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """Which complexes and which of their residue pairs are learned from; the defaults are the paper's."""

    reading: Literal["windows", "chain"] = "windows"
    """What the network sees: the window of a pair (section `network`), or whole partners residue by residue
    (section `chain`)."""
    complexes: Literal["dimers", "all"] = "dimers"
    """Train and validate on complexes of two single chains only, or on all."""
    window: int = SIDE
    """With `windows`: residues of each partner in the window of a pair, odd; 1 for the pair alone."""
    selection: Literal["closest", "random"] = "closest"
    """With `windows`, pairs to learn from: the closest in the bound complex, or negatives drawn afresh every epoch."""
    closest_per_true_pair: float = 10.0
    """With `closest`: pairs kept, as a multiple of the number of true pairs, before their neighbours are added."""
    negatives_per_true_pair: float = 8.0
    """With `random`: negatives drawn for every true pair."""
    negatives_per_dimer: int = 2000
    """With `chain`: negatives drawn afresh every epoch from each dimer, beside all of its true pairs."""
    true_weight: float = 0.0
    """Share of the loss that true pairs have, in a batch with `windows`, of a dimer with `chain`; 0 for that by their
    number."""
    validation_pairs: int = 3000
    """Surface pairs per validation dimer, besides the true ones, that early stopping ranks after an epoch."""

    def check(self) -> None:
        """Refuse values that mean nothing."""
        _require(self.window >= 1 and self.window % 2 == 1, "data.window", "odd and at least 1", self)
        _require(self.closest_per_true_pair > 0, "data.closest_per_true_pair", "above 0", self)
        _require(self.negatives_per_true_pair > 0, "data.negatives_per_true_pair", "above 0", self)
        _require(self.negatives_per_dimer >= 1, "data.negatives_per_dimer", "at least 1", self)
        _require(0 <= self.true_weight < 1, "data.true_weight", "from 0 to below 1", self)
        _require(self.validation_pairs >= 1, "data.validation_pairs", "at least 1", self)


@dataclasses.dataclass(frozen=True)
class OptimisationConfig:
    """How the weights are found; optimiser, batch and loss are the paper's."""

    loss: Literal["cross-entropy", "focal", "top"] = "cross-entropy"
    """Of pairs (`resblock.scoring.losses`): the paper's, or one for the hard pairs, or for the first ranks. After
    another than cross-entropy, scores are probabilities only once they have been calibrated."""
    optimiser: Literal["adam", "adamw"] = "adam"
    learning_rate: float = 1e-3
    """With the one-cycle schedule, its peak."""
    weight_decay: float = 0.0
    schedule: Literal["constant", "one-cycle"] = "constant"
    batch_size: int = 500
    """Pairs per step, or dimers with the reading `chain`, shared by all processes."""
    epochs: int = 20
    """At most; early stopping may end a run before."""
    patience: int = 5
    """Epochs without a better validation AUROC before a run ends."""
    gradient_clip: float = 0.0
    """Largest norm of the gradient; 0 leaves it alone."""
    seed: int = 1
    """Of the initial weights, the dropout, the drawn pairs and, without a list, the split."""
    members: int = 1
    """Networks trained one after the other with the seeds from `seed` on, and averaged."""

    def check(self) -> None:
        """Refuse values with which nothing can be learned."""
        _require(self.learning_rate > 0, "optimisation.learning_rate", "above 0", self)
        _require(self.weight_decay >= 0, "optimisation.weight_decay", "0 or above", self)
        _require(self.batch_size >= 1, "optimisation.batch_size", "at least 1", self)
        _require(self.epochs >= 1, "optimisation.epochs", "at least 1", self)
        _require(self.patience >= 1, "optimisation.patience", "at least 1", self)
        _require(self.gradient_clip >= 0, "optimisation.gradient_clip", "0 or above", self)
        _require(0 <= self.seed < 2**32, "optimisation.seed", "from 0 to below 2**32", self)
        _require(self.members >= 1, "optimisation.members", "at least 1", self)


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """A training run. The defaults are the preset `paper`: Liu & Gong 2019, "Training"."""

    data: DataConfig = dataclasses.field(default_factory=DataConfig)
    network: ResAttnLSTMConfig = dataclasses.field(default_factory=ResAttnLSTMConfig)
    chain: ChainNetworkConfig = dataclasses.field(default_factory=ChainNetworkConfig)
    optimisation: OptimisationConfig = dataclasses.field(default_factory=OptimisationConfig)

    def __post_init__(self) -> None:
        self.data.check()
        _check_network(self.network)
        _check_chain(self.chain)
        self.optimisation.check()

    def updated(self, values: Mapping[str, Any]) -> TrainingConfig:
        """Replace fields by `values`, a mapping of sections to mappings of fields.

        Raises
        ------
        InputError
            If a section or field is unknown, or a value has the wrong type or is impossible.
        """
        sections = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        for name, fields in values.items():
            if name not in sections:
                raise InputError(f"section {name!r} is unknown; the sections are {', '.join(sections)}")
            if not isinstance(fields, Mapping):
                raise InputError(f"{name!r} is a section: write [{name}] and its fields below")
            sections[name] = _replace(name, sections[name], fields)
        return TrainingConfig(**sections)

    def to_toml(self) -> str:
        """Write as TOML that `read_toml` takes."""
        blocks = []
        for section, values in dataclasses.asdict(self).items():
            # JSON's strings, numbers and booleans are TOML's.
            lines = [f"{name} = {json.dumps(value)}" for name, value in values.items() if name not in GIVEN]
            blocks.append("\n".join([f"[{section}]", *lines]))
        return "\n\n".join(blocks) + "\n"


_CHAIN: Final = OptimisationConfig(
    optimiser="adamw",
    learning_rate=2e-3,
    weight_decay=1e-2,
    schedule="one-cycle",
    batch_size=4,
    epochs=20,
    patience=20,
    gradient_clip=1.0,
)


def _by_residue(chain: ChainNetworkConfig) -> TrainingConfig:
    return TrainingConfig(
        DataConfig(reading="chain", complexes="all", true_weight=0.5), chain=chain, optimisation=_CHAIN
    )


PRESETS: Final[Mapping[str, TrainingConfig]] = {
    "paper": TrainingConfig(),
    "windows": TrainingConfig(
        data=DataConfig(complexes="all", selection="random"),
        network=ResAttnLSTMConfig(hidden_size=32, num_layers=4, input_dropout=0.1, dropout=0.1),
        optimisation=OptimisationConfig(
            optimiser="adamw",
            learning_rate=3e-3,
            weight_decay=1e-3,
            schedule="one-cycle",
            batch_size=64,
            epochs=8,
            patience=8,
            gradient_clip=1.0,
        ),
    ),
    "residues": _by_residue(ChainNetworkConfig()),
    "neighbours": _by_residue(ChainNetworkConfig(encoder="attention", input_dropout=0.2, dropout=0.3)),
    "chain": _by_residue(ChainNetworkConfig(encoder="lstm", input_dropout=0.2, dropout=0.3)),
}


def resolve_config(
    preset: str = "paper", file: str | os.PathLike[str] | None = None, settings: tuple[str, ...] = ()
) -> TrainingConfig:
    """Take a preset, then a TOML file's fields, then single settings.

    Parameters
    ----------
    preset : str
        A name of `PRESETS`.
    file : path, optional
        TOML with the sections data, network, chain and optimisation.
    settings : tuple of str
        Each ``section.field=value``, the value in TOML's notation (a string may lack its quotes).

    Raises
    ------
    InputError
        If anything is unknown, of the wrong type or impossible; the message names the file or setting.
    """
    if preset not in PRESETS:
        raise InputError(f"preset {preset!r} is unknown; the presets are {', '.join(PRESETS)}")
    config = PRESETS[preset]
    if file is not None:
        values = read_toml(file)
        try:
            config = config.updated(values)
        except InputError as error:
            raise InputError(f"{file}: {error}") from None
    for setting in settings:
        try:
            config = config.updated(_parse_setting(setting))
        except InputError as error:
            raise InputError(f"setting {setting!r}: {error}") from None
    return config


def read_toml(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a TOML file.

    Raises
    ------
    InputError
        If it is missing, unreadable or no TOML.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from None
    try:
        values: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path}: is no TOML ({error})") from None
    return values


def _parse_setting(setting: str) -> dict[str, Any]:
    name, equals, value = setting.partition("=")
    section, dot, field = name.strip().partition(".")
    if not (equals and dot and field):
        raise InputError("is not of the form section.field=value")
    try:
        parsed = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value.strip()
    return {section: {field: parsed}}


def _replace(section: str, config: Any, values: Mapping[str, Any]) -> Any:
    types = _field_types(type(config))
    checked = {}
    for name, value in values.items():
        if name not in types:
            raise InputError(f"field {section}.{name} is unknown; [{section}] has {', '.join(types)}")
        checked[name] = _typed(f"{section}.{name}", types[name], value)
    return dataclasses.replace(config, **checked)


def _field_types(config: type) -> dict[str, Any]:
    return {name: kind for name, kind in typing.get_type_hints(config).items() if name not in GIVEN}


def _typed(name: str, wanted: Any, value: Any) -> Any:
    if typing.get_origin(wanted) is Literal:
        choices = typing.get_args(wanted)
        if value not in choices:
            raise InputError(f"{name} is {value!r}; choose {' or '.join(map(repr, choices))}")
        return value
    if wanted is float and type(value) is int:
        return float(value)
    if type(value) is not wanted or (wanted is float and not math.isfinite(value)):
        raise InputError(f"{name} is {value!r}; expected {_KINDS[wanted]}")
    return value
