"""Tables of results: what a prediction hands to a report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from resblock.structure import Residue


@dataclass(frozen=True)
class RankedPair:
    """A residue of the receptor and a residue of the ligand, scored and ranked.

    Attributes
    ----------
    rank : int
        1 for the pair most likely to touch.
    score : float
        The scorer's value, higher for more likely; probabilities lie in 0..1.
    receptor, ligand : Residue
        The two residues, with the numbers they have in the user's files.
    """

    rank: int
    score: float
    receptor: Residue
    ligand: Residue


@dataclass(frozen=True)
class RankedBlock:
    """P ranked pairs that follow one another, as columns.

    Attributes
    ----------
    first_rank : int
        Of the first of them; each of the others has the next.
    scores : (P,) float32 array
    receptor, ligand : (P,) int64 array
        Places of the residues among those of their partner.
    """

    first_rank: int
    scores: NDArray[np.float32]
    receptor: NDArray[np.int64]
    ligand: NDArray[np.int64]
