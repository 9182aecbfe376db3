"""Groups of chains for cross-fitting: each is described by a network that has seen no homologue of it.

Chains that homology links, over others too, are a cluster. The groups are the folds: the chains of a fold's dimers are
in its group, the others of a cluster in that of most of its dimers, and clusters without a dimer are shared out. A
network for a group is trained on the clusters that have no chain in it.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from resblock.errors import InputError
from resblock.evaluation.homologues import Alike, LocalAlignment, alike, counted_chains
from resblock.files import read_text, write_text
from resblock.pairs import Complex

_COLUMNS = "code", "partner", "chain", "cluster", "group"


@dataclass(frozen=True)
class Member:
    """A chain in a group.

    Attributes
    ----------
    code
        Of its complex.
    partner
        ``"receptor"`` or ``"ligand"``.
    chain
        Its name; may be blank.
    cluster
        Number of its cluster, the largest first.
    group
        Number of its group.
    """

    code: str
    partner: str
    chain: str
    cluster: int
    group: int


@dataclass(frozen=True)
class _Chain:
    code: str
    partner: str
    name: str
    sequence: str


def make_groups(
    complexes: Iterable[Complex],
    folds: Mapping[str, int],
    *,
    jobs: int = 1,
    progress: Callable[[int, int], object] | None = None,
) -> list[Member]:
    """Divide the chains of complexes; those too short to be homologues of any are clusters of their own.

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
    chains = [chain for complex in complexes if not complex.origin for chain in _chains_of(complex)]
    missing = sorted(folds.keys() - {chain.code for chain in chains})
    if missing:
        raise InputError(f"no prepared complex {missing[0]}, which is in a fold; run `resblock prepare`")
    counted = {sequence for sequence in (chain.sequence for chain in chains) if sequence}
    clusters = _clusters(counted, alike(counted, counted, jobs=jobs, progress=progress))
    keys = [clusters.get(chain.sequence, f"{chain.code} {chain.partner} {chain.name}") for chain in chains]
    order = {
        key: place for place, (key, _) in enumerate(sorted(Counter(keys).items(), key=lambda one: (-one[1], one[0])))
    }
    numbers = [order[key] + 1 for key in keys]
    groups = _groups_of_clusters(chains, numbers, folds)
    return [
        Member(chain.code, chain.partner, chain.name, number, folds.get(chain.code, groups[number]))
        for chain, number in zip(chains, numbers, strict=True)
    ]


def _chains_of(complex: Complex) -> Iterable[_Chain]:
    for side, partner in zip(("receptor", "ligand"), complex.partners, strict=True):
        for name, sequence in counted_chains(partner, complex).items():
            yield _Chain(complex.code, side, name, sequence)


def _clusters(sequences: Iterable[str], pairs: Sequence[Alike]) -> dict[str, str]:
    """The first sequence of the cluster of each; pairs are aligned only where they would join two clusters."""
    parents = {sequence: sequence for sequence in sequences}

    def root(sequence: str) -> str:
        while parents[sequence] != sequence:
            parents[sequence] = parents[parents[sequence]]
            sequence = parents[sequence]
        return sequence

    for _, first, second in pairs:
        one, other = sorted((root(first), root(second)))
        if one != other and LocalAlignment.of(first, second).homologous:
            parents[other] = one
    return {sequence: root(sequence) for sequence in parents}


def _groups_of_clusters(chains: Sequence[_Chain], numbers: Sequence[int], folds: Mapping[str, int]) -> dict[int, int]:
    """Group of each cluster: that of most of its dimers' chains, or else the one with the fewest chains so far."""
    votes: dict[int, Counter[int]] = {number: Counter() for number in sorted(set(numbers))}
    sizes = Counter(numbers)
    for chain, number in zip(chains, numbers, strict=True):
        if chain.code in folds:
            votes[number][folds[chain.code]] += 1
    taken = Counter(dict.fromkeys(sorted(set(folds.values())), 0))
    groups: dict[int, int] = {}
    for number in sorted(votes, key=lambda number: (not votes[number], number)):
        choices = votes[number] or Counter({group: -count for group, count in taken.items()})
        groups[number] = min(choices, key=lambda group: (-choices[group], group))
        taken[groups[number]] += sizes[number]
    return groups


def write_groups(path: Path, members: Sequence[Member]) -> None:
    """Write a tab-separated table with a line for each chain."""
    lines = [_COLUMNS, *((m.code, m.partner, m.chain, str(m.cluster), str(m.group)) for m in members)]
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
        return [Member(code, side, chain, int(cluster), int(group)) for code, side, chain, cluster, group in lines]
    except ValueError:
        raise InputError(f"{path}: no table of resblock homologues --groups; write it with that") from None
