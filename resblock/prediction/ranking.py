"""All pairs of a prediction in order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import overload

import numpy as np
from numpy.typing import NDArray

from resblock.models import probability
from resblock.pairs.diverse import diverse_order
from resblock.pairs.tables import RankedBlock, RankedPair
from resblock.structure import Residue


class Ranking(Sequence[RankedPair]):
    """All pairs of the candidates of two partners, best first, made as they are asked for.

    Equal ones rank in the order of the files: by the receptor's residue, then by the ligand's.

    Parameters
    ----------
    residues : two sequences of Residue
        Of the receptor and of the ligand.
    candidates : two int64 arrays, shape (n,) and (m,)
        Places of the residues whose pairs are ranked.
    log_odds : (n, m) array
    centres : two arrays, shape (n, 3) and (m, 3), optional
        Of the candidates, Angstrom: in the order of `resblock.pairs.diverse.diverse_order` then, in place of that of
        the log-odds.
    truth : (n, m) bool array, optional
        Whether each pair touches in the known complex.
    """

    def __init__(
        self,
        residues: tuple[Sequence[Residue], Sequence[Residue]],
        candidates: tuple[NDArray[np.int64], NDArray[np.int64]],
        log_odds: NDArray[np.float32],
        centres: tuple[NDArray[np.floating], NDArray[np.floating]] | None = None,
        truth: NDArray[np.bool_] | None = None,
    ) -> None:
        self._candidates = candidates
        self._receptor, self._ligand = (
            [of[k] for k in places.tolist()] for of, places in zip(residues, candidates, strict=True)
        )
        self._probabilities = probability(log_odds).reshape(-1)
        self._truth = None if truth is None else truth.reshape(-1)
        flat = log_odds.reshape(-1)
        self._order = np.argsort(-flat, kind="stable") if centres is None else diverse_order(*centres, log_odds)

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
        pair = int(self._order[place])
        row, column = divmod(pair, len(self._ligand))
        touches = None if self._truth is None else bool(self._truth[pair])
        return RankedPair(
            place + 1, float(self._probabilities[pair]), self._receptor[row], self._ligand[column], touches
        )

    def blocks(self, size: int = 1 << 20) -> Iterator[RankedBlock]:
        """All pairs in order, `size` at a time."""
        for start in range(0, len(self), size):
            pairs = self._order[start : start + size]
            row, column = np.divmod(pairs, len(self._ligand))
            receptor, ligand = self._candidates
            yield RankedBlock(start + 1, self._probabilities[pairs], receptor[row], ligand[column])
