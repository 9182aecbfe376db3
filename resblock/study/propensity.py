"""Baselines that need no training or only counting: accessible areas and residue-pair propensities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from resblock.pairs import Complex
from resblock.pairs.selection import Selection
from resblock.structure import PartnerFeatures
from resblock.structure.scales import UNKNOWN

#: Raise it whenever a score changes.
VERSION: Final = 1

#: Contacts as frequent as on average that every pair of residue types is given in advance.
PRIOR_CONTACTS: Final = 10.0


def area_product(complex: Complex) -> NDArray[np.float64]:
    """Product of the accessible areas of both residues, square Angstrom squared; shape as of all scores."""
    areas = [partner.columns(("AESA",))[partner.surface, 0].astype(np.float64) for partner in complex.partners]
    return np.asarray(np.outer(*areas))


class Propensities:
    """How much more often two residue types touch than any two do: logarithm of the share of positives among
    those of two types over the share among all.

    Of pairs of the same types, those with the larger `area_product` come first.

    Parameters
    ----------
    complexes : sequence of Complex
        To count in.
    selection : callable
        The pairs of each that count.
    """

    def __init__(self, complexes: Sequence[Complex], selection: Selection) -> None:
        self.types = (*sorted(_three_letters(complexes)), UNKNOWN)
        contacts = np.zeros((len(self.types), len(self.types)))
        pairs = np.zeros_like(contacts)
        for complex in complexes:
            chosen, positive = selection(complex, np.random.default_rng(0))
            types = (self._types(complex.receptor)[chosen[:, 0]], self._types(complex.ligand)[chosen[:, 1]])
            np.add.at(pairs, types, 1)
            np.add.at(contacts, types, positive)
        contacts, pairs = contacts + contacts.T, pairs + pairs.T
        share = contacts.sum() / pairs.sum()
        self.table = np.log((contacts + PRIOR_CONTACTS) / (pairs + PRIOR_CONTACTS / share) / share)

    def __call__(self, complex: Complex) -> NDArray[np.float64]:
        """Places in the order of propensity and area, from 0 for the last pair."""
        types = [self._types(partner)[partner.surface] for partner in complex.partners]
        propensity = self.table[np.ix_(*types)]
        places = np.empty(propensity.size)
        order = np.lexsort((area_product(complex).reshape(-1), propensity.reshape(-1)))
        places[order] = np.arange(propensity.size)
        return np.asarray(places.reshape(propensity.shape))

    def _types(self, partner: PartnerFeatures) -> NDArray[np.int64]:
        known = {name: number for number, name in enumerate(self.types)}
        return np.array([known.get(residue.parent, len(known) - 1) for residue in partner.residues], dtype=np.int64)


def _three_letters(complexes: Sequence[Complex]) -> set[str]:
    partners = [partner for complex in complexes for partner in complex.partners]
    return {residue.parent for partner in partners for residue in partner.residues} - {UNKNOWN}
