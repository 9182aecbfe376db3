"""Configurations of networks, which are frozen dataclasses, from stored names and values."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

from resblock.errors import InputError

Config = TypeVar("Config")


def config_from(kind: type[Config], values: Mapping[str, Any]) -> Config:
    """Build a dataclass from the names and values of its fields.

    Raises
    ------
    InputError
        If a name is unknown.
    """
    known = [field.name for field in dataclasses.fields(kind)]  # type: ignore[arg-type]
    for name in values:
        if name not in known:
            raise InputError(f"network option {name!r} is unknown; the options are {', '.join(known)}")
    return kind(**values)
