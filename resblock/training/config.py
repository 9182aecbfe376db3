"""What a training run is made of: frozen configurations, the presets, and TOML on top of them."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import sys
import typing
from collections.abc import Mapping
from typing import Any, Final, Literal

from resblock.errors import InputError
from resblock.files import read_text
from resblock.models import KINDS, Model, ModelConfig, settings
from resblock.models.files import DERIVED
from resblock.models.residues import ResidueModelConfig
from resblock.models.windows import WindowModel, WindowModelConfig

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


_KINDS: Final = {int: "a whole number", float: "a finite number", bool: "true or false", str: "a string"}

#: The field that says which model a section describes.
KIND: Final = "kind"


def _require(holds: bool, name: str, wanted: str, config: Any) -> None:
    if not holds:
        raise InputError(f"{name} is {getattr(config, name.partition('.')[2])}; it must be {wanted}")


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """Which complexes a model is trained and validated on."""

    complexes: Literal["dimers", "all"] = "dimers"
    """Complexes of two single chains only, or all."""
    variants: bool = False
    """Also the other forms and parts of the complexes trained on that were prepared: bound structures, copies with
    noise, interfaces of two chains, pseudo-dimers."""
    cluster_power: float = 0.0
    """A complex is in an epoch with the chance 1 / N to this power, N being the complexes of its cluster and kind that
    are trained on: 0 takes all of them, 1 one of each cluster, on average. Each stands for itself where no cluster is
    known; its variants are of its cluster."""
    kind_chances: str = ""
    """Factors of these chances by kind, from 0 to 1, as in `antibody=0.3,interface=0.5`; `*` stands for the other
    kinds, which have 1 without it: `pseudo-dimer=1,*=0` trains on pseudo-dimers alone."""
    validation_pairs: int = 3000
    """Negatives per validation complex, beside all of its positives, that early stopping ranks after an epoch."""

    def check(self) -> None:
        """Refuse values that mean nothing."""
        _require(self.validation_pairs >= 1, "data.validation_pairs", "at least 1", self)
        _require(self.cluster_power >= 0, "data.cluster_power", "0 or above", self)
        self.chances_of_kinds()

    def chances_of_kinds(self) -> dict[str, float]:
        """Read `kind_chances`.

        Raises
        ------
        InputError
            It is not of that form.
        """
        chances = {}
        for word in filter(None, self.kind_chances.split(",")):
            kind, _, number = word.partition("=")
            try:
                chances[kind.strip()] = float(number)
            except ValueError:
                chances[kind.strip()] = math.nan
        wanted = "kinds with a number from 0 to 1 each, as in antibody=0.3,interface=0.5"
        _require(all(0 <= chance <= 1 for chance in chances.values()), "data.kind_chances", wanted, self)
        return chances


@dataclasses.dataclass(frozen=True)
class OptimisationConfig:
    """How the weights are found; optimiser, batch and loss are the paper's."""

    loss: Literal["cross-entropy", "focal", "top"] = "cross-entropy"
    """Loss of pairs (`resblock.models.losses`): the paper's, or one for the hard pairs, or for the first ranks. After
    another than cross-entropy, log-odds mean something only once they have been calibrated."""
    optimiser: Literal["adam", "adamw"] = "adam"
    """The paper's, or the one whose weight decay stands apart from the gradient."""
    learning_rate: float = 1e-3
    """With the one-cycle schedule, its peak."""
    weight_decay: float = 0.0
    """Share of the weights, times the learning rate, that a step of `adamw` takes off; of `adam`, an L2 penalty."""
    schedule: Literal["constant", "one-cycle"] = "constant"
    """Learning rate over the run: the same throughout, or up to its peak and down again."""
    batch_size: int = 500
    """Examples per step, shared by all processes: pairs for the model `windows`, complexes for `residues`."""
    epochs: int = 20
    """At most; early stopping may end a run before."""
    patience: int = 5
    """Epochs without a better validation AUROC before a run ends."""
    gradient_clip: float = 0.0
    """Largest norm of the gradient; 0 leaves it alone."""
    seed: int = 1
    """Decides the initial weights, the dropout, the drawn pairs and, without a list, the split."""
    ensemble: int = 1
    """Networks trained one after the other, with the seeds from `seed` on, as one ensemble."""

    def check(self) -> None:
        """Refuse values with which nothing can be trained."""
        _require(self.learning_rate > 0, "optimisation.learning_rate", "above 0", self)
        _require(self.weight_decay >= 0, "optimisation.weight_decay", "0 or above", self)
        _require(self.batch_size >= 1, "optimisation.batch_size", "at least 1", self)
        _require(self.epochs >= 1, "optimisation.epochs", "at least 1", self)
        _require(self.patience >= 1, "optimisation.patience", "at least 1", self)
        _require(self.gradient_clip >= 0, "optimisation.gradient_clip", "0 or above", self)
        _require(0 <= self.seed < 2**32, "optimisation.seed", "from 0 to below 2**32", self)
        _require(self.ensemble >= 1, "optimisation.ensemble", "at least 1", self)


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """A training run. The defaults are the preset `paper`: Liu & Gong 2019, "Training"."""

    data: DataConfig = dataclasses.field(default_factory=DataConfig)
    model: ModelConfig = dataclasses.field(default_factory=WindowModel.Config)
    optimisation: OptimisationConfig = dataclasses.field(default_factory=OptimisationConfig)

    def __post_init__(self) -> None:
        self.data.check()
        self.model.check()
        self.optimisation.check()

    @property
    def kind(self) -> type[Model[Any]]:
        """Class of the model."""
        return next(kind for kind in KINDS.values() if kind.Config is type(self.model))

    def seeded(self, seed: int) -> TrainingConfig:
        """Replace the seed."""
        return dataclasses.replace(self, optimisation=dataclasses.replace(self.optimisation, seed=seed))

    def values(self) -> dict[str, dict[str, Any]]:
        """Sections with their fields, as plain values."""
        return {
            "data": dataclasses.asdict(self.data),
            "model": {KIND: self.kind.kind, **settings(self.model)},
            "optimisation": dataclasses.asdict(self.optimisation),
        }

    def updated(self, values: Mapping[str, Any]) -> TrainingConfig:
        """Replace fields by `values`, a mapping of sections to mappings of fields.

        Another kind of model comes with its own defaults.

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
            fields = dict(fields)
            if name == "model" and (kind := fields.pop(KIND, self.kind.kind)) != self.kind.kind:
                sections[name] = KINDS[_chosen("model.kind", kind, tuple(KINDS))].Config()
            sections[name] = replace_fields(name, sections[name], fields)
        return TrainingConfig(**sections)

    def to_toml(self) -> str:
        """Write as TOML that `read_toml` takes."""
        # JSON's strings, numbers and booleans are TOML's.
        blocks = [
            "\n".join([f"[{section}]", *(f"{name} = {json.dumps(value)}" for name, value in fields.items())])
            for section, fields in self.values().items()
        ]
        return "\n\n".join(blocks) + "\n"


_RESIDUES: Final = OptimisationConfig(
    optimiser="adamw",
    learning_rate=2e-3,
    weight_decay=1e-2,
    schedule="one-cycle",
    batch_size=4,
    epochs=20,
    patience=20,
    gradient_clip=1.0,
)


def _of_residues(model: ResidueModelConfig) -> TrainingConfig:
    return TrainingConfig(DataConfig(complexes="all"), model, _RESIDUES)


PRESETS: Final[Mapping[str, TrainingConfig]] = {
    "paper": TrainingConfig(),
    "windows": TrainingConfig(
        data=DataConfig(complexes="all"),
        model=WindowModelConfig(selection="random", hidden_size=32, num_layers=4, input_dropout=0.1, dropout=0.1),
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
    "residues": _of_residues(ResidueModelConfig()),
    "neighbours": _of_residues(ResidueModelConfig(encoder="attention", input_dropout=0.2, dropout=0.3)),
    "chain": _of_residues(ResidueModelConfig(encoder="lstm", input_dropout=0.2, dropout=0.3)),
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
        TOML with the sections data, model and optimisation.
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
            config = config.updated(parse_setting(setting))
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
    text = read_text(path)
    try:
        values: dict[str, Any] = tomllib.loads(text)
    # Beside what is no TOML: numbers of more digits than Python reads, and values nested deeper than it can follow.
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: is no TOML ({error})") from None
    return values


def parse_setting(setting: str) -> dict[str, dict[str, Any]]:
    """Read ``section.field=value``, the value in TOML's notation (a string may lack its quotes).

    Raises
    ------
    InputError
        It is not of that form.
    """
    name, equals, value = setting.partition("=")
    section, dot, field = name.strip().partition(".")
    if not (equals and dot and field):
        raise InputError("is not of the form section.field=value")
    try:
        parsed = tomllib.loads(f"value = {value}")["value"]
    except (ValueError, RecursionError):
        parsed = value.strip()
    return {section: {field: parsed}}


def replace_fields(section: str, config: Any, values: Mapping[str, Any]) -> Any:
    """Replace fields of a section's dataclass.

    Raises
    ------
    InputError
        A field is unknown, or a value has the wrong type.
    """
    types = _field_types(type(config))
    checked = {}
    for name, value in values.items():
        if name not in types:
            raise InputError(f"field {section}.{name} is unknown; [{section}] has {', '.join(types)}")
        checked[name] = _typed(f"{section}.{name}", types[name], value)
    return dataclasses.replace(config, **checked)


def _field_types(config: Any) -> dict[str, Any]:
    names = {field.name for field in dataclasses.fields(config)} - set(DERIVED)
    return {name: kind for name, kind in typing.get_type_hints(config).items() if name in names}


def _chosen(name: str, value: Any, choices: tuple[Any, ...]) -> Any:
    if value not in choices:
        raise InputError(f"{name} is {value!r}; choose {' or '.join(map(repr, choices))}")
    return value


def _typed(name: str, wanted: Any, value: Any) -> Any:
    if typing.get_origin(wanted) is Literal:
        return _chosen(name, value, typing.get_args(wanted))
    if wanted is float and type(value) is int:
        return float(value)
    if type(value) is not wanted or (wanted is float and not math.isfinite(value)):
        raise InputError(f"{name} is {value!r}; expected {_KINDS[wanted]}")
    return value
