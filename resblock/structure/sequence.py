"""The whole sequence of each chain as a structure file states it, and where in it the observed residues stand."""

from __future__ import annotations

import io
import warnings
from typing import Any

import numpy as np
from Bio import BiopythonWarning, SeqIO
from Bio.Align import PairwiseAligner
from numpy.typing import NDArray


def stated_sequences(text: str, mmcif: bool) -> dict[str, str]:
    """One-letter sequence of every chain, by the author's chain name, from SEQRES or pdbx_poly_seq_scheme.

    Modified residues stand as their parents, unknown ones as X; chains without a statement are not in it.
    """
    if ("_pdbx_poly_seq_scheme" if mmcif else "\nSEQRES") not in f"\n{text}":
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BiopythonWarning)
        records = list(SeqIO.parse(io.StringIO(text), "cif-seqres" if mmcif else "pdb-seqres"))
    return {record.annotations["chain"].strip(): str(record.seq) for record in records}


def places(stated: str, observed: str) -> NDArray[np.int64]:
    """(N,) place in the stated sequence of each of N observed residues; -1 where they do not agree."""
    found = np.full(len(observed), -1, dtype=np.int64)
    if not stated:
        return found
    make_aligner: Any = PairwiseAligner  # Biopython is partly typed
    # A gap costs more than a mismatch: residues that the file does not show are missing in stretches.
    aligner = make_aligner(mode="global", match_score=2.0, mismatch_score=-1.0, open_gap_score=-5.0, end_gap_score=0.0)
    for (s0, s1), (o0, o1) in zip(*aligner.align(stated, observed)[0].aligned, strict=True):
        same = np.array([a == b for a, b in zip(stated[s0:s1], observed[o0:o1], strict=True)])
        found[o0:o1] = np.where(same, np.arange(s0, s1), -1)
    return found
