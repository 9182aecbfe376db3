"""Which bound residue is which unbound residue."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from Bio.Align import PairwiseAligner
from numpy.typing import NDArray

from resblock.structure.read import Residue, one_letter

#: Share of the shorter chain that must agree in number and name to trust the numbering.
_SAME_NUMBERING = 0.8
#: Identical residues per aligned one below which two chains are not the same protein.
_SAME_SEQUENCE = 0.5


def map_residues(unbound: Sequence[Residue], bound: Sequence[Residue]) -> NDArray[np.int64]:
    """Index in `bound` of every unbound residue; -1 where it has no counterpart.

    Chains are paired by how many residues agree in author's number, insertion code and name. Where
    that is most of a chain, the number decides; only what is left is aligned by sequence. The order
    matters in homo-oligomers: an alignment alone cannot tell their copies apart. Copies that agree
    equally well are paired by chain name, then in the order of the files.
    """
    mapping = np.full(len(unbound), -1, dtype=np.int64)
    taken = np.zeros(len(bound), dtype=np.bool_)
    chains_unbound, chains_bound = _chains(unbound), _chains(bound)
    for align in (_by_number, _by_sequence):
        found = []
        for i, (name, here) in enumerate(chains_unbound.items()):
            for j, (other, there) in enumerate(chains_bound.items()):
                pairs = align([unbound[k] for k in here], [bound[k] for k in there])
                if pairs:
                    found.append(((-len(pairs), name != other, abs(i - j), i, j), name, other, pairs))
        for _, name, other, pairs in sorted(found, key=lambda entry: entry[0]):
            for k, m in pairs:
                u, b = chains_unbound[name][k], chains_bound[other][m]
                if mapping[u] < 0 and not taken[b]:
                    mapping[u], taken[b] = b, True
    return mapping


def _chains(residues: Sequence[Residue]) -> dict[str, list[int]]:
    chains: dict[str, list[int]] = {}
    for k, residue in enumerate(residues):
        chains.setdefault(residue.chain, []).append(k)
    return chains


def _by_number(unbound: Sequence[Residue], bound: Sequence[Residue]) -> list[tuple[int, int]]:
    """Pairs with the same number, if enough of them have the same name; point mutations included."""
    place = {(r.number, r.insertion_code): m for m, r in enumerate(bound)}
    pairs = []
    for k, residue in enumerate(unbound):
        m = place.get((residue.number, residue.insertion_code))
        if m is not None:
            pairs.append((k, m))
    same = sum(unbound[k].parent == bound[m].parent for k, m in pairs)
    trusted = same >= _SAME_NUMBERING * max(len(pairs), 0.5 * min(len(unbound), len(bound)))
    return pairs if trusted else []


def _by_sequence(unbound: Sequence[Residue], bound: Sequence[Residue]) -> list[tuple[int, int]]:
    """Global alignment with free ends, if it finds the same protein."""
    make_aligner: Any = PairwiseAligner  # Biopython is partly typed
    aligner = make_aligner(scoring="blastp", mode="global")
    aligner.end_gap_score = 0.0
    sequences = ["".join(one_letter(r.parent) for r in residues) for residues in (unbound, bound)]
    first, second = aligner.align(*sequences)[0].aligned
    pairs = [
        (k, m)
        for (k0, k1), (m0, m1) in zip(first, second, strict=True)
        for k, m in zip(range(k0, k1), range(m0, m1), strict=True)
    ]
    same = sum(unbound[k].parent == bound[m].parent for k, m in pairs)
    return pairs if pairs and same >= _SAME_SEQUENCE * len(pairs) else []
