"""Baselines that need no training or only counting: accessible areas and residue-pair propensities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from resblock.pairs import Dimer, DimerPartner
from resblock.pairs.dataset import Selection
from resblock.structure.scales import UNKNOWN

#: Contacts as frequent as on average that every pair of residue types is given in advance.
PRIOR_CONTACTS: Final = 10.0


def area_product(dimer: Dimer) -> NDArray[np.float64]:
    """Product of the accessible areas of both residues, square Angstrom squared; shape as of all scores."""
    column = dimer.feature_names.index("AESA")
    areas = [partner.features[partner.surface, column].astype(np.float64) for partner in (dimer.receptor, dimer.ligand)]
    return np.asarray(np.outer(*areas))


class Propensities:
    """How much more often two residue types touch than any two do: logarithm of the share of true pairs among
    those of two types over the share among all.

    Of pairs of the same types, those with the larger `area_product` come first.

    Parameters
    ----------
    dimers : sequence of Dimer
        To count in.
    selection : callable
        The pairs of each that count.
    """

    def __init__(self, dimers: Sequence[Dimer], selection: Selection) -> None:
        self.types = (*sorted(_three_letters(dimers)), UNKNOWN)
        contacts = np.zeros((len(self.types), len(self.types)))
        pairs = np.zeros_like(contacts)
        for dimer in dimers:
            chosen, true = selection(dimer, np.random.default_rng(0))
            types = (self._types(dimer.receptor)[chosen[:, 0]], self._types(dimer.ligand)[chosen[:, 1]])
            np.add.at(pairs, types, 1)
            np.add.at(contacts, types, true)
        contacts, pairs = contacts + contacts.T, pairs + pairs.T
        share = contacts.sum() / pairs.sum()
        self.table = np.log((contacts + PRIOR_CONTACTS) / (pairs + PRIOR_CONTACTS / share) / share)

    def __call__(self, dimer: Dimer) -> NDArray[np.float64]:
        """Places in the order of propensity and area, from 0 for the last pair."""
        types = [self._types(partner)[partner.surface] for partner in (dimer.receptor, dimer.ligand)]
        propensity = self.table[np.ix_(*types)]
        places = np.empty(propensity.size)
        order = np.lexsort((area_product(dimer).reshape(-1), propensity.reshape(-1)))
        places[order] = np.arange(propensity.size)
        return np.asarray(places.reshape(propensity.shape))

    def _types(self, partner: DimerPartner) -> NDArray[np.int64]:
        known = {name: number for number, name in enumerate(self.types)}
        return np.array([known.get(residue.parent, len(known) - 1) for residue in partner.residues], dtype=np.int64)


def _three_letters(dimers: Sequence[Dimer]) -> set[str]:
    partners = [partner for dimer in dimers for partner in (dimer.receptor, dimer.ligand)]
    return {residue.parent for partner in partners for residue in partner.residues} - {UNKNOWN}
