"""Two partners and, where the complex is known, the contacts between their residues."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from resblock.errors import InputError
from resblock.pairs.labels import Labels
from resblock.structure.features import PartnerFeatures

#: What a partner's features are of: its own structure, or its structure in the complex, where every coordinate may
#: have been moved a little; or a part of a chain that was cut in two.
Conformation = Literal["unbound", "bound", "perturbed", "cut"]
Side = Literal["receptor", "ligand"]

#: Kinds of what was made of a part of a complex or of a chain.
INTERFACE, PSEUDO_DIMER = DERIVED_KINDS = ("interface", "pseudo-dimer")


@dataclass(frozen=True)
class Complex:
    """A receptor and a ligand, with labels from the bound structures if these are known.

    Attributes
    ----------
    code
        Name of the complex.
    receptor, ligand
        Partners of n and m residues.
    contact_area
        (n, m) float32, square Angstrom: contact area of each residue pair in the bound complex;
        None if the complex is not known.
    distance
        (n, m) float32, Angstrom: smallest heavy-atom distance in the bound complex; NaN where a
        residue has no bound counterpart; None if the complex is not known.
    lost_contacts
        Contacts of the bound complex whose residues have no unbound counterpart.
    key
        Tells by content which input this was prepared from; empty if it was not prepared.
    origin
        Code of the complex that this is another form or a part of; empty if it stands for itself.
    kind
        Such as antibody, ``"interface"`` for two chains out of a complex, ``"pseudo-dimer"`` for two parts of a chain;
        empty if not known.
    cluster
        Name that it shares with the complexes that are much like it; empty if not known.
    conformations
        What the features of receptor and ligand are of.
    """

    code: str
    receptor: PartnerFeatures
    ligand: PartnerFeatures
    contact_area: NDArray[np.float32] | None = None
    distance: NDArray[np.float32] | None = None
    lost_contacts: int = 0
    key: str = ""
    origin: str = ""
    kind: str = ""
    cluster: str = ""
    conformations: tuple[Conformation, Conformation] = ("unbound", "unbound")

    def labelled(self, labels: Labels) -> Complex:
        """The same partners with these contacts."""
        return replace(
            self,
            contact_area=labels.contact_area,
            distance=labels.distance,
            lost_contacts=labels.lost_contacts,
        )

    @property
    def root(self) -> str:
        """Code of the complex that this is, or is another form or a part of."""
        return self.origin or self.code

    @property
    def sides(self) -> tuple[Side, Side]:
        """Of which partner of `root` receptor and ligand are, or are a part; parts say so in the code (``r1-l2``)."""
        if self.kind not in DERIVED_KINDS or not self.origin:
            return "receptor", "ligand"
        first, _, second = self.code.removeprefix(f"{self.origin}.").partition("-")
        receptor = _side(first)
        return receptor, _side(second) if self.kind == INTERFACE else receptor

    @property
    def partners(self) -> tuple[PartnerFeatures, PartnerFeatures]:
        """Receptor and ligand."""
        return self.receptor, self.ligand

    @property
    def is_dimer(self) -> bool:
        """Whether each partner is a single chain."""
        return all(len(partner.chains) == 1 for partner in self.partners)

    @property
    def surface_shape(self) -> tuple[int, int]:
        """Numbers of surface residues of receptor and ligand."""
        return len(self.receptor.surface_residues), len(self.ligand.surface_residues)

    @property
    def surface_centres(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """(n, 3) and (m, 3) centres of the surface residues of receptor and ligand, Angstrom."""
        return self.receptor.centres[self.receptor.surface], self.ligand.centres[self.ligand.surface]

    def surface_pairs(self) -> NDArray[np.int64]:
        """(P, 2) receptor and ligand index of every pair of surface residues, row by row."""
        grid = np.meshgrid(self.receptor.surface_residues, self.ligand.surface_residues, indexing="ij")
        return np.stack(grid, axis=-1).reshape(-1, 2)

    def labels(self) -> NDArray[np.bool_]:
        """(P,) whether each of `surface_pairs` is an interface pair (contact area above zero).

        Raises
        ------
        InputError
            The bound complex is not known.
        """
        if self.contact_area is None:
            raise InputError(f"{self.code}: no contacts known; prepare it with the bound complex")
        interface = self.contact_area[np.ix_(self.receptor.surface, self.ligand.surface)] > 0.0
        return np.asarray(interface.reshape(-1))


def _side(label: str) -> Side:
    return "ligand" if label.startswith("l") else "receptor"
