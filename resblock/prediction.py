"""From two structure files to ranked residue pairs."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, overload

import numpy as np
from numpy.typing import NDArray

from resblock.errors import InputError
from resblock.pairs import Dimer, DimerPartner
from resblock.pairs.ranked import RankedPair
from resblock.scoring import Progress, Scorer, diverse_order
from resblock.structure import Partner, feature_names, notes, read_partner

#: From this many residues of the smaller partner on, a second process saves more time than it takes to start.
WORTH_A_PROCESS: Final = 700

#: Five thousand surface residues on either side: minutes of scoring and a table of a gigabyte.
MAX_PAIRS: Final = 25_000_000


class Ranking(Sequence[RankedPair]):
    """All pairs of surface residues of a dimer, best first, made as they are asked for.

    Equal scores rank in the order of the files: by the receptor's residue, then by the ligand's.

    Parameters
    ----------
    dimer : Dimer
    scores : (n_surface_receptor, n_surface_ligand) array
    diverse : bool
        In the order of `resblock.scoring.diverse_order` instead of that of the scores.
    """

    def __init__(self, dimer: Dimer, scores: NDArray[np.float32], diverse: bool = False) -> None:
        self._receptor = [dimer.receptor.residues[k] for k in np.flatnonzero(dimer.receptor.surface)]
        self._ligand = [dimer.ligand.residues[k] for k in np.flatnonzero(dimer.ligand.surface)]
        self._scores = scores.reshape(-1)
        self._order = diverse_order(dimer, scores) if diverse else np.argsort(-self._scores, kind="stable")

    def __len__(self) -> int:
        return len(self._order)

    @overload
    def __getitem__(self, index: int) -> RankedPair: ...

    @overload
    def __getitem__(self, index: slice) -> list[RankedPair]: ...

    def __getitem__(self, index: int | slice) -> RankedPair | list[RankedPair]:
        if isinstance(index, slice):
            return [self[k] for k in range(*index.indices(len(self)))]
        place = range(len(self))[index]
        pair = self._order[place]
        row, column = divmod(int(pair), len(self._ligand))
        return RankedPair(place + 1, float(self._scores[pair]), self._receptor[row], self._ligand[column])


@dataclass(frozen=True)
class Prediction:
    """Two partners and how likely their residues touch.

    Attributes
    ----------
    receptor, ligand : Partner
        As read.
    dimer : Dimer
        What the network saw.
    scores : ndarray, shape (n_surface_receptor, n_surface_ligand)
        float32, 0 to 1.
    ranking : Ranking
        All pairs, best first.
    notes : tuple of str
        What in the files may have cost accuracy.
    seconds : dict
        Wall time of each stage.
    """

    receptor: Partner
    ligand: Partner
    dimer: Dimer
    scores: NDArray[np.float32]
    ranking: Ranking
    notes: tuple[str, ...]
    seconds: dict[str, float] = field(default_factory=dict)

    def best_scores(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Best score of every residue of the receptor (N,) and of the ligand (M,); 0 below the surface."""
        receptor = np.zeros(len(self.dimer.receptor), dtype=np.float32)
        ligand = np.zeros(len(self.dimer.ligand), dtype=np.float32)
        receptor[self.dimer.receptor.surface] = self.scores.max(axis=1)
        ligand[self.dimer.ligand.surface] = self.scores.max(axis=0)
        return receptor, ligand


def predict(
    receptor: str | os.PathLike[str],
    ligand: str | os.PathLike[str],
    scorer: Scorer,
    receptor_chains: Sequence[str] | None = None,
    ligand_chains: Sequence[str] | None = None,
    processes: int = 1,
    progress: Progress | None = None,
    diverse: bool = False,
) -> Prediction:
    """Rank all pairs of surface residues of two unbound structures.

    Parameters
    ----------
    receptor, ligand : path
        PDB or mmCIF, plain or gzip. Where they lie relative to each other has no influence.
    scorer : Scorer
        From `resblock.scoring.load_scorer`.
    receptor_chains, ligand_chains : sequence of str, optional
        Author's chain names that make the partner; all by default.
    processes : int
        With 2, large partners get their features at the same time. Call it under
        ``if __name__ == "__main__"`` then: the second process imports the calling script.
    progress : callable, optional
        Called with the number of pairs scored so far and of all pairs.
    diverse : bool
        List likely pairs that lie apart first (`resblock.scoring.diverse_order`).

    Raises
    ------
    InputError
        If a file or chain cannot be used, there are too many pairs, or the scorer needs other features.
    """
    seconds: dict[str, float] = {}
    with _timed(seconds, "reading"):
        partners = read_partner(receptor, receptor_chains), read_partner(ligand, ligand_chains)
    with _timed(seconds, "features"):
        first, second = _features(*partners, scorer.feature_set, processes)
        dimer = Dimer(f"{Path(receptor).name}-{Path(ligand).name}", first, second, feature_names(scorer.feature_set))
    pairs = int(first.surface.sum()) * int(second.surface.sum())
    if pairs > MAX_PAIRS:
        raise InputError(
            f"{receptor} and {ligand}: {pairs} pairs of surface residues, more than the {MAX_PAIRS} that can be "
            "ranked; choose the chains that matter"
        )
    with _timed(seconds, "scoring"):
        scores = scorer.score(dimer, progress)
    with _timed(seconds, "ranking"):
        ranking = Ranking(dimer, scores, diverse)
    remarks = tuple(line for partner in partners for line in notes(partner))
    return Prediction(*partners, dimer, scores, ranking, remarks, seconds)


def _features(receptor: Partner, ligand: Partner, features: str, processes: int) -> tuple[DimerPartner, DimerPartner]:
    if processes > 1 and min(len(receptor.residues), len(ligand.residues)) >= WORTH_A_PROCESS:
        try:
            # Spawned, because forking a process that holds torch's threads can hang.
            with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
                other = pool.submit(DimerPartner.from_structure, ligand, features)
                return DimerPartner.from_structure(receptor, features), other.result()
        except (BrokenProcessPool, OSError):
            pass  # No second process to be had: one after the other, then.
    return DimerPartner.from_structure(receptor, features), DimerPartner.from_structure(ligand, features)


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[stage] = time.perf_counter() - start
