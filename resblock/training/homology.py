"""Which complexes have chains of one family: figures without them tell what a new family can expect."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from pathlib import Path
from typing import Final

from Bio.Align import PairwiseAligner, substitution_matrices

from resblock.errors import InputError
from resblock.pairs import Dimer, DimerPartner
from resblock.structure.files import write_atomically
from resblock.structure.read import one_letter

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
    """Of the local alignments of chains of one complex with chains of another, the one that tells most.

    That is one that makes them homologues, if there is any, and of several the one with the highest score.
    """
    aligner = _aligner()
    found = [_align(aligner, first, second) for first, second in product(some, others)]
    return max(found, key=lambda one: (one.homologous, one.score))


def find_homologues(
    dimers: Sequence[Dimer], progress: Callable[[int, int], object] | None = None
) -> dict[str, frozenset[str]]:
    """Compare all chains of all complexes.

    Two complexes are homologues if any chain of one is a homologue of any chain of the other.

    Returns
    -------
    dict
        Code to the codes of the complex's homologues; complexes without any are in it, too.
    """
    aligner = _aligner()
    chains = {dimer.code: set(_chains(dimer.receptor)) | set(_chains(dimer.ligand)) for dimer in dimers}
    found: dict[str, set[str]] = {code: set() for code in chains}
    pairs = list(combinations(sorted(chains), 2))
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
    content = "\n".join(lines) + "\n"
    write_atomically(path, lambda stream: stream.write(content.encode()))


def read_homologues(path: str | os.PathLike[str]) -> dict[str, frozenset[str]]:
    """Read what `write_homologues` wrote.

    Raises
    ------
    InputError
        If the file cannot be read.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from None
    rows = [words for line in text.splitlines() if (words := line.partition("#")[0].split())]
    return {code: frozenset(others) for code, *others in rows}


def _aligner() -> PairwiseAligner:
    aligner = PairwiseAligner(mode="local")
    aligner.substitution_matrix = substitution_matrices.load("BLOSUM62")
    aligner.open_gap_score, aligner.extend_gap_score = -11.0, -1.0
    return aligner


def _chains(partner: DimerPartner) -> Iterator[str]:
    """Sequences of the partner's chains that are long enough to count."""
    for name in partner.chains:
        letters = [one_letter(residue.parent) for residue in partner.residues if residue.chain == name]
        if len(letters) >= COLUMNS:
            yield "".join(letters)


def _alike(aligner: PairwiseAligner, first: str, second: str) -> bool:
    # The score alone costs far less than the alignment.
    return bool(aligner.score(first, second) >= SCORE) and _align(aligner, first, second).homologous


def _align(aligner: PairwiseAligner, first: str, second: str) -> LocalAlignment:
    best = next(iter(aligner.align(first, second)), None)
    if best is None:
        return LocalAlignment(0.0, 0, 0.0)
    columns = best.shape[1]
    return LocalAlignment(float(best.score), columns, best.counts().identities / columns)
