"""Which bound residue is which unbound residue."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from resblock.structure.names import one_letter
from resblock.structure.partner import Partner, Residue

#: Share of equally numbered residues that must agree in name to trust the numbering.
_SAME_NAMES: Final = 0.95
#: Share of the shorter chain that a pairing of two chains must cover.
_COVERED: Final = 0.5
#: Share of identical residues among aligned ones below which chains are not the same protein.
_SAME_SEQUENCE: Final = 0.3

_Pairs = NDArray[np.int64]


def map_residues(unbound: Partner, bound: Partner) -> NDArray[np.int64]:
    """Index in `bound` of every unbound residue; -1 where it has no counterpart.

    Two chains are compared by author's number, insertion code and name; only where these do not fit
    together, by sequence alignment. The best fitting chains are paired first. Copies in a
    homo-oligomer fit equally well, and no alignment can tell them apart: the one that lies nearest
    is taken, as benchmarks superimpose the unbound on the bound structure; then the one of the same
    name.
    """
    mapping = np.full(len(unbound.residues), -1, dtype=np.int64)
    taken = np.zeros(len(bound.residues), dtype=np.bool_)
    here, there = _alpha_positions(unbound), _alpha_positions(bound)
    found = []
    for i, first in enumerate(_chains(unbound)):
        for j, second in enumerate(_chains(bound)):
            pairs = _pair_chains(unbound.residues, bound.residues, first, second)
            if len(pairs):
                u, b = pairs.T
                covered = len(pairs) / min(len(first), len(second))
                apart = float(np.nanmedian(np.linalg.norm(here[u] - there[b], axis=1)))
                renamed = unbound.residues[first[0]].chain != bound.residues[second[0]].chain
                found.append((-round(covered, 1), round(apart), renamed, i, j, pairs))
    for *_, pairs in sorted(found, key=lambda entry: entry[:-1]):
        free = (mapping[pairs[:, 0]] < 0) & ~taken[pairs[:, 1]]
        mapping[pairs[free, 0]] = pairs[free, 1]
        taken[pairs[free, 1]] = True
    return mapping


def _chains(partner: Partner) -> list[NDArray[np.int64]]:
    """Indices of the residues of each chain."""
    return np.split(np.arange(len(partner)), partner.chain_starts[1:])


def _alpha_positions(partner: Partner) -> NDArray[np.float64]:
    alpha = np.array([name == "CA" for name in partner.atom_names])
    positions = np.full((len(partner.residues), 3), np.nan)
    positions[partner.atom_residue[alpha]] = partner.coordinates[alpha]
    return positions


def _pair_chains(
    unbound: tuple[Residue, ...],
    bound: tuple[Residue, ...],
    first: NDArray[np.int64],
    second: NDArray[np.int64],
) -> _Pairs:
    """(K, 2) indices of residues that correspond if `first` and `second` are the same protein."""

    def fits(pairs: _Pairs, same_names: float) -> bool:
        same = sum(unbound[u].parent == bound[b].parent for u, b in pairs)
        enough = len(pairs) >= _COVERED * min(len(first), len(second))
        return enough and same >= same_names * len(pairs)

    pairs = _by_number(unbound, bound, first, second)
    if fits(pairs, _SAME_NAMES):
        return pairs
    pairs = _by_sequence(unbound, bound, first, second)
    return pairs if fits(pairs, _SAME_SEQUENCE) else pairs[:0]


def _by_number(
    unbound: tuple[Residue, ...],
    bound: tuple[Residue, ...],
    first: NDArray[np.int64],
    second: NDArray[np.int64],
) -> _Pairs:
    place = {(bound[b].number, bound[b].insertion_code): b for b in second}
    numbers = [(u, (unbound[u].number, unbound[u].insertion_code)) for u in first]
    pairs = [(u, place[number]) for u, number in numbers if number in place]
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def _by_sequence(
    unbound: tuple[Residue, ...],
    bound: tuple[Residue, ...],
    first: NDArray[np.int64],
    second: NDArray[np.int64],
) -> _Pairs:
    # Biopython's tables of codons come along and take a tenth of the time that torch takes.
    from Bio.Align import PairwiseAligner

    make_aligner: Any = PairwiseAligner  # Biopython is partly typed
    aligner = make_aligner(scoring="blastp", mode="global", end_gap_score=0.0)
    sequences = (
        "".join(one_letter(unbound[u].parent) for u in first),
        "".join(one_letter(bound[b].parent) for b in second),
    )
    blocks = zip(*aligner.align(*sequences)[0].aligned, strict=True)
    pairs = [np.stack([first[u0:u1], second[b0:b1]], axis=1) for (u0, u1), (b0, b1) in blocks]
    return np.concatenate([np.empty((0, 2), dtype=np.int64), *pairs])
