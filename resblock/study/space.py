"""What a sweep varies: fields of the training configuration, each over a few values or over a range."""

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


def parse_axis(text: str) -> tuple[str, Axis]:
    """Read ``SECTION.FIELD=V,V,...`` or ``SECTION.FIELD=LOW:HIGH``: the field and its values.

    Raises
    ------
    InputError
        If the field is unknown, a value is impossible, or it says nothing.
    """
    field, equals, words = text.partition("=")
    field = field.strip()
    if not (equals and words.strip()):
        raise InputError(f"{text!r} is not of the form SECTION.FIELD=VALUE,VALUE")
    if _TO in words:
        low, high = (_parse_value(field, end) for end in words.split(_TO, 1))
        if isinstance(low, (str, bool)) or isinstance(high, (str, bool)) or not low < high:
            raise InputError(f"{field}: {words!r} is no range; write LOW{_TO}HIGH with two numbers")
        return field, Range(low, high)
    values = tuple(_parse_value(field, word) for word in words.split(","))
    if len(set(values)) < len(values):
        raise InputError(f"{field}: {words!r} has a value twice")
    return field, Choices(values)


def _parse_value(field: str, text: str) -> Value:
    section, _, name = field.partition(".")
    config = resolve_config("paper", None, (f"{field}={text.strip()}",))
    value: Value = getattr(getattr(config, section), name)
    return value


def negatives_field(base: TrainingConfig) -> str:
    """The field that says how many negatives a configuration learns from."""
    if base.data.reading == "chain":
        return "data.negatives_per_dimer"
    closest = base.data.selection == "closest"
    return "data.closest_per_true_pair" if closest else "data.negatives_per_true_pair"


def check_axes(base: TrainingConfig, axes: Mapping[str, Axis]) -> None:
    """Refuse axes that vary nothing.

    Raises
    ------
    InputError
        If there is none, or a field has no effect on the network that is trained.
    """
    if not axes:
        raise InputError("nothing to vary; give --layers, --units or another field")
    idle = "chain" if base.data.reading == "windows" else "network"
    for field in axes:
        if field.startswith(f"{idle}.") or (field == "data.window" and idle == "network"):
            raise InputError(f"{field} has no effect with data.reading = {base.data.reading}; choose another preset")
        if field == "optimisation.seed":
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
    for field, value in cell.items():
        if field != SEED:
            section, _, name = field.partition(".")
            base = base.updated({section: {name: value}})
    return base


def label(cell: Cell) -> str:
    """A cell for a reader: the last parts of the names, and the values."""
    return ", ".join(f"{field.rpartition('.')[2]} {value}" for field, value in cell.items())
