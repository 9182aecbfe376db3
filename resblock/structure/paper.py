"""The paper's nine numbers for every residue of an unbound partner."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from resblock.errors import InputError
from resblock.structure import pka
from resblock.structure.partner import Partner
from resblock.structure.scales import EISENBERG, KYTE_DOOLITTLE, REFERENCE_AREA, atom_radius
from resblock.structure.tessellation import tessellate

PAPER_FEATURES: Final = ("IC", "EC", "EV", "AESA", "RESA", "HI-E", "HI-KD", "pKa-model", "pKa-PROPKA")

#: Two atoms whose spheres are closer than this touch, Angstrom.
TOUCHING_GAP: Final = 1.0
#: A contact goes from touching to void over this width of the gap, Angstrom. A structure file's
#: rounding moves gaps by 0.001; a sharp limit would then move areas of several square Angstrom.
GAP_TRANSITION: Final = 0.4


def atom_radii(partner: Partner) -> NDArray[np.float64]:
    """(A,) NACCESS radii of a partner's atoms, Angstrom."""
    return np.array(
        [
            atom_radius(partner.residues[k].parent, name, element)
            for k, name, element in zip(partner.atom_residue, partner.atom_names, partner.elements, strict=True)
        ]
    )


def paper_features(partner: Partner) -> NDArray[np.float64]:
    """(N, 9) columns `PAPER_FEATURES`: square Angstrom, per cent, and the pKa's NaN where nothing titrates."""
    interior, exterior, void, accessible = _residue_areas(partner)
    parents = [residue.parent for residue in partner.residues]
    reference = np.array([REFERENCE_AREA[parent] for parent in parents])
    return np.column_stack(
        [
            interior,
            exterior,
            void,
            accessible,
            100.0 * accessible / reference,
            [EISENBERG[parent] for parent in parents],
            [KYTE_DOOLITTLE[parent] for parent in parents],
            pka.model_pka(partner),
            pka.propka_pka(partner),
        ]
    )


def _residue_areas(partner: Partner) -> tuple[NDArray[np.float64], ...]:
    """IC, EC, EV and AESA, each (N,): together the whole surface of the cells of N residues."""
    xyz = partner.frame
    radii = atom_radii(partner)
    try:
        result = tessellate(xyz, radii)
    except ValueError as error:
        raise InputError(f"{partner.path}: {error}; are the coordinates in Angstrom?") from None
    size = len(partner.residues)
    first, second = result.pairs.T
    owner = partner.atom_residue
    inside = owner[first] == owner[second]
    gap = np.linalg.norm(xyz[first] - xyz[second], axis=1) - radii[first] - radii[second]
    touching = np.clip(0.5 + (TOUCHING_GAP - gap) / GAP_TRANSITION, 0.0, 1.0)

    def total(atoms: NDArray[np.int64], areas: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.bincount(owner[atoms], areas, size).astype(np.float64)

    def surface(share: NDArray[np.float64]) -> NDArray[np.float64]:
        """A contact is surface of both of its atoms."""
        return total(first, result.areas * share) + total(second, result.areas * share)

    return (
        surface(inside.astype(np.float64)),
        surface(~inside * touching),
        surface(~inside * (1.0 - touching)),
        total(np.arange(len(owner)), result.accessible),
    )
