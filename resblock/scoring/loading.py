"""From a weights file to the scorer it holds, whatever its kind."""

from __future__ import annotations

import os
from importlib.resources import as_file, files
from typing import Final

import torch

from resblock.scoring import ensemble
from resblock.scoring.base import NetworkScorer
from resblock.scoring.chain import ChainScorer
from resblock.scoring.ensemble import EnsembleScorer, member_parts
from resblock.scoring.files import Stored, read_weights, unusable
from resblock.scoring.windows import WindowScorer

#: Kinds of scorers by the name they have in files.
KINDS: Final[dict[str, type[NetworkScorer]]] = {kind.format: kind for kind in (WindowScorer, ChainScorer)}
#: Sets of weights in the package; the first is taken where none is named.
INCLUDED: Final = ("default", "paper")


def load_scorer(
    path: str | os.PathLike[str] | None = None, device: torch.device | str = "cpu"
) -> NetworkScorer | EnsembleScorer:
    """Read weights written by `resblock train`.

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


def _load(path: str | os.PathLike[str], device: torch.device | str) -> NetworkScorer | EnsembleScorer:
    stored = read_weights(path)
    description = stored.description
    if description["format"] != ensemble.FORMAT:
        return _network_scorer(stored, path, device)
    if description.get("format_version") != ensemble.FORMAT_VERSION:
        version = description.get("format_version")
        raise unusable(path, f"format version {version}, wanted {ensemble.FORMAT_VERSION}")
    try:
        parts, card = member_parts(stored), description["card"]
        return EnsembleScorer([_network_scorer(part, path, device) for part in parts], card)
    except (KeyError, TypeError, AttributeError) as error:
        raise unusable(path, " ".join(str(error).split())) from None


def _network_scorer(stored: Stored, path: str | os.PathLike[str], device: torch.device | str) -> NetworkScorer:
    kind = KINDS.get(stored.description.get("format", ""))
    if kind is None:
        raise unusable(path, f"holds none of {', '.join(KINDS)}")
    return kind.from_stored(stored, path).to(device)
