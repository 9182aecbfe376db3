"""The saved form of a prediction: one file from which everything else is made again without weights."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from resblock.errors import InputError
from resblock.files import read_container, write_container
from resblock.pairs.expectations import Expectations
from resblock.pairs.tables import ROLES
from resblock.structure import Partner, Residue

if TYPE_CHECKING:
    from resblock.prediction.prediction import Prediction

#: Its name in a prediction's directory.
FILE: Final = "log_odds.safetensors"
FORMAT: Final = "resblock.Prediction"
FORMAT_VERSION: Final = 1
_ARRAYS: Final = ("coordinates", "atom_residue", "linked", "sequence_index")
_OPTIONAL: Final = ("plddt", "glycosylated")
_WORDS: Final = ("path", "format")
_LISTS: Final = ("atom_names", "elements", "sequence", "left_out", "remarks")


def write_prediction(path: Path, prediction: Prediction) -> None:
    """Write log-odds, both partners as read, the areas of their residues, and how the prediction was made."""
    import torch

    description: dict[str, Any] = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "receptor": _described(prediction.receptor),
        "ligand": _described(prediction.ligand),
        "diverse": prediction.diverse,
        "cutoff": prediction.cutoff,
        "notes": list(prediction.notes),
        "command": prediction.command,
        "weights": prediction.weights,
        "trained_on": prediction.trained_on,
        "version": prediction.version,
        "expectations": None if prediction.expectations is None else prediction.expectations.as_dict(),
    }
    arrays: dict[str, NDArray[Any]] = {"log_odds": prediction.log_odds}
    for role, places, areas in zip(ROLES, prediction.candidates, prediction.areas, strict=True):
        partner = getattr(prediction, role)
        arrays |= {f"{role}.candidates": places, f"{role}.areas": areas}
        arrays |= {f"{role}.{name}": getattr(partner, name) for name in _ARRAYS}
        arrays |= {f"{role}.{name}": own for name in _OPTIONAL if (own := getattr(partner, name)) is not None}
    if prediction.truth is not None:
        arrays["truth"] = prediction.truth
    tensors = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}
    write_container(path, description, tensors)


def read_prediction(path: Path) -> dict[str, Any]:
    """Fields of a `Prediction`, from the file that `write_prediction` made.

    Raises
    ------
    InputError
        If the file is missing, damaged or of another version.
    """
    description, tensors = read_container(path, FORMAT, FORMAT_VERSION, "prediction")
    try:
        arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
        fields: dict[str, Any] = {role: _partner(description[role], arrays, role) for role in ROLES}
        told = description["expectations"]
        fields |= {name: description[name] for name in ("diverse", "cutoff", "command", "weights", "trained_on")}
        candidates, areas = (tuple(arrays[f"{role}.{name}"] for role in ROLES) for name in ("candidates", "areas"))
        if arrays["log_odds"].shape != tuple(map(len, candidates)):
            raise ValueError(f"log-odds of shape {arrays['log_odds'].shape}")
        return fields | {
            "candidates": candidates,
            "areas": areas,
            "log_odds": arrays["log_odds"],
            "truth": arrays.get("truth"),
            "version": description["version"],
            "notes": tuple(description["notes"]),
            "expectations": None if told is None else Expectations.of(told),
        }
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: no usable prediction ({type(error).__name__}: {error}); predict once more") from None


def _described(partner: Partner) -> dict[str, Any]:
    return {
        **{name: getattr(partner, name) for name in _WORDS},
        **{name: list(getattr(partner, name)) for name in _LISTS},
        "residues": [list(dataclasses.astuple(residue)) for residue in partner.residues],
    }


def _partner(described: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], role: str) -> Partner:
    fields: dict[str, Any] = {name: described[name] for name in _WORDS}
    fields |= {name: tuple(described[name]) for name in _LISTS}
    fields |= {name: arrays[f"{role}.{name}"] for name in _ARRAYS}
    residues = tuple(Residue(*values) for values in described["residues"])
    fields |= {name: arrays.get(f"{role}.{name}") for name in _OPTIONAL}
    return Partner(**fields, residues=residues)
