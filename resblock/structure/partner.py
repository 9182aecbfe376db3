"""A partner as it was read: residues, atoms, and the geometry that follows from them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from resblock.structure.backbone import Backbone
from resblock.structure.frame import canonical_frame
from resblock.structure.scales import BACKBONE_ATOMS
from resblock.structure.table import Format


@dataclass(frozen=True)
class Residue:
    """One residue under the author's own numbering.

    Attributes
    ----------
    chain
        Author's chain name; empty where the file leaves it blank.
    number, insertion_code
        Author's residue number, and the letter behind it or an empty string.
    name, parent
        Residue name as in the file (``MSE``), and the one of the twenty it stands for (``MET``) or
        ``UNK``.
    """

    chain: str
    number: int
    insertion_code: str
    name: str
    parent: str

    @property
    def label(self) -> str:
        """Author's number with insertion code: ``52A``."""
        return f"{self.number}{self.insertion_code}"

    def __str__(self) -> str:
        return f"chain {self.chain or '(blank)'} residue {self.name} {self.label}"


@dataclass(frozen=True)
class Partner:
    """One side of a complex: the residues and heavy atoms of one or more chains, as read from a file.

    Attributes
    ----------
    path
        File it was read from.
    residues
        N residues, chain by chain.
    atom_names, elements
        A names and A element symbols in capitals.
    coordinates
        (A, 3) float64, Angstrom, as in the file.
    atom_residue
        (A,) int64, index of each atom's residue; non-decreasing.
    linked
        (N,) bool, whether a residue is bonded to the one before it in the list.
    sequence
        For each of `chains`, its whole sequence as the file states it (SEQRES, entity_poly), one-letter codes;
        empty where the file states none.
    sequence_index
        (N,) int64, place of each residue in the sequence of its chain; -1 where that has none.
    left_out
        What of the file is not in here, a line each.
    remarks
        How the file was read, where there was a choice, a line each.
    format
        What the file is written in.
    plddt
        (N,) float64, confidence in each residue's place, 0 to 100, where the file says that it is a prediction's.
    glycosylated
        (N,) bool, whether a residue is bonded to a sugar; None where that was not looked at.
    """

    path: str
    residues: tuple[Residue, ...]
    atom_names: tuple[str, ...]
    elements: tuple[str, ...]
    coordinates: NDArray[np.float64]
    atom_residue: NDArray[np.int64]
    linked: NDArray[np.bool_]
    sequence: tuple[str, ...]
    sequence_index: NDArray[np.int64]
    left_out: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    format: Format = "pdb"
    plddt: NDArray[np.float64] | None = None
    glycosylated: NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.residues)

    @property
    def chains(self) -> tuple[str, ...]:
        """Chain names in order."""
        return tuple(dict.fromkeys(residue.chain for residue in self.residues))

    @property
    def contents(self) -> str:
        """What was read, in one line: how, which chains with how many residues, and what was left out."""
        sizes = np.diff([*self.chain_starts, len(self)]).tolist()
        chains = [f"{name or '(blank)'} ({size} residues)" for name, size in zip(self.chains, sizes, strict=True)]
        read = ", ".join([Path(self.path).name, *self.remarks, f"chain{'s' * (len(chains) > 1)} {', '.join(chains)}"])
        return f"{read}; left out: {', '.join(self.left_out)}" if self.left_out else read

    @cached_property
    def digest(self) -> str:
        """SHA-256 of what the features depend on: residues, atoms and coordinates."""
        digest = hashlib.sha256()
        for residue in self.residues:
            digest.update(f"{residue.chain}\t{residue.parent}\n".encode())
        digest.update("\t".join(self.atom_names).encode())
        digest.update("\t".join(self.elements).encode())
        for array in (self.coordinates, self.atom_residue, self.linked):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    @cached_property
    def chain_digests(self) -> dict[str, bytes]:
        """SHA-256 of the coordinates of each chain, by its name."""
        ends = np.searchsorted(self.atom_residue, [*self.chain_starts, len(self)])
        return {
            name: hashlib.sha256(np.ascontiguousarray(self.coordinates[start:end]).tobytes()).digest()
            for name, start, end in zip(self.chains, ends[:-1], ends[1:], strict=True)
        }

    @cached_property
    def chain_starts(self) -> NDArray[np.int64]:
        """(C,) index of the first residue of each chain."""
        return chain_starts(self.residues)

    def part(self, start: int, stop: int) -> Partner:
        """The residues from `start` to before `stop`, as a partner of their own."""
        first, last = np.searchsorted(self.atom_residue, [start, stop])
        linked = self.linked[start:stop].copy()
        linked[0] = False
        chains = {residue.chain for residue in self.residues[start:stop]}
        return replace(
            self,
            residues=self.residues[start:stop],
            atom_names=self.atom_names[first:last],
            elements=self.elements[first:last],
            coordinates=self.coordinates[first:last],
            atom_residue=self.atom_residue[first:last] - start,
            linked=linked,
            sequence=tuple(one for name, one in zip(self.chains, self.sequence, strict=True) if name in chains),
            sequence_index=self.sequence_index[start:stop],
            plddt=None if self.plddt is None else self.plddt[start:stop],
        )

    @cached_property
    def chain_ranges(self) -> tuple[tuple[int, int], ...]:
        """Index of the first residue of each chain, and of the first behind it."""
        return tuple(pairwise([*self.chain_starts.tolist(), len(self)]))

    @cached_property
    def frame(self) -> NDArray[np.float64]:
        """(A, 3) coordinates in the partner's own canonical frame, Angstrom."""
        return canonical_frame(self.coordinates)

    @cached_property
    def backbone(self) -> Backbone:
        """Backbone of all residues, in the canonical frame."""
        atoms = np.full((len(self.residues), len(BACKBONE_ATOMS), 3), np.nan)
        place = {name: column for column, name in enumerate(BACKBONE_ATOMS)}
        for name, residue, position in zip(self.atom_names, self.atom_residue, self.frame, strict=True):
            if name in place:
                atoms[residue, place[name]] = position
        return Backbone(atoms, self.linked)

    @cached_property
    def centres(self) -> NDArray[np.float64]:
        """(N, 3) mean position of each residue's heavy atoms in the canonical frame, Angstrom."""
        owner = self.atom_residue
        return np.column_stack([np.bincount(owner, axis) for axis in self.frame.T]) / np.bincount(owner)[:, None]


def chain_starts(residues: Sequence[Residue]) -> NDArray[np.int64]:
    """(C,) index of the first residue of each of the C chains that follow one another in a list."""
    chains = np.array([residue.chain for residue in residues])
    return np.flatnonzero(np.append(True, chains[1:] != chains[:-1]))
