"""Which of a file's models make the structure: one, or all where they are copies of one another in other places."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from resblock.errors import InputError
from resblock.structure.table import AtomTable, StructureFile

#: Copies of an assembly are rotated and rounded to three decimals; conformers of an ensemble differ by far more.
_SAME: Final = 0.02
#: Copies that lie nearer than this, Angstrom, are conformers of one molecule.
_ELSEWHERE: Final = 1.0


def choose_model(file: StructureFile, wanted: int | None = None) -> tuple[AtomTable, str]:
    """Atoms of one model, and in words which it is.

    Models that are rigid copies of the first in other places are one assembly: a chain whose name is taken becomes
    ``A-2``, ``A-3``, and so on.

    A model that is `wanted` is one of several: a file with a single one gives that.

    Raises
    ------
    InputError
        The model that is `wanted` is not there.
    """
    numbers = list(dict.fromkeys(file.atoms.model.tolist()))
    if wanted is not None and wanted not in numbers and len(numbers) > 1:
        raise InputError(f"{file.path}: no model {wanted}; there are {', '.join(map(str, numbers))}")
    if len(numbers) == 1:
        return file.atoms, "model 1 of 1"
    models = [file.atoms[file.atoms.model == number] for number in numbers]
    if wanted is None and all(_is_copy(models[0], other) for other in models[1:]):
        return _assembly(models), f"models {numbers[0]} to {numbers[-1]} are copies in other places: one assembly"
    chosen = numbers.index(wanted) if wanted is not None else 0
    return models[chosen], f"model {numbers[chosen]} of {len(numbers)}"


def _is_copy(first: AtomTable, other: AtomTable) -> bool:
    """Whether a model is another one, moved as a whole."""
    if len(first) != len(other) or len(first) < 4:
        return False
    if (first.atom != other.atom).any() or (first.number != other.number).any() or (first.name != other.name).any():
        return False
    apart = float(np.sqrt(((first.xyz - other.xyz) ** 2).sum(axis=1).mean()))
    return apart > _ELSEWHERE and _superposed_distance(first.xyz, other.xyz) < _SAME


def _superposed_distance(first: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Largest distance of two sets of places after the best rotation and shift (Kabsch 1976)."""
    a, b = first - first.mean(axis=0), other - other.mean(axis=0)
    u, _, v = np.linalg.svd(b.T @ a)
    handed = np.diag([1.0, 1.0, np.sign(np.linalg.det(u @ v))])
    return float(np.linalg.norm(b @ (u @ handed @ v) - a, axis=1).max())


def _assembly(models: list[AtomTable]) -> AtomTable:
    taken: set[str] = set()
    renamed = []
    for k, model in enumerate(models, start=1):
        names = set(model.chain.tolist())
        renamed.append(replace(model, chain=np.char.add(model.chain, f"-{k}")) if names & taken else model)
        taken |= names
    return AtomTable.joined(renamed)
