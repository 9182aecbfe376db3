"""Where in the whole sequence of a chain, as the file states it, the observed residues stand."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def places(stated: str, observed: str) -> NDArray[np.int64]:
    """(N,) place in the stated sequence of each of N observed residues; -1 where they do not agree."""
    found = np.full(len(observed), -1, dtype=np.int64)
    if not stated:
        return found
    start = stated.find(observed)
    if 0 <= start == stated.rfind(observed):
        return np.arange(start, start + len(observed), dtype=np.int64)
    # Biopython's tables of codons come along and take a tenth of the time that torch takes.
    from Bio.Align import PairwiseAligner

    make_aligner: Any = PairwiseAligner  # Biopython is partly typed
    # A gap costs more than a mismatch: residues that the file does not show are missing in stretches. Every score is
    # given, because Biopython has changed its own.
    aligner = make_aligner(
        mode="global", match_score=2.0, mismatch_score=-1.0, open_gap_score=-5.0, extend_gap_score=-1.0,
        end_gap_score=0.0,
    )  # fmt: skip
    for (s0, s1), (o0, o1) in zip(*aligner.align(stated, observed)[0].aligned, strict=True):
        same = np.array([a == b for a, b in zip(stated[s0:s1], observed[o0:o1], strict=True)])
        found[o0:o1] = np.where(same, np.arange(s0, s1), -1)
    return found
