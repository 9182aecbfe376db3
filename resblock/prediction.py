"""From two structure files to ranked residue pairs."""

from __future__ import annotations

import dataclasses
import math
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, overload

import numpy as np
from numpy.typing import NDArray

from resblock.errors import InputError
from resblock.models import Ensemble, Progress, probability
from resblock.pairs import Complex
from resblock.pairs.diverse import diverse_order
from resblock.pairs.tables import RankedBlock, RankedPair
from resblock.processes import worker
from resblock.report import write_report
from resblock.structure import Partner, PartnerFeatures, notes, read_partner

#: From this many residues of the smaller partner on, a second process saves more time than it takes to start: that is a
#: few tenths of a second, because the command and `resblock.structure` leave torch alone.
WORTH_A_PROCESS: Final = 500

#: Five thousand surface residues on either side: minutes of scoring.
MAX_PAIRS: Final = 25_000_000
#: Pairs in pairs.csv unless more are asked for: what a spreadsheet still opens.
MAX_TABLE: Final = 200_000


class Ranking(Sequence[RankedPair]):
    """All pairs of surface residues of a complex, best first, made as they are asked for.

    Equal ones rank in the order of the files: by the receptor's residue, then by the ligand's.

    Parameters
    ----------
    complex : Complex
    log_odds : (n_surface_receptor, n_surface_ligand) array
    diverse : bool
        In the order of `resblock.pairs.diverse.diverse_order` instead of that of the log-odds.
    """

    def __init__(self, complex: Complex, log_odds: NDArray[np.float32], diverse: bool = False) -> None:
        self._surfaces = [partner.surface_residues for partner in complex.partners]
        self._receptor, self._ligand = (
            [partner.residues[k] for k in partner.surface_residues] for partner in complex.partners
        )
        self._probabilities = probability(log_odds).reshape(-1)
        flat = log_odds.reshape(-1)
        self._order = diverse_order(complex, log_odds) if diverse else np.argsort(-flat, kind="stable")

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
        return RankedPair(place + 1, float(self._probabilities[pair]), self._receptor[row], self._ligand[column])

    def blocks(self, size: int = 1 << 20) -> Iterator[RankedBlock]:
        """All pairs in order, `size` at a time."""
        for start in range(0, len(self), size):
            pairs = self._order[start : start + size]
            row, column = np.divmod(pairs, len(self._ligand))
            receptor, ligand = self._surfaces
            yield RankedBlock(start + 1, self._probabilities[pairs], receptor[row], ligand[column])


@dataclass(frozen=True)
class Prediction:
    """Two partners and how likely their residues touch.

    Attributes
    ----------
    receptor, ligand : Partner
        As read.
    complex : Complex
        What the models saw.
    log_odds : ndarray, shape (n_surface_receptor, n_surface_ligand)
        float32, of each pair of surface residues to touch.
    ranking : Ranking
        All pairs, best first.
    notes : tuple of str
        What in the files may have cost accuracy.
    seconds : dict
        Wall time of each stage.
    """

    receptor: Partner
    ligand: Partner
    complex: Complex
    log_odds: NDArray[np.float32]
    ranking: Ranking
    notes: tuple[str, ...]
    seconds: dict[str, float] = field(default_factory=dict)

    def best_probabilities(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Best probability of every residue of the receptor (N,) and of the ligand (M,); 0 below the surface."""
        receptor, ligand = (np.zeros(len(partner), dtype=np.float32) for partner in self.complex.partners)
        receptor[self.complex.receptor.surface] = probability(self.log_odds.max(axis=1))
        ligand[self.complex.ligand.surface] = probability(self.log_odds.max(axis=0))
        return receptor, ligand

    def write(self, directory: Path, top: int | None = None, *, all_pairs: bool = False) -> list[Path]:
        """Write the report, as `resblock.report.write_report` does.

        Parameters
        ----------
        directory : Path
        top : int, optional
            Pairs in pairs.csv; up to `MAX_TABLE` by default.
        all_pairs : bool
            Write pairs.parquet with every pair, too.

        Raises
        ------
        ImportError
            If pyarrow is not installed, for all pairs.
        """
        receptor_scores, ligand_scores = self.best_probabilities()
        return write_report(
            directory,
            self.ranking[: MAX_TABLE if top is None else top],
            self.receptor,
            self.ligand,
            receptor_scores=receptor_scores,
            ligand_scores=ligand_scores,
            total=len(self.ranking),
            all_pairs=self.ranking.blocks() if all_pairs else None,
        )


def predict(
    receptor: str | os.PathLike[str] | Partner,
    ligand: str | os.PathLike[str] | Partner,
    ensemble: Ensemble,
    *,
    receptor_chains: Sequence[str] | None = None,
    ligand_chains: Sequence[str] | None = None,
    homodimer: bool = False,
    min_plddt: float | None = None,
    processes: int = 1,
    progress: Progress | None = None,
    diverse: bool = False,
) -> Prediction:
    """Rank all pairs of surface residues of two unbound structures.

    Parameters
    ----------
    receptor, ligand : path or Partner
        A structure file, or what `resblock.structure.read_partner` made of one. Their relative placement does not
        matter.
    ensemble : Ensemble
        From `resblock.models.load_ensemble`.
    receptor_chains, ligand_chains : sequence of str, optional
        Author's chain names of a file that make the partner; all by default.
    homodimer : bool
        Take one structure for both partners, which is otherwise refused as a mistake.
    min_plddt : float, optional
        Residues of predicted structures with less confidence are no candidates; they stay in the geometry. Nothing
        measured says whether this makes the list better.
    processes : int
        With 2, large partners get their features at the same time. Call it under
        ``if __name__ == "__main__"`` then: the second process imports the calling script.
    progress : callable, optional
        Called with the number of pairs scored so far and of all pairs.
    diverse : bool
        List likely pairs that lie apart first (`resblock.pairs.diverse.diverse_order`).

    Raises
    ------
    InputError
        If a file or chain cannot be used, both partners hold one chain, or there are too many pairs.
    """
    seconds: dict[str, float] = {}
    with _timed(seconds, "reading"):
        partners = _partner(receptor, receptor_chains), _partner(ligand, ligand_chains)
        if not homodimer:
            _check_apart(*partners)
    with _timed(seconds, "features"):
        code = "-".join(Path(partner.path).name for partner in partners)
        features = _features(*partners, ensemble.feature_set, processes)
        receptor_features, ligand_features = map(_candidates, partners, features, (min_plddt, min_plddt))
        complex = Complex(code, receptor_features, ligand_features)
    pairs = math.prod(complex.surface_shape)
    if pairs > MAX_PAIRS:
        raise InputError(
            f"{partners[0].path} and {partners[1].path}: {pairs} pairs of surface residues, more than the {MAX_PAIRS} "
            "that can be ranked; choose the chains that matter"
        )
    with _timed(seconds, "scoring"):
        log_odds = ensemble.complex_log_odds(complex, progress)
    with _timed(seconds, "ranking"):
        ranking = Ranking(complex, log_odds, diverse)
    remarks = tuple(line for partner in partners for line in notes(partner))
    return Prediction(
        receptor=partners[0],
        ligand=partners[1],
        complex=complex,
        log_odds=log_odds,
        ranking=ranking,
        notes=remarks,
        seconds=seconds,
    )


def _partner(source: str | os.PathLike[str] | Partner, chains: Sequence[str] | None) -> Partner:
    if not isinstance(source, Partner):
        return read_partner(source, chains)
    if chains is not None:
        raise InputError(f"{source.path}: has been read; choose chains in read_partner")
    return source


def _check_apart(receptor: Partner, ligand: Partner) -> None:
    """Refuse a chain that is in both partners: a complex that was given twice tells nothing."""
    both = set(receptor.chain_digests.values()) & set(ligand.chain_digests.values())
    if both:
        names = ", ".join(name or "_" for name, digest in ligand.chain_digests.items() if digest in both)
        raise InputError(
            f"{ligand.path}: chain {names} is in both partners; choose different chains with --receptor-chains and "
            "--ligand-chains, or ask for a homodimer with --homodimer"
        )


def _candidates(partner: Partner, features: PartnerFeatures, min_plddt: float | None) -> PartnerFeatures:
    """Leave out what is placed with too little confidence."""
    if min_plddt is None or partner.plddt is None:
        return features
    sure = features.surface & (partner.plddt >= min_plddt)
    if not sure.any():
        raise InputError(f"{partner.path}: no surface residue has a pLDDT of {min_plddt:g} or more; lower --min-plddt")
    return dataclasses.replace(features, surface=sure)


def _features(
    receptor: Partner, ligand: Partner, features: str, processes: int
) -> tuple[PartnerFeatures, PartnerFeatures]:
    if processes > 1 and min(len(receptor), len(ligand)) >= WORTH_A_PROCESS:
        try:
            with worker() as pool:
                other = pool.submit(PartnerFeatures.of, ligand, features)
                return PartnerFeatures.of(receptor, features), other.result()
        except (BrokenProcessPool, OSError):
            pass  # No second process to be had: one after the other, then.
    return PartnerFeatures.of(receptor, features), PartnerFeatures.of(ligand, features)


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[stage] = time.perf_counter() - start
