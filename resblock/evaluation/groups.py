"""Groups of partners for cross-fitting: each is described by a network that has seen no homologue of it.

Partners whose chains homology links, over others too, are a cluster. The groups are the folds: the partners of a fold's
dimers are in its group, the others of a cluster in that of most of its dimers, and clusters without a dimer are shared
out. A network for a group is trained on the clusters that have no partner in it.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from resblock.errors import InputError
from resblock.evaluation.homologues import Alike, LocalAlignment, alike, counted_chains
from resblock.files import read_text, write_text
from resblock.pairs import Complex

_COLUMNS = "code", "partner", "cluster", "group"


@dataclass(frozen=True)
class Member:
    """A partner in a group.

    Attributes
    ----------
    code
        Of its complex.
    partner
        ``"receptor"`` or ``"ligand"``.
    cluster
        Number of its cluster, the largest first.
    group
        Number of its group.
    """

    code: str
    partner: str
    cluster: int
    group: int


@dataclass(frozen=True)
class _Partner:
    code: str
    side: str
    sequences: tuple[str, ...]


def make_groups(
    complexes: Iterable[Complex],
    folds: Mapping[str, int],
    *,
    jobs: int = 1,
    progress: Callable[[int, int], object] | None = None,
) -> list[Member]:
    """Divide the partners of complexes; a chain that is too short to be a homologue of any links none.

    Parameters
    ----------
    complexes
        Looked at one by one; other forms and parts of a complex are skipped.
    folds
        Fold of dimers by code.
    jobs, progress
        As of `resblock.evaluation.homologues.find_homologues`.

    Raises
    ------
    InputError
        A dimer of a fold is missing.
    """
    partners = [partner for complex in complexes if not complex.origin for partner in _partners(complex)]
    missing = sorted(folds.keys() - {partner.code for partner in partners})
    if missing:
        raise InputError(f"no prepared complex {missing[0]}, which is in a fold; run `resblock prepare`")
    counted = {sequence for partner in partners for sequence in partner.sequences}
    clusters = _clusters(partners, alike(counted, counted, jobs=jobs, progress=progress))
    keys = [clusters[partner.sequences[0]] if partner.sequences else f"{partner}" for partner in partners]
    sizes = Counter(keys)
    order = {key: place for place, key in enumerate(sorted(sizes, key=lambda key: (-sizes[key], key)), start=1)}
    numbers = [order[key] for key in keys]
    groups = _groups_of_clusters(partners, numbers, folds)
    return [
        Member(partner.code, partner.side, number, folds.get(partner.code, groups[number]))
        for partner, number in zip(partners, numbers, strict=True)
    ]


def _partners(complex: Complex) -> Iterable[_Partner]:
    for side, partner in zip(("receptor", "ligand"), complex.partners, strict=True):
        yield _Partner(complex.code, side, tuple(counted_chains(partner, complex)))


def _clusters(partners: Sequence[_Partner], pairs: Sequence[Alike]) -> dict[str, str]:
    """The first sequence of the cluster of each; pairs are aligned only where they would join two clusters."""
    parents = {sequence: sequence for partner in partners for sequence in partner.sequences}

    def root(sequence: str) -> str:
        while parents[sequence] != sequence:
            parents[sequence] = parents[parents[sequence]]
            sequence = parents[sequence]
        return sequence

    def join(first: str, second: str) -> None:
        one, other = sorted((root(first), root(second)))
        parents[other] = one

    for partner in partners:
        for first, second in pairwise(partner.sequences):
            join(first, second)
    for _, first, second in pairs:
        if root(first) != root(second) and LocalAlignment.of(first, second).homologous:
            join(first, second)
    return {sequence: root(sequence) for sequence in parents}


def _groups_of_clusters(
    partners: Sequence[_Partner], numbers: Sequence[int], folds: Mapping[str, int]
) -> dict[int, int]:
    """Group of each cluster: that of most of its dimers' partners, or else the one with the fewest partners so far."""
    votes: dict[int, Counter[int]] = {number: Counter() for number in sorted(set(numbers))}
    sizes = Counter(numbers)
    for partner, number in zip(partners, numbers, strict=True):
        if partner.code in folds:
            votes[number][folds[partner.code]] += 1
    taken = Counter(dict.fromkeys(sorted(set(folds.values())), 0))
    groups: dict[int, int] = {}
    for number in sorted(votes, key=lambda number: (not votes[number], number)):
        choices = votes[number] or Counter({group: -count for group, count in taken.items()})
        groups[number] = min(choices, key=lambda group: (-choices[group], group))
        taken[groups[number]] += sizes[number]
    return groups


def write_groups(path: Path, members: Sequence[Member]) -> None:
    """Write a tab-separated table with a line for each partner."""
    lines = [_COLUMNS, *((m.code, m.partner, str(m.cluster), str(m.group)) for m in members)]
    write_text(path, "".join("\t".join(line) + "\n" for line in lines))


def read_groups(path: str | os.PathLike[str]) -> list[Member]:
    """Read what `write_groups` wrote.

    Raises
    ------
    InputError
        The file cannot be read, or is no such table.
    """
    header, *lines = [tuple(line.split("\t")) for line in read_text(path).splitlines()] or [()]
    try:
        if header != _COLUMNS:
            raise ValueError(header)
        return [Member(code, side, int(cluster), int(group)) for code, side, cluster, group in lines]
    except ValueError:
        raise InputError(f"{path}: no table of resblock homologues --groups; write it with that") from None
