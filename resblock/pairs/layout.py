"""Directories of complexes in the benchmark layout, and what is told about them.

The layout: ``CODE/receptor_bound.pdb`` and ``CODE/ligand_bound.pdb``, and ``receptor_unbound`` and ``ligand_unbound``
where the partner is known by itself; each as ``.pdb``, ``.cif`` or ``.bcif``, plain or with ``.gz``, ``.bz2`` or
``.xz`` behind.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from resblock.errors import InputError
from resblock.files import read_text

SIDES: Final = ("receptor", "ligand")
SUFFIXES: Final = tuple(
    f"{kind}{packed}" for kind in (".pdb", ".cif", ".bcif") for packed in ("", ".gz", ".bz2", ".xz")
)


@dataclass(frozen=True)
class Described:
    """What a table says of a complex.

    Attributes
    ----------
    kind
        Such as antibody; empty if nothing is said.
    cluster
        Name that it shares with the complexes that are much like it; empty if nothing is said.
    """

    kind: str = ""
    cluster: str = ""


@dataclass(frozen=True)
class ComplexFiles:
    """The structure files of one complex.

    Attributes
    ----------
    bound, unbound
        File of the receptor and of the ligand; None where there is no unbound one.
    """

    bound: tuple[Path, Path]
    unbound: tuple[Path | None, Path | None]

    def named(self) -> dict[str, Path]:
        """The files that are there, by role: ``receptor_bound`` and so on."""
        files = dict(zip((f"{side}_unbound" for side in SIDES), self.unbound, strict=True))
        files |= dict(zip((f"{side}_bound" for side in SIDES), self.bound, strict=True))
        return {role: path for role, path in files.items() if path is not None}


def complex_files(directory: str | os.PathLike[str]) -> ComplexFiles:
    """The structure files in one complex's directory.

    Raises
    ------
    InputError
        A bound file is missing, or a file is there in two formats.
    """
    directory = Path(directory)
    unbound = [_file(directory, f"{side}_unbound") for side in SIDES]
    bound = [_file(directory, f"{side}_bound") for side in SIDES]
    if bound[0] is None or bound[1] is None:
        raise _needed(directory, f"{SIDES[bound.index(None)]}_bound", "none")
    return ComplexFiles((bound[0], bound[1]), (unbound[0], unbound[1]))


def _file(directory: Path, role: str) -> Path | None:
    there = [path for suffix in SUFFIXES if (path := directory / f"{role}{suffix}").is_file()]
    if len(there) > 1:
        raise _needed(directory, role, ", ".join(path.name for path in there))
    return there[0] if there else None


def _needed(directory: Path, role: str, found: str) -> InputError:
    return InputError(
        f"{directory}: one file {role}.pdb, .cif or .bcif (plain, .gz, .bz2 or .xz) is needed, found {found}"
    )


def find_complexes(directory: str | os.PathLike[str], only: Sequence[str] | None = None) -> dict[str, Path]:
    """Directories of the complexes of a benchmark by code, all or those of `only`.

    Raises
    ------
    InputError
        The benchmark or a complex of `only` is missing, or the benchmark is empty.
    """
    directory = existing_directory(directory)
    if only is not None:
        missing = [code for code in only if not (directory / code).is_dir()]
        if missing:
            raise InputError(f"{directory}: no complex {', '.join(missing)}; check the list")
        return {code: directory / code for code in only}
    found = {
        entry.name: entry
        for entry in sorted(directory.iterdir())
        if entry.is_dir() and any(entry.glob("receptor_*bound.*"))
    }
    if not found:
        raise InputError(f"{directory}: no CODE/receptor_bound.pdb in it; see the layout")
    return found


def existing_directory(directory: str | os.PathLike[str]) -> Path:
    """The path of a directory.

    Raises
    ------
    InputError
        There is none.
    """
    directory = Path(directory)
    if not directory.is_dir():
        raise InputError(f"{directory}: no such directory; give one with structures")
    return directory


def read_index(path: str | os.PathLike[str]) -> dict[str, Described]:
    """Read a table of complexes: tab-separated, with the columns code, kind and cluster30; others are skipped.

    Raises
    ------
    InputError
        The file cannot be read, or a column is missing.
    """
    rows = csv.DictReader(read_text(path).splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE)
    columns = "code", "kind", "cluster30"
    missing = [name for name in columns if name not in (rows.fieldnames or ())]
    if missing:
        raise InputError(f"{path}: has no column {missing[0]}; write a tab-separated table with {', '.join(columns)}")
    return {row["code"]: Described(row["kind"] or "", row["cluster30"] or "") for row in rows}


def described(code: str, index: Mapping[str, Described] | None) -> Described:
    """What an index says of a complex; nothing if there is no index.

    Raises
    ------
    InputError
        The complex is not in the index.
    """
    if index is None:
        return Described()
    if code not in index:
        raise InputError(f"{code}: is not in the index; add a line for it, or leave --index out")
    return index[code]
