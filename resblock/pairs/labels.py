"""Contacts and distances between the residues of a bound complex, on the unbound residues."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from resblock.structure.align import map_residues
from resblock.structure.paper import atom_radii
from resblock.structure.partner import Partner
from resblock.structure.tessellation import tessellate

#: Raise it whenever a label changes: prepared complexes of other versions are redone.
LABEL_VERSION: Final = 1


@dataclass(frozen=True)
class Labels:
    """What the bound complex says about n x m pairs of unbound residues.

    Attributes
    ----------
    contact_area
        (n, m) float32, square Angstrom; zero where nothing touches or nothing is known.
    distance
        (n, m) float32, smallest heavy-atom distance, Angstrom; NaN where either residue is absent
        from the complex.
    lost_contacts
        Residue pairs in contact whose residues the unbound structures lack.
    """

    contact_area: NDArray[np.float32]
    distance: NDArray[np.float32]
    lost_contacts: int


@dataclass(frozen=True)
class BoundContacts:
    """What touches in a bound complex of n and m residues.

    Attributes
    ----------
    area
        (n, m) float64, contact area of every residue pair, square Angstrom.
    distance
        (n, m) float64, smallest heavy-atom distance of every residue pair, Angstrom.
    """

    area: NDArray[np.float64]
    distance: NDArray[np.float64]

    @classmethod
    def between(cls, receptor: Partner, ligand: Partner) -> BoundContacts:
        """Compute them from the two partners as they lie in the complex."""
        return cls(contact_areas(receptor, ligand), smallest_distances(receptor, ligand))

    def as_bound(self) -> Labels:
        """Labels of the bound residues themselves."""
        rows, columns = (np.arange(count) for count in self.area.shape)
        return self.on(rows, columns)

    def on(self, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> Labels:
        """Labels of other residues, each of which is the bound one with this index; -1 for none of them."""
        known = np.ix_(rows >= 0, columns >= 0)
        bound = np.ix_(rows[rows >= 0], columns[columns >= 0])
        shape = (len(rows), len(columns))
        contact_area = np.zeros(shape, dtype=np.float32)
        contact_area[known] = self.area[bound]
        mapped = np.full(shape, np.nan, dtype=np.float32)
        mapped[known] = self.distance[bound]
        lost = np.count_nonzero(self.area) - np.count_nonzero(contact_area)
        return Labels(contact_area, mapped, int(lost))


def label_pairs(receptor: Partner, ligand: Partner, receptor_bound: Partner, ligand_bound: Partner) -> Labels:
    """Label the residue pairs of two unbound partners by their bound complex."""
    contacts = BoundContacts.between(receptor_bound, ligand_bound)
    return contacts.on(map_residues(receptor, receptor_bound), map_residues(ligand, ligand_bound))


def contact_areas(receptor: Partner, ligand: Partner) -> NDArray[np.float64]:
    """(n, m) contact area of every residue pair across the two partners, square Angstrom.

    One tessellation of both, with the radii and the probe of the features.
    """
    atoms = len(receptor.coordinates)
    result = tessellate(
        np.concatenate([receptor.coordinates, ligand.coordinates]),
        np.concatenate([atom_radii(receptor), atom_radii(ligand)]),
    )
    first, second = np.sort(result.pairs, axis=1).T
    across = (first < atoms) & (second >= atoms)
    area = np.zeros((len(receptor.residues), len(ligand.residues)))
    np.add.at(
        area,
        (receptor.atom_residue[first[across]], ligand.atom_residue[second[across] - atoms]),
        result.areas[across],
    )
    return area


def smallest_distances(receptor: Partner, ligand: Partner) -> NDArray[np.float64]:
    """(n, m) smallest distance between heavy atoms of every residue pair, Angstrom."""
    starts = np.flatnonzero(np.diff(ligand.atom_residue, prepend=-1))
    distance = np.empty((len(receptor.residues), len(ligand.residues)))
    for k in range(len(receptor.residues)):
        atoms = receptor.coordinates[receptor.atom_residue == k]
        squares = ((atoms[:, None] - ligand.coordinates) ** 2).sum(axis=-1).min(axis=0)
        distance[k] = np.sqrt(np.minimum.reduceat(squares, starts))
    return distance
