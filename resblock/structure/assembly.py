"""Biological assemblies: the operators that a file states, and the atoms that they make."""

from __future__ import annotations

import functools
import itertools
import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

import gemmi
import numpy as np
from numpy.typing import ArrayLike, NDArray

from resblock.errors import InputError
from resblock.structure.models import copy_name
from resblock.structure.table import Assembly, AtomTable, Copies, StructureFile

#: More than any partner may have, waters and ligands included: a virus's shell has millions.
_MAX_ATOMS: Final = 2_000_000

#: More operators than any assembly has.
_MAX_COPIES: Final = 10_000
#: What damaged operators raise, without which the atoms are as good.
_DAMAGED: Final = (RuntimeError, ValueError, LookupError)
_OPERATOR: Final = (
    "_pdbx_struct_oper_list",
    "id",
    *(f"matrix[{row}][{column}]" for row in "123" for column in "123"),
    *(f"vector[{row}]" for row in "123"),
)


def assemblies_of_pdb(text: str) -> tuple[Assembly, ...]:
    """Assemblies of the REMARK 350 records of a PDB file."""
    remark = "\n".join(line for line in text.splitlines() if line.startswith("REMARK 350"))
    if not remark:
        return ()
    try:
        structure = gemmi.read_pdb_string(remark)
    except _DAMAGED:
        return ()
    return tuple(
        Assembly(
            name=assembly.name,
            by_author=bool(assembly.author_determined),
            parts=tuple(
                Copies(
                    frozenset(generator.chains),
                    tuple(_affine(op.transform.mat.tolist(), op.transform.vec.tolist()) for op in generator.operators),
                )
                for generator in assembly.generators
            ),
        )
        for assembly in structure.assemblies
    )


def assemblies_of_mmcif(column: Callable[[str], NDArray[np.str_] | None]) -> tuple[Assembly, ...]:
    """Assemblies of an mmCIF file, whose columns are asked for by their tags (gemmi loses products of operators)."""
    generators = _rows(column, "_pdbx_struct_assembly_gen", "assembly_id", "oper_expression", "asym_id_list")
    details: dict[str, str] = dict(_rows(column, "_pdbx_struct_assembly", "id", "details"))  # type: ignore[arg-type]
    try:
        operators = {name: _affine(*_rotation_and_shift(numbers)) for name, *numbers in _rows(column, *_OPERATOR)}
        parts: dict[str, list[Copies]] = {}
        for name, expression, subchains in generators:
            copies = Copies(frozenset(subchains.replace(" ", "").split(",")), _expanded(expression, operators))
            parts.setdefault(name, []).append(copies)
    except _DAMAGED:
        return ()
    return tuple(Assembly(name, "author" in details.get(name, ""), tuple(copies)) for name, copies in parts.items())


def _rows(column: Callable[[str], NDArray[np.str_] | None], category: str, *items: str) -> list[tuple[str, ...]]:
    """Rows of a category; none where a column is missing."""
    columns = [column(f"{category}.{item}") for item in items]
    found = [values.tolist() for values in columns if values is not None]
    return list(zip(*found, strict=False)) if len(found) == len(items) else []


def _rotation_and_shift(numbers: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    values = np.array(numbers, dtype=np.float64)
    return values[:9].reshape(3, 3), values[9:]


def _affine(rotation: ArrayLike, shift: ArrayLike) -> NDArray[np.float64]:
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = rotation, shift
    return matrix


def _expanded(expression: str, operators: Mapping[str, NDArray[np.float64]]) -> tuple[NDArray[np.float64], ...]:
    """The operators of an expression such as ``1,2``, ``(1-60)`` or ``(1-60)(61-88)``, the last of which acts first."""
    groups = re.findall(r"[^()]+", expression.replace(" ", ""))
    factors = [[operators[name] for name in _names(group)] for group in groups]
    if math.prod(map(len, factors)) > _MAX_COPIES:
        raise ValueError(f"{expression} has too many operators")
    return tuple(functools.reduce(np.matmul, product) for product in itertools.product(*factors))


def _names(group: str) -> Iterator[str]:
    for word in group.split(","):
        if ends := re.fullmatch(r"([0-9]{1,4})-([0-9]{1,4})", word):
            yield from map(str, range(int(ends[1]), int(ends[2]) + 1))
        else:
            yield word


def build_assembly(file: StructureFile, atoms: AtomTable, name: str) -> AtomTable:
    """The atoms of an assembly: a chain's second copy is called ``A-2``, and so on.

    Raises
    ------
    InputError
        The file has no such assembly, it is empty, or too large.
    """
    by_name = {assembly.name: assembly for assembly in file.assemblies}
    if name not in by_name:
        there = f"there are {', '.join(by_name)}" if by_name else "the file describes none"
        raise InputError(f"{file.path}: no assembly {name}; {there}")
    parts = [(atoms[np.isin(atoms.subchain, list(part.subchains))], part.operators) for part in by_name[name].parts]
    count = sum(len(part) * len(operators) for part, operators in parts)
    if not 0 < count <= _MAX_ATOMS:
        raise InputError(
            f"{file.path}: assembly {name} has {count} atoms"
            + (f", more than {_MAX_ATOMS}; choose chains of the file itself" if count else "; leave --assembly out")
        )
    # A chain has several subchains: its polymer, ligands, waters. Their copies go together.
    taken: dict[str, set[str]] = defaultdict(set)
    copies = []
    for part, operator in ((part, operator) for part, operators in parts for operator in operators):
        names = {}
        for subchain, chain in dict.fromkeys(zip(part.subchain.tolist(), part.chain.tolist(), strict=True)):
            names[subchain] = copy_name(chain, taken[subchain])
            taken[subchain].add(names[subchain])
        chains = np.array([names[subchain] for subchain in part.subchain.tolist()])
        copies.append(replace(part, chain=chains, xyz=part.xyz @ operator[:3, :3].T + operator[:3, 3]))
    return AtomTable.joined(copies)


def larger_unit(file: StructureFile) -> str:
    """Which assembly the file's authors call the biological unit, if that is larger than the file; else empty."""
    for assembly in file.assemblies:
        copies = max((len(part.operators) for part in assembly.parts), default=0)
        if assembly.by_author and copies > 1:
            return f"the authors' biological unit has {copies} copies (--assembly {assembly.name})"
    return ""
