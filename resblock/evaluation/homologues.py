"""Which complexes have chains of one family: metrics without them tell what a new family can expect."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from Bio.Align import PairwiseAligner, substitution_matrices

from resblock.files import read_text, write_text
from resblock.pairs import Complex
from resblock.structure import PartnerFeatures

#: Identical residues over the columns of the local alignment, gaps too, from which on two chains are homologues ...
IDENTITY: Final = 0.25
#: ... if the alignment has as many columns ...
COLUMNS: Final = 40
#: ... and this score (BLOSUM62, 11 to open a gap and 1 to go on), which unrelated chains do not reach.
SCORE: Final = 100.0

Homologues = Mapping[str, frozenset[str]]


@dataclass(frozen=True)
class LocalAlignment:
    """The best local alignment of two chains: its score, its columns, and the share of them that are identical."""

    score: float
    columns: int
    identity: float

    @property
    def homologous(self) -> bool:
        """Whether it makes the chains homologues."""
        return self.score >= SCORE and self.columns >= COLUMNS and self.identity >= IDENTITY


def best_local(some: Iterable[str], others: Iterable[str]) -> LocalAlignment:
    """The most telling local alignment of the chains of one complex with those of another.

    That is one that makes them homologues, if there is any, and of several the one with the highest score.
    """
    aligner = _aligner()
    found = [_align(aligner, first, second) for first, second in itertools.product(some, others)]
    return max(found, key=lambda one: (one.homologous, one.score))


def find_homologues(
    complexes: Sequence[Complex], progress: Callable[[int, int], object] | None = None
) -> dict[str, frozenset[str]]:
    """Compare all chains of all complexes.

    Two complexes are homologues if any chain of one is a homologue of any chain of the other.

    Returns
    -------
    dict
        Code to the codes of the complex's homologues; complexes without any are in it, too.
    """
    aligner = _aligner()
    chains = {one.code: {chain for partner in one.partners for chain in _chains(partner)} for one in complexes}
    found: dict[str, set[str]] = {code: set() for code in chains}
    pairs = list(itertools.combinations(sorted(chains), 2))
    for number, (one, other) in enumerate(pairs, start=1):
        if any(_alike(aligner, first, second) for first in chains[one] for second in chains[other]):
            found[one].add(other)
            found[other].add(one)
        if progress is not None:
            progress(number, len(pairs))
    return {code: frozenset(others) for code, others in found.items()}


def write_homologues(path: Path, homologues: Homologues) -> None:
    """Write what `read_homologues` reads: a complex a line, and behind it its homologues."""
    rule = f"{IDENTITY:.0%} identity over {COLUMNS} columns or more of a local alignment that scores {SCORE:.0f}"
    lines = [f"# Complexes and their homologues: {rule} (BLOSUM62, gaps 11 and 1). Written by resblock homologues."]
    lines += ["\t".join([code, " ".join(sorted(others))]).rstrip() for code, others in sorted(homologues.items())]
    write_text(path, "\n".join(lines) + "\n")


def read_homologues(path: str | os.PathLike[str]) -> dict[str, frozenset[str]]:
    """Read what `write_homologues` wrote.

    Raises
    ------
    InputError
        If the file cannot be read.
    """
    rows = [words for line in read_text(path).splitlines() if (words := line.partition("#")[0].split())]
    return {code: frozenset(others) for code, *others in rows}


def _aligner() -> PairwiseAligner:
    aligner = PairwiseAligner(mode="local")
    aligner.substitution_matrix = substitution_matrices.load("BLOSUM62")
    aligner.open_gap_score, aligner.extend_gap_score = -11.0, -1.0
    return aligner


def _chains(partner: PartnerFeatures) -> Iterator[str]:
    """Sequences of the partner's chains that are long enough to count."""
    letters, ends = partner.letters, np.append(partner.chain_starts, len(partner)).tolist()
    for start, end in itertools.pairwise(ends):
        if end - start >= COLUMNS:
            yield letters[start:end]


def _alike(aligner: PairwiseAligner, first: str, second: str) -> bool:
    # The score alone costs far less than the alignment.
    return bool(aligner.score(first, second) >= SCORE) and _align(aligner, first, second).homologous


def _align(aligner: PairwiseAligner, first: str, second: str) -> LocalAlignment:
    best = next(iter(aligner.align(first, second)), None)
    if best is None:
        return LocalAlignment(0.0, 0, 0.0)
    columns = best.shape[1]
    return LocalAlignment(float(best.score), columns, best.counts().identities / columns)
