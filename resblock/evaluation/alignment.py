"""Local alignments of protein sequences (BLOSUM62, 11 to open a gap and 1 to go on), one by one and many at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from Bio.Align import PairwiseAligner, substitution_matrices
from numpy.typing import NDArray

_OPEN: Final = 11
_EXTEND: Final = 1
_MATRIX: Final = substitution_matrices.load("BLOSUM62")
_LETTERS: Final = str(_MATRIX.alphabet)
#: Below any score that a cell can have; far from where int16 ends.
_NEVER: Final = -1000
#: Cells of a row of all tables together: a few such rows stay in the cache.
_ROW_CELLS: Final = 40_000
#: No two letters score higher.
_HIGHEST: Final = 11


class Aligned(NamedTuple):
    """The best local alignment of two sequences: its score, its columns, gaps too, and how many are identical."""

    score: float
    columns: int
    identical: int


def align(first: str, second: str) -> Aligned:
    """Align two sequences."""
    aligner = PairwiseAligner(mode="local")
    aligner.substitution_matrix = _MATRIX
    aligner.open_gap_score, aligner.extend_gap_score = -float(_OPEN), -float(_EXTEND)
    best = next(iter(aligner.align(first, second)), None)
    return Aligned(0.0, 0, 0) if best is None else Aligned(best.score, best.shape[1], best.counts().identities)


class Targets:
    """Sequences that others are aligned with, many at once: one lane each.

    Parameters
    ----------
    sequences : sequence of str
        T of them, of letters that BLOSUM62 has. Those of one length together make the least work.
    """

    def __init__(self, sequences: Sequence[str]) -> None:
        length = max(map(len, sequences))
        codes = np.full((length, len(sequences)), len(_LETTERS))
        for lane, sequence in enumerate(sequences):
            codes[: len(sequence), lane] = _codes(sequence)
        # A last column, for what lies past a sequence's end.
        scores = np.pad(np.array(_MATRIX), ((0, 0), (0, 1)), constant_values=_NEVER)
        fits = length * _HIGHEST <= np.iinfo(np.int16).max
        scores = scores.astype(np.int16 if fits else np.int32)
        self._profile = {letter: scores[row][codes] for row, letter in enumerate(_LETTERS)}

    def scores(self, query: str) -> NDArray[np.signedinteger[Any]]:
        """(T,) scores of the best local alignments of a sequence with each.

        The recursion of Gotoh (1982), a row of all tables for each letter of the query. Gaps within a row are found by
        doubling: from gaps of up to n residues follow those of up to 2 n.
        """
        shape, dtype = self._profile[_LETTERS[0]].shape, self._profile[_LETTERS[0]].dtype
        # The first row is the column before the targets.
        best_here = np.zeros((shape[0] + 1, shape[1]), dtype=dtype)
        gap_down = np.full(shape, _NEVER, dtype=dtype)
        best, here, gap, longer = (np.zeros(shape, dtype=dtype) for _ in range(4))
        for letter in query:
            np.add(best_here[:-1], self._profile[letter], out=here)
            np.subtract(gap_down, _EXTEND, out=gap_down)
            np.subtract(best_here[1:], _OPEN, out=gap)
            np.maximum(gap_down, gap, out=gap_down)
            np.maximum(here, gap_down, out=here)
            np.maximum(here, 0, out=here)
            gap[0] = _NEVER
            np.subtract(here[:-1], _OPEN, out=gap[1:])
            reach, step = int(here.max()) - _OPEN, 1
            while step <= reach and step < shape[0]:
                np.subtract(gap[:-step], step * _EXTEND, out=longer[step:])
                np.maximum(gap[step:], longer[step:], out=gap[step:])
                step *= 2
            np.maximum(here, gap, out=best_here[1:])
            np.maximum(best, best_here[1:], out=best)
        highest: NDArray[np.signedinteger[Any]] = best.max(axis=0)
        return highest


def batches(sequences: Sequence[str]) -> Iterable[slice]:
    """Slices of sequences, sorted by length, that are a good size for `Targets`."""
    start = 0
    while start < len(sequences):
        stop = start + 1
        while stop < len(sequences) and (stop + 1 - start) * len(sequences[stop]) <= _ROW_CELLS:
            stop += 1
        yield slice(start, stop)
        start = stop


def _codes(sequence: str) -> list[int]:
    return [_LETTERS.index(letter) for letter in sequence]
