"""Patches: marked residues that lie side by side on a partner's surface."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from resblock.pairs.tables import Patch, ScoredResidue, Side
from resblock.structure.geometry import pairs_within

if TYPE_CHECKING:
    from resblock.structure import Partner

#: Residues of which two heavy atoms lie so near, Angstrom, are neighbours: a contact, or one atom between them.
NEIGHBOURS: Final = 5.0


def neighbouring(partner: Partner, places: Sequence[int]) -> list[list[int]]:
    """Divide residues into groups that hang together by neighbours.

    Parameters
    ----------
    partner : Partner
    places : sequence of int
        Residues of it.

    Returns
    -------
    list of list of int
        Each group in the order of the file, by its first residue.
    """
    group = np.arange(len(partner))
    atoms = np.flatnonzero(np.isin(partner.atom_residue, places))
    owner = partner.atom_residue[atoms]
    near = owner[pairs_within(partner.coordinates[atoms], NEIGHBOURS)]
    for first, second in np.unique(near, axis=0).tolist():
        if group[first] != group[second]:
            group[group == max(group[first], group[second])] = min(group[first], group[second])
    members: dict[int, list[int]] = {}
    for place in sorted(places):
        members.setdefault(int(group[place]), []).append(place)
    return list(members.values())


def with_patches(receptor: Side, ligand: Side, scores: NDArray[np.float32]) -> tuple[Side, Side]:
    """Both partners with the patches of their marked residues, and which goes with which.

    Parameters
    ----------
    receptor, ligand : Side
        Of N and M residues, without patches.
    scores : (N, M) array
        Probability of each pair to touch, 0 where one is no candidate.
    """
    groups = [_ranked(side) for side in (receptor, ligand)]
    contacts = np.array([[scores[np.ix_(a, b)].sum() for b in groups[1]] for a in groups[0]])
    return (
        _patched(receptor, groups[0], contacts),
        _patched(ligand, groups[1], contacts.T),
    )


def _ranked(side: Side) -> list[list[int]]:
    groups = neighbouring(side.partner, [one.index for one in side.residues if one.marked])
    return sorted(groups, key=lambda group: -sum(side.residues[k].probability for k in group))


def _patched(side: Side, groups: Sequence[Sequence[int]], contacts: NDArray[np.float32]) -> Side:
    rank_of = {place: rank for rank, group in enumerate(groups, start=1) for place in group}
    residues = tuple(dataclasses.replace(one, patch=rank_of.get(one.index)) for one in side.residues)
    patches = []
    for rank, group in enumerate(groups, start=1):
        members: list[ScoredResidue] = sorted((residues[k] for k in group), key=lambda one: one.rank or 0)
        expected = sum(one.probability for one in members)
        patches.append(
            Patch(
                partner=side.role,
                rank=rank,
                residues=tuple(members),
                area=sum(one.area for one in members),
                probability=expected / len(members),
                expected=expected,
                goes_with=int(contacts[rank - 1].argmax()) + 1 if contacts.size else None,
            )
        )
    return dataclasses.replace(side, residues=residues, patches=tuple(patches))
