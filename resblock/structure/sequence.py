"""The whole sequence of each chain as a structure file states it, and where in it the observed residues stand."""

from __future__ import annotations

import io
import warnings
from typing import Any, Final

import numpy as np
from Bio import BiopythonWarning, SeqIO
from Bio.Align import PairwiseAligner
from Bio.PDB.MMCIF2Dict import MMCIF2Dict
from numpy.typing import NDArray

from resblock.structure.partner import one_letter, parent_residue

_SCHEME: Final = "_pdbx_poly_seq_scheme"
#: What Biopython's parsers raise on damaged records, without which the atoms are as good.
_DAMAGED: Final = (ValueError, LookupError, ZeroDivisionError, UnboundLocalError)


def stated_sequences(text: str, mmcif: bool) -> dict[str, str]:
    """One-letter sequence of every chain, by the author's chain name, from SEQRES or pdbx_poly_seq_scheme.

    Modified residues stand as their parents, unknown ones as X; chains without a statement are not in it, and none is
    where the records are damaged.
    """
    if (_SCHEME if mmcif else "SEQRES") not in text:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BiopythonWarning)
        try:
            return _from_mmcif(text) if mmcif else _from_pdb(text)
        except _DAMAGED:
            return {}


def _from_pdb(text: str) -> dict[str, str]:
    records = SeqIO.parse(io.StringIO(text), "pdb-seqres")
    return {record.annotations["chain"].strip(): str(record.seq) for record in records}


def _from_mmcif(text: str) -> dict[str, str]:
    make_dictionary: Any = MMCIF2Dict
    values = make_dictionary(io.StringIO(text))
    columns = (values.get(f"{_SCHEME}.{name}", []) for name in ("pdb_strand_id", "seq_id", "mon_id"))
    # The first counts where a place has two kinds of residue (microheterogeneity).
    found: dict[str, dict[str, str]] = {}
    for chain, place, name in zip(*columns, strict=False):
        found.setdefault(chain, {}).setdefault(place, one_letter(parent_residue(name)))
    return {chain: "".join(letters.values()) for chain, letters in found.items()}


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
