"""PROPKA with and without the neighbour search: `python bench/pka.py STRUCTURE [RESIDUES,RESIDUES,...]`.

Of the first residues of a large structure, in processor seconds of one core, both in turn on each; the pKa have to be
the same.
"""

from __future__ import annotations

import sys
import time
from contextlib import nullcontext
from dataclasses import replace
from unittest.mock import patch

import numpy as np

from resblock.structure import Partner, pka, read_partner


def first(partner: Partner, size: int) -> Partner:
    """Give the first residues of a partner."""
    atoms = int(np.searchsorted(partner.atom_residue, size))
    return replace(
        partner,
        residues=partner.residues[:size],
        atom_names=partner.atom_names[:atoms],
        elements=partner.elements[:atoms],
        coordinates=partner.coordinates[:atoms],
        atom_residue=partner.atom_residue[:atoms],
        linked=partner.linked[:size],
        sequence_index=partner.sequence_index[:size],
    )


def main(structure: str, sizes: str = "300,1000,2000") -> None:
    """Measure and print."""
    whole = read_partner(structure)
    print("| residues | PROPKA alone, s | with the neighbour search, s |")
    print("| --- | --- | --- |")
    for size in map(int, sizes.split(",")):
        partner = first(whole, size)
        begin = time.process_time()
        with patch.object(pka, "neighbour_search", nullcontext):
            alone = pka.propka_pka(partner)
        middle = time.process_time()
        near = pka.propka_pka(partner)
        end = time.process_time()
        np.testing.assert_array_equal(alone, near)
        print(f"| {len(partner):,} | {middle - begin:.1f} | {end - middle:.1f} |")


if __name__ == "__main__":
    main(*sys.argv[1:])
