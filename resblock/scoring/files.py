"""Weights on the disk: one safetensors file whose metadata say what the tensors are."""

from __future__ import annotations

import json
import os
from typing import Any, Final, NamedTuple

import safetensors.torch
from torch import Tensor

from resblock.errors import InputError
from resblock.structure.files import write_atomically

#: Entry of the safetensors metadata that describes the scorer, as JSON.
METADATA: Final = "resblock"


class Stored(NamedTuple):
    """A scorer as plain values and tensors."""

    description: dict[str, Any]
    tensors: dict[str, Tensor]


def write_weights(path: str | os.PathLike[str], stored: Stored) -> None:
    """Write what `read_weights` reads, all or nothing."""
    # One entry: safetensors writes several in no fixed order, and the same weights shall give the same bytes.
    content = safetensors.torch.save(stored.tensors, {METADATA: json.dumps(stored.description)})
    write_atomically(path, lambda stream: stream.write(content))


def read_weights(path: str | os.PathLike[str]) -> Stored:
    """Read a file of `write_weights`.

    Raises
    ------
    InputError
        If the file is missing, damaged or of another kind.
    """
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            description = json.loads((file.metadata() or {}).get(METADATA, "{}"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  no mapping
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; check the path") from None
    except (OSError, safetensors.SafetensorError) as error:
        raise unusable(path, f"no safetensors file: {error}") from None
    except ValueError as error:
        raise unusable(path, f"damaged metadata: {error}") from None
    if not isinstance(description, dict) or not str(description.get("format", "")).startswith("resblock."):
        raise unusable(path, "holds no scorer of resblock")
    return Stored(description, tensors)


def unusable(path: str | os.PathLike[str], reason: str) -> InputError:
    """The error of a file that is no scorer."""
    return InputError(f"{path}: no usable weights ({reason}); give a weights.safetensors of `resblock train`")
