"""Which of a file's models make the structure: one, or all where they are copies of one another in other places."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Sequence
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

    Raises
    ------
    InputError
        The model that is `wanted` is not there.
    """
    numbers = list(dict.fromkeys(file.atoms.model.tolist()))
    if wanted is not None and wanted not in numbers:
        raise InputError(f"{file.path}: no model {wanted}; there are {', '.join(map(str, numbers))}")
    if len(numbers) == 1:
        return file.atoms, _which(numbers[0], numbers)
    models = [file.atoms[file.atoms.model == number] for number in numbers]
    if wanted is None and all(_is_copy(models[0], other) for other in models[1:]):
        return _assembly(models), f"models {numbers[0]} to {numbers[-1]} are copies in other places: one assembly"
    chosen = numbers.index(wanted) if wanted is not None else 0
    return models[chosen], _which(numbers[chosen], numbers)


def _which(number: int, numbers: Sequence[int]) -> str:
    """Which model of how many; by its number where that is not its place."""
    counted = number == numbers.index(number) + 1
    return f"model {number} of {len(numbers)}" if counted else f"model {number}, one of {len(numbers)}"


def _is_copy(first: AtomTable, other: AtomTable) -> bool:
    """Whether the protein of a model is that of another one, moved as a whole."""
    here, there = _alpha_carbons(first), _alpha_carbons(other)
    if [key for key, _ in here] != [key for key, _ in there]:
        return False
    a, b = (np.array([xyz for _, xyz in places]).reshape(-1, 3) for places in (here, there))
    apart = float(np.sqrt(((a - b) ** 2).sum(axis=1).mean())) if len(a) > 3 else 0.0
    return apart > _ELSEWHERE and _superposed_distance(a, b) < _SAME


def _alpha_carbons(atoms: AtomTable) -> list[tuple[tuple[int, str, str], NDArray[np.float64]]]:
    """Number, insertion code and name of every residue with an alpha carbon, and where that is."""
    alpha = atoms[(atoms.atom == "CA") & (np.char.str_len(atoms.name) > 2)]
    keys = zip(alpha.number.tolist(), alpha.insertion_code.tolist(), alpha.name.tolist(), strict=True)
    return list(zip(keys, alpha.xyz, strict=True))


def _superposed_distance(first: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Largest distance of two sets of places after the best rotation and shift (Kabsch 1976)."""
    a, b = first - first.mean(axis=0), other - other.mean(axis=0)
    u, _, v = np.linalg.svd(b.T @ a)
    handed = np.diag([1.0, 1.0, np.sign(np.linalg.det(u @ v))])
    return float(np.linalg.norm(b @ (u @ handed @ v) - a, axis=1).max())


def _assembly(models: list[AtomTable]) -> AtomTable:
    taken: set[str] = set()
    renamed = []
    for model in models:
        names = {name: copy_name(name, taken) for name in dict.fromkeys(model.chain.tolist())}
        taken |= set(names.values())
        renamed.append(replace(model, chain=np.array([names[name] for name in model.chain.tolist()])))
    return AtomTable.joined(renamed)


def copy_name(name: str, taken: Collection[str]) -> str:
    """The first of ``A``, ``A-2``, ``A-3``, ... that no chain has."""
    names = itertools.chain([name], (f"{name}-{k}" for k in itertools.count(2)))
    return next(one for one in names if one not in taken)


def original_name(name: str) -> str:
    """The chain that a copy is of."""
    return name.rpartition("-")[0] or name
