"""Ensembles on the disk: a container of `resblock.files` whose description has an entry for each model."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from importlib.resources import as_file, files
from typing import Any, Final

import torch
from torch import Tensor

from resblock.errors import InputError
from resblock.files import read_container, write_container
from resblock.models.base import Model, ModelConfig
from resblock.models.ensemble import Ensemble
from resblock.models.inverse_folding import InverseFolder
from resblock.models.residues import ResidueModel
from resblock.models.scaling import Scaling
from resblock.models.windows import WindowModel

FORMAT: Final = "resblock.Ensemble"
FORMAT_VERSION: Final = 1
#: Stands before the names of the tensors of the network for inverse folding.
_FOLDER: Final = "folder"
#: Every kind of model, by its name in configurations and files.
KINDS: Final[Mapping[str, type[Model[Any]]]] = {model.kind: model for model in (WindowModel, ResidueModel)}
#: Sets of weights in the package; the first is taken where none is named.
INCLUDED: Final = ("default", "paper")
#: Fields of a configuration that are no choice: they follow from the features, or from how a model is made.
DERIVED: Final = ("input_size", "num_classes", "bidirectional", "batch_first", "stacked")


def settings(config: ModelConfig) -> dict[str, Any]:
    """Fields of a configuration that can be chosen, with their values."""
    return {name: value for name, value in dataclasses.asdict(config).items() if name not in DERIVED}


def save_ensemble(path: str | os.PathLike[str], ensemble: Ensemble) -> None:
    """Write one safetensors file, all or nothing."""
    alone = ensemble.card is ensemble.models[0].card
    description = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "models": [
            {
                "kind": model.kind,
                "version": model.version,
                "config": settings(model.config),
                "feature_names": model.feature_names,
                "card": model.card,
            }
            for model in ensemble.models
        ],
        "card": None if alone else ensemble.card,
        "folder": None if ensemble.folder is None else ensemble.folder.description(),
    }
    tensors = {
        f"{k}.{name}": tensor for k, model in enumerate(ensemble.models) for name, tensor in model.state_dict().items()
    }
    if ensemble.folder is not None:
        tensors |= {f"{_FOLDER}.{name}": tensor for name, tensor in ensemble.folder.tensors().items()}
    write_container(path, description, tensors)


def load_ensemble(path: str | os.PathLike[str] | None = None, device: torch.device | str = "cpu") -> Ensemble:
    """Read weights written by `save_ensemble`, for evaluation.

    Parameters
    ----------
    path : path, optional
        A file, or the name of a set of the package; its default without.
    device : torch.device

    Raises
    ------
    InputError
        If the file cannot be used.
    """
    name = INCLUDED[0] if path is None else os.fspath(path)
    if name in INCLUDED and not os.path.isfile(name):
        with as_file(files("resblock") / "weights" / f"{name}.safetensors") as included:
            return _load(included, device)
    return _load(name, device)


def _load(path: str | os.PathLike[str], device: torch.device | str) -> Ensemble:
    description, tensors = read_container(path, FORMAT, FORMAT_VERSION)
    try:
        models = [_model(entry, _under(str(k), tensors)) for k, entry in enumerate(description["models"])]
        # Weights from before there was inverse folding say nothing of it.
        described = description.get("folder")
        folder = None if described is None else InverseFolder.of(described, _under(_FOLDER, tensors))
        return Ensemble([model.to(device).eval() for model in models], description["card"], folder)
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise InputError(f"{path}: weights and description do not fit ({' '.join(str(error).split())})") from None


def _under(name: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names have this one before a dot, without it."""
    return {rest: tensor for full, tensor in tensors.items() for head, _, rest in [full.partition(".")] if head == name}


def _model(entry: Mapping[str, Any], state: Mapping[str, Tensor]) -> Model[Any]:
    if entry["kind"] not in KINDS:
        raise ValueError(f"a model of the kind {entry['kind']!r}; known are {', '.join(KINDS)}")
    kind = KINDS[entry["kind"]]
    if entry["version"] != kind.version:
        raise ValueError(f"version {entry['version']} of the kind {kind.kind!r}, wanted {kind.version}")
    scaling = Scaling(tuple(entry["feature_names"]), state["mean"].numpy(), state["scale"].numpy())
    model = kind(kind.Config(**entry["config"]), scaling, entry["card"])
    _check_tensors(state, model.state_dict())
    model.load_state_dict(state)
    return model


def _check_tensors(state: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> None:
    """Refuse numbers that would score pairs without an error, and wrongly."""
    for name, tensor in state.items():
        if name in own and tensor.dtype != own[name].dtype:
            raise ValueError(f"{name} is {tensor.dtype}, wanted {own[name].dtype}")
        if not torch.isfinite(tensor).all():
            raise ValueError(f"{name} holds numbers that are not finite")
    if not (state["scale"] > 0).all():
        raise ValueError("scale holds numbers that are not positive")
