"""The atoms of a structure file, whatever its format, before anything is chosen among them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Format = Literal["pdb", "mmcif"]


@dataclass(frozen=True)
class AtomTable:
    """A atoms in the order of the file; each attribute is a column of it.

    Attributes
    ----------
    line
        (A,) int64, line of a PDB file, or row of atom_site.
    model
        (A,) int64, number of the model.
    chain, name, atom
        (A,) str, the author's chain name, residue name and atom name; a chain may be blank.
    subchain
        (A,) str, what assemblies are made of: the file's own chain name (label_asym_id), of a PDB file the author's.
    number, insertion_code
        (A,) int64 and (A,) str, the author's residue number and the letter behind it.
    hetero
        (A,) bool, whether the file calls the atom one of no polymer (HETATM).
    polymer
        (A,) bool, whether the file gives the residue a place in a polymer's sequence; of a PDB file, whether it comes
        before the chain's TER.
    element
        (A,) str in capitals; empty where the file has none.
    alternative
        (A,) str, label of the alternative location; empty for the only one.
    occupancy, b_factor
        (A,) float64; 1 and 0 where the file has none.
    xyz
        (A, 3) float64, Angstrom.
    """

    line: NDArray[np.int64]
    model: NDArray[np.int64]
    chain: NDArray[np.str_]
    subchain: NDArray[np.str_]
    number: NDArray[np.int64]
    insertion_code: NDArray[np.str_]
    name: NDArray[np.str_]
    hetero: NDArray[np.bool_]
    polymer: NDArray[np.bool_]
    atom: NDArray[np.str_]
    element: NDArray[np.str_]
    alternative: NDArray[np.str_]
    occupancy: NDArray[np.float64]
    b_factor: NDArray[np.float64]
    xyz: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.atom)

    def __getitem__(self, which: Any) -> AtomTable:
        """The atoms that a mask, a slice or indices choose."""
        return AtomTable(**{field.name: getattr(self, field.name)[which] for field in fields(self)})

    @classmethod
    def joined(cls, tables: Sequence[AtomTable]) -> AtomTable:
        """The atoms of several tables, one after the other."""
        return cls(
            **{field.name: np.concatenate([getattr(table, field.name) for table in tables]) for field in fields(cls)}
        )


@dataclass(frozen=True)
class Copies:
    """Parts of a file, and where an assembly has them.

    Attributes
    ----------
    subchains : frozenset of str
    operators
        (4, 4) float64 for each place, a rotation and a shift in Angstrom.
    """

    subchains: frozenset[str]
    operators: tuple[NDArray[np.float64], ...]


@dataclass(frozen=True)
class Assembly:
    """A biological assembly as the file describes it.

    Attributes
    ----------
    name : str
        Its identifier.
    by_author : bool
        Whether the authors say that it is the biological unit, and not a program alone.
    parts : tuple of Copies
    """

    name: str
    by_author: bool
    parts: tuple[Copies, ...]


@dataclass(frozen=True)
class StructureFile:
    """What a structure file holds.

    Attributes
    ----------
    path : str
        Named in messages.
    format : {"pdb", "mmcif"}
        What it is written in; BinaryCIF is mmCIF.
    atoms : AtomTable
        Of all models.
    sequences : mapping
        Whole sequence of each chain, one-letter codes, where the file states it (SEQRES, pdbx_poly_seq_scheme).
    confidence : bool
        Whether the file says that its B-factors are pLDDT.
    remarks : tuple of str
        What a reader of the result should know about how the file was read, a line each.
    assemblies : tuple of Assembly
        In the order of the file.
    """

    path: str
    format: Format
    atoms: AtomTable
    sequences: Mapping[str, str]
    confidence: bool = False
    remarks: tuple[str, ...] = ()
    assemblies: tuple[Assembly, ...] = ()

    @property
    def has_models(self) -> bool:
        """Whether there are several."""
        return len(np.unique(self.atoms.model)) > 1
