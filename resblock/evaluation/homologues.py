"""Which complexes have chains of one family: metrics without them tell what a new family can expect."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from resblock.errors import InputError
from resblock.evaluation.alignment import Targets, align, batches
from resblock.files import read_text, write_text
from resblock.pairs import Complex
from resblock.processes import in_processes
from resblock.structure import PartnerFeatures

#: Identical residues over the columns of the local alignment, gaps too, from which on two chains are homologues ...
IDENTITY: Final = 0.25
#: ... if the alignment has as many columns ...
COLUMNS: Final = 40
#: ... and this score (BLOSUM62, 11 to open a gap and 1 to go on), which unrelated chains do not reach.
SCORE: Final = 100.0
#: Sequences that are compared with all others before a process says that it is still at work.
_QUERIES: Final = 25

Homologues = Mapping[str, frozenset[str]]


@dataclass(frozen=True)
class LocalAlignment:
    """The best local alignment of two chains: its score, its columns, and the share of them that are identical."""

    score: float
    columns: int
    identity: float

    @classmethod
    def of(cls, first: str, second: str) -> LocalAlignment:
        """Align two chains."""
        score, columns, identical = align(first, second)
        return cls(score, columns, identical / max(columns, 1))

    @property
    def homologous(self) -> bool:
        """Whether it makes the chains homologues."""
        return self.score >= SCORE and self.columns >= COLUMNS and self.identity >= IDENTITY


def best_local(some: Iterable[str], others: Iterable[str]) -> LocalAlignment:
    """The most telling local alignment of the chains of one complex with those of another.

    That is one that makes them homologues, if there is any, and of several the one with the highest score.
    """
    found = [LocalAlignment.of(first, second) for first, second in itertools.product(some, others)]
    return max(found, key=lambda one: (one.homologous, one.score))


def find_homologues(
    complexes: Iterable[Complex],
    *,
    of: Collection[str] | None = None,
    jobs: int = 1,
    progress: Callable[[int, int], object] | None = None,
) -> dict[str, frozenset[str]]:
    """Compare all chains of all complexes.

    Two complexes are homologues if any chain of one is a homologue of any chain of the other. A chain that was cut in
    two counts as a whole.

    Parameters
    ----------
    complexes
        Looked at one by one.
    of
        Codes whose homologues are wanted, which takes less time than all; all if None.
    jobs
        Processes.
    progress
        Called with the number of comparisons that are done, and of all.

    Returns
    -------
    dict
        Code to the codes of the complex's homologues among those of `of`; complexes without any are in it, too.

    Raises
    ------
    InputError
        There is no complex with a code of `of`.
    """
    chains = {
        one.code: tuple({chain for partner in one.partners for chain in counted_chains(partner, one)})
        for one in complexes
    }
    wanted = sorted(chains if of is None else set(of))
    missing = [code for code in wanted if code not in chains]
    if missing:
        raise InputError(f"no prepared complex {missing[0]}, whose homologues are wanted; run `resblock prepare`")
    asked = {chain for code in wanted for chain in chains[code]}
    found = alike({chain for own in chains.values() for chain in own}, asked, jobs=jobs, progress=progress)
    return _by_complex(chains, wanted, found)


class Alike(NamedTuple):
    """Two sequences whose alignment scores enough to make them homologues."""

    score: int
    first: str
    second: str


def alike(
    sequences: Collection[str],
    asked: Collection[str],
    *,
    jobs: int = 1,
    progress: Callable[[int, int], object] | None = None,
) -> list[Alike]:
    """All pairs of a sequence that is asked for and any sequence that score enough, the highest score first.

    Parameters
    ----------
    sequences, asked
        Different sequences, and some or all of them.
    jobs, progress
        As of `find_homologues`.

    Raises
    ------
    InputError
        A process died.
    """
    ordered = sorted(sequences, key=lambda sequence: (len(sequence), sequence))
    queries = [sequence for sequence in ordered if sequence in asked]
    tasks = [
        _Comparison(chosen[start : start + _QUERIES], ordered[part])
        for part in batches(ordered)
        # Where all are compared with all, each with those that are no shorter.
        for chosen in [queries[: part.stop] if len(queries) == len(ordered) else queries]
        for start in range(0, len(chosen), _QUERIES)
    ]
    done = ((task, _compare(task)) for task in tasks) if jobs == 1 else in_processes(_compare, tasks, jobs)
    found: list[Alike] = []
    for number, (_, pairs) in enumerate(done, start=1):
        if pairs is None:
            raise InputError("a process that aligned sequences died (out of memory?); see --jobs")
        found += pairs
        if progress is not None:
            progress(number, len(tasks))
    return sorted(found, key=lambda pair: (-pair.score, *sorted((pair.first, pair.second))))


class _Comparison(NamedTuple):
    queries: list[str]
    sequences: list[str]


def _compare(task: _Comparison) -> list[Alike]:
    """The pairs of a comparison that score enough."""
    targets = Targets(task.sequences)
    return [
        Alike(int(scores[place]), query, task.sequences[place])
        for query in task.queries
        for scores in [targets.scores(query)]
        for place in np.flatnonzero(scores >= SCORE)
    ]


def _by_complex(
    chains: Mapping[str, Sequence[str]], wanted: Sequence[str], pairs_alike: Sequence[Alike]
) -> dict[str, frozenset[str]]:
    """Which complexes are homologues; the two sequences of a pair are aligned only where that is not known yet."""
    codes = sorted(chains)
    rows, columns = _places(chains, codes), _places(chains, wanted)
    related = np.zeros((len(codes), len(wanted)), dtype=np.bool_)
    itself = np.array(codes)[:, None] == np.array(wanted)
    for _, first, second in pairs_alike:
        pairs = [np.ix_(rows[a], columns[b]) for a, b in ((first, second), (second, first)) if b in columns]
        known = all((related[pair] | itself[pair]).all() for pair in pairs)
        if not known and LocalAlignment.of(first, second).homologous:
            for pair in pairs:
                related[pair] = True
    related &= ~itself
    return {code: frozenset(itertools.compress(wanted, row)) for code, row in zip(codes, related.tolist(), strict=True)}


def _places(chains: Mapping[str, Sequence[str]], codes: Sequence[str]) -> dict[str, NDArray[np.int64]]:
    """Places in a list of the complexes that have a sequence, for each sequence."""
    found: dict[str, list[int]] = {}
    for place, code in enumerate(codes):
        for chain in chains[code]:
            found.setdefault(chain, []).append(place)
    return {chain: np.array(places) for chain, places in found.items()}


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


def counted_chains(partner: PartnerFeatures, complex: Complex) -> list[str]:
    """Sequence of each of a partner's chains that is long enough to count; of a part of a chain, that of the whole."""
    if "cut" in complex.conformations:
        return list(partner.sequence)
    ends = np.append(partner.chain_starts, len(partner)).tolist()
    letters = partner.letters
    return [letters[start:end] for start, end in itertools.pairwise(ends) if end - start >= COLUMNS]
