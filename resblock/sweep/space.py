"""What a search varies: fields of the training configuration, each over a few values or over a range."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from resblock.errors import InputError
from resblock.training.config import TrainingConfig, resolve_config

Value = str | int | float | bool
#: A value of every varied field.
Cell = Mapping[str, Value]

#: Name of the seed beside the varied fields.
SEED: Final = "seed"
#: Between the ends of a range.
_TO: Final = ":"
#: A range whose upper end is so many times its lower one is searched on a logarithmic scale.
_LOGARITHMIC: Final = 10.0


@dataclass(frozen=True)
class Choices:
    """A field is one of these."""

    values: tuple[Value, ...]


@dataclass(frozen=True)
class Range:
    """A field lies between these, both included."""

    low: int | float
    high: int | float

    @property
    def logarithmic(self) -> bool:
        """Whether it is searched by its logarithm."""
        return self.low > 0 and self.high >= _LOGARITHMIC * self.low


Axis = Choices | Range


def parse_axis(text: str, preset: str = "paper", settings: tuple[str, ...] = ()) -> tuple[str, Axis]:
    """Read ``SECTION.FIELD=V,V,...`` or ``SECTION.FIELD=LOW:HIGH``: the field and its values.

    Parameters
    ----------
    text : str
    preset, settings
        The configuration whose field it is, as `resolve_config` takes them.

    Raises
    ------
    InputError
        If the configuration has no such field, a value is impossible, or it says nothing.
    """
    field, equals, words = text.partition("=")
    field = field.strip()
    if not (equals and words.strip()):
        raise InputError(f"{text!r} is not of the form SECTION.FIELD=VALUE,VALUE")

    def parsed(word: str) -> Value:
        return value_of(resolve_config(preset, None, (*settings, f"{field}={word.strip()}")), field)

    if _TO in words:
        low, high = (parsed(end) for end in words.split(_TO, 1))
        if isinstance(low, (str, bool)) or isinstance(high, (str, bool)) or not low < high:
            raise InputError(f"{field}: {words!r} is no range; write LOW{_TO}HIGH with two numbers")
        return field, Range(low, high)
    values = tuple(parsed(word) for word in words.split(","))
    if len(set(values)) < len(values):
        raise InputError(f"{field}: {words!r} has a value twice")
    return field, Choices(values)


def value_of(config: TrainingConfig, field: str) -> Value:
    """Value of ``section.name``."""
    section, _, name = field.partition(".")
    value: Value = config.values()[section][name]
    return value


def negatives_field(base: TrainingConfig) -> str:
    """The field that says how many negatives a model is trained on."""
    model = base.values()["model"]
    if model.get("selection") == "closest":
        return "model.closest_per_positive"
    return next((f"model.{name}" for name in model if name.startswith("negatives_per_")), "model.negatives")


def check_axes(axes: Mapping[str, Axis]) -> None:
    """Refuse axes that vary nothing.

    Raises
    ------
    InputError
        If there is none, or one is the seed.
    """
    if not axes:
        raise InputError("nothing to vary; give --layers, --units or another field")
    if "optimisation.seed" in axes:
        raise InputError("optimisation.seed is no field to vary; give --seeds")


def cells(axes: Mapping[str, Axis], seeds: tuple[int, ...]) -> Iterator[dict[str, Value]]:
    """Every combination of the choices, each with every seed, the last varying fastest.

    Raises
    ------
    InputError
        If an axis is a range.
    """
    for field, axis in axes.items():
        if isinstance(axis, Range):
            raise InputError(f"{field}: a grid has no ranges; write its values with commas, or take --sampler tpe")
    values = [axis.values for axis in axes.values() if isinstance(axis, Choices)]
    for combination in itertools.product(*values, seeds):
        yield dict(zip((*axes, SEED), combination, strict=True))


def configured(base: TrainingConfig, cell: Cell) -> TrainingConfig:
    """The configuration of a cell; its seed is left to the caller."""
    sections: dict[str, dict[str, Value]] = {}
    for field, value in cell.items():
        if field != SEED:
            section, _, name = field.partition(".")
            sections.setdefault(section, {})[name] = value
    return base.updated(sections)


def short(field: str) -> str:
    """A field for a reader: its name without the section."""
    return field.rpartition(".")[2]


def label(cell: Cell) -> str:
    """A cell for a reader: short names and values."""
    return ", ".join(f"{short(field)} {value}" for field, value in cell.items())
