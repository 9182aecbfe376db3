"""Tables of results: what a prediction hands to reports and exports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
from numpy.typing import NDArray

from resblock.pairs.expectations import Expectations

if TYPE_CHECKING:
    from resblock.structure import Partner, Residue

Role = Literal["receptor", "ligand"]
ROLES: Final[tuple[Role, Role]] = ("receptor", "ligand")


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
    touches : bool or None
        Whether they touch in the known complex; None where no complex was given.
    """

    rank: int
    score: float
    receptor: Residue
    ligand: Residue
    touches: bool | None = None


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


@dataclass(frozen=True)
class ScoredResidue:
    """A residue and how likely it is in the interface.

    Attributes
    ----------
    partner : {"receptor", "ligand"}
    index : int
        Place among the residues of its partner, from 0.
    residue : Residue
    probability : float
        Of being in the interface; 0 for one that is no candidate.
    best_score : float
        Of its pairs; 0 for one that is no candidate.
    rank : int or None
        Among the candidates of its partner, 1 the likeliest; None for one that is no candidate.
    marked : bool
        Whether a reader should look at it.
    patch : int or None
        Rank of the patch of marked residues that it belongs to.
    area : float
        Accessible to solvent, square Angstrom.
    plddt : float or None
        Confidence in its place, 0 to 100, where the file is a prediction.
    glycan : bool
        Whether it carries a sugar, which no model sees.
    in_interface : bool or None
        Whether it touches the other partner in the known complex; None where no complex was given.
    """

    partner: Role
    index: int
    residue: Residue
    probability: float
    best_score: float
    rank: int | None
    marked: bool
    patch: int | None
    area: float
    plddt: float | None
    glycan: bool = False
    in_interface: bool | None = None


@dataclass(frozen=True)
class Patch:
    """Marked residues of one partner that lie side by side on its surface.

    Attributes
    ----------
    partner : {"receptor", "ligand"}
    rank : int
        Among the patches of its partner; 1 has the most residues of the interface to expect.
    residues : tuple of ScoredResidue
        The likeliest first.
    area : float
        Accessible to solvent, square Angstrom.
    probability : float
        Mean of its residues'.
    expected : float
        Sum of its residues' probabilities: how many of them to expect in the interface.
    goes_with : int or None
        Rank of the other partner's patch that it has most contacts with, by the pairs' probabilities.
    """

    partner: Role
    rank: int
    residues: tuple[ScoredResidue, ...]
    area: float
    probability: float
    expected: float
    goes_with: int | None


@dataclass(frozen=True)
class Side:
    """One partner of a prediction: N residues in the order of the file, and the patches of the marked ones."""

    role: Role
    partner: Partner
    residues: tuple[ScoredResidue, ...]
    patches: tuple[Patch, ...]

    @property
    def marked(self) -> list[ScoredResidue]:
        """Residues that a reader should look at, the likeliest first."""
        return sorted((one for one in self.residues if one.marked), key=lambda one: one.rank or 0)

    @property
    def probabilities(self) -> NDArray[np.float64]:
        """(N,) probability of each residue to be in the interface."""
        return np.array([one.probability for one in self.residues])


@dataclass(frozen=True)
class Results:
    """Everything that reports and exports read of a prediction.

    Attributes
    ----------
    receptor, ligand : Side
    pairs : sequence of RankedPair
        All of them, best first.
    candidates : tuple of (n,) and (m,) int64 array
        Places of the residues whose pairs are ranked.
    scores : (n, m) float32 array
        Probability of each pair of candidates.
    marking : str
        How residues were marked, in words.
    expectations : Expectations or None
        What out-of-fold dimers tell of such a list, where the weights hold it.
    command : str
        What makes the same prediction.
    weights : str
        Name of the weights.
    trained_on : int
        Complexes that the weights were trained on; 0 where they do not say.
    version : str
        Of this package.
    notes : tuple of str
        What in the files may have cost accuracy.
    truth : (n, m) bool array or None
        Whether each pair touches in the known complex.
    """

    receptor: Side
    ligand: Side
    pairs: Sequence[RankedPair]
    candidates: tuple[NDArray[np.int64], NDArray[np.int64]]
    scores: NDArray[np.float32]
    marking: str
    expectations: Expectations | None = None
    command: str = ""
    weights: str = ""
    trained_on: int = 0
    version: str = ""
    notes: tuple[str, ...] = ()
    truth: NDArray[np.bool_] | None = None

    @property
    def sides(self) -> tuple[Side, Side]:
        """Receptor and ligand."""
        return self.receptor, self.ligand
