"""The extended feature set: the paper's nine and what the partner's geometry tells around each residue."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from resblock.structure.backbone import secondary_structure, torsions
from resblock.structure.neighbourhood import (
    distances,
    exposure,
    half_sphere_exposure,
    neighbour_counts,
    neighbour_means,
    neighbour_sums,
)
from resblock.structure.paper import PAPER_FEATURES
from resblock.structure.partner import Partner
from resblock.structure.scales import CHARGE, NEUTRAL_PKA, RESIDUE_NAMES, STICKY
from resblock.structure.shape import convexity, flatness, protrusion, whole

COUNT_RADII: Final = (6, 8, 10, 12, 14, 18)
HALF_SPHERE_RADII: Final = (10, 13, 16)
CONVEXITY_RADII: Final = (8, 10, 14, 20, 28)
FLATNESS_RADII: Final = (10, 14)
MEAN_RADII: Final = (6, 10, 14)
PATCH_RADII: Final = (8, 12, 16)
#: Radius of the means of residue types and secondary structure.
TYPE_RADIUS: Final = 10
#: Residues over which the nearness of a chain's end fades.
END_FADING: Final = 5.0

_SECONDARY: Final = ("helix", "strand", "coil")
_PATCH: Final = ("AESA", "apolar AESA", "sticky AESA", "net charge", "charges")

EXTENDED_FEATURES: Final = (
    *PAPER_FEATURES,
    *(f"is {name}" for name in RESIDUE_NAMES),
    "sin phi", "cos phi", "sin psi", "cos psi",
    *_SECONDARY,
    "near N-terminus", "near C-terminus",
    *(f"neighbours {r}" for r in COUNT_RADII),
    *(f"half sphere {half} {r}" for r in HALF_SPHERE_RADII for half in ("up", "down")),
    "protrusion mean", "protrusion max",
    *(f"convexity {part} {r}" for r in CONVEXITY_RADII for part in ("length", "outward", "side")),
    *(f"flatness {part} {r}" for r in FLATNESS_RADII for part in ("spread", "ratio", "height")),
    "log residues", "root total AESA", "gyration radius", "relative distance",
    *(f"mean {name} {r}" for r in MEAN_RADII for name in PAPER_FEATURES),
    *(f"mean is {name} {TYPE_RADIUS}" for name in RESIDUE_NAMES),
    *(f"mean {name} {TYPE_RADIUS}" for name in _SECONDARY),
    *(f"patch {name} {r}" for r in PATCH_RADII for name in _PATCH),
)  # fmt: skip


def extended_features(partner: Partner, nine: NDArray[np.float64]) -> NDArray[np.float64]:
    """Columns `EXTENDED_FEATURES` of N residues.

    They are continuous in the coordinates but for the pKa, and do not change when the partner is
    turned or shifted. `docs/features.md` has the definition, source and unit of each.

    Parameters
    ----------
    partner
        N residues.
    nine
        (N, 9) of `resblock.structure.paper.paper_features`.

    Returns
    -------
    ndarray
        (N, F) float64; NaN in the two pKa columns as in `nine`, nowhere else.
    """
    centres, chain = partner.centres, partner.backbone
    accessible, relative = (nine[:, PAPER_FEATURES.index(name)] for name in ("AESA", "RESA"))
    types = np.array([[residue.parent == name for name in RESIDUE_NAMES] for residue in partner.residues], float)
    secondary = secondary_structure(chain)
    distance = distances(centres)
    exposed = exposure(relative)
    own = np.where(np.isnan(nine), NEUTRAL_PKA, nine)
    patch = _patch_values(partner, accessible, relative, nine[:, PAPER_FEATURES.index("HI-KD")])
    return np.column_stack(
        [
            nine,
            types,
            _angles(*torsions(chain)),
            secondary,
            _chain_ends(partner),
            neighbour_counts(distance, COUNT_RADII),
            half_sphere_exposure(chain.ca, chain.side, HALF_SPHERE_RADII),
            protrusion(partner.frame, partner.atom_residue),
            convexity(distance, centres, chain.side, CONVEXITY_RADII),
            flatness(distance, centres, exposed, FLATNESS_RADII),
            whole(centres, accessible),
            *(neighbour_means(distance, radius, exposed, own) for radius in MEAN_RADII),
            neighbour_means(distance, TYPE_RADIUS, exposed, np.column_stack([types, secondary])),
            *(neighbour_sums(distance, radius, patch) for radius in PATCH_RADII),
        ]
    )


def _angles(*radians: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sine and cosine of each angle; zeros where there is none."""
    columns = [part for angle in radians for part in (np.sin(angle), np.cos(angle))]
    return np.asarray(np.nan_to_num(np.column_stack(columns)))


def _chain_ends(partner: Partner) -> NDArray[np.float64]:
    """(N, 2) nearness of the chain's first and last residue along it, 1 at the end itself."""
    first, size = partner.chain_starts, len(partner)
    length = np.diff(np.append(first, size))
    behind = np.arange(size) - np.repeat(first, length)
    ahead = np.repeat(length, length) - 1 - behind
    near: NDArray[np.float64] = np.exp(np.column_stack([behind, ahead]) / -END_FADING)
    return near


def _patch_values(
    partner: Partner,
    accessible: NDArray[np.float64],
    relative: NDArray[np.float64],
    hydropathy: NDArray[np.float64],
) -> NDArray[np.float64]:
    """(N, 5) what a patch sums up: accessible areas of residues, and charges as far as they are exposed."""
    parents = [residue.parent for residue in partner.residues]
    charge = np.array([CHARGE.get(parent, 0.0) for parent in parents]) * np.minimum(relative / 100.0, 1.0)
    sticky = np.array([parent in STICKY for parent in parents])
    apolar = np.maximum(hydropathy, 0.0) / 4.5
    return np.column_stack([accessible, accessible * apolar, accessible * sticky, charge, np.abs(charge)])
