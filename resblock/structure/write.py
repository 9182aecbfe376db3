"""A partner as a structure that gemmi writes, under the names and numbers of its residues."""

from __future__ import annotations

import gemmi
import numpy as np
from numpy.typing import NDArray

from resblock.structure.partner import Partner


def pdb_text(partner: Partner, b_factors: NDArray[np.float64]) -> str:
    """A partner in PDB format.

    Parameters
    ----------
    partner : Partner
        N residues, whose chains, names and numbers fit the columns.
    b_factors : (N,) array
        Of all atoms of each residue.
    """
    options = gemmi.PdbWriteOptions(
        minimal=True, cryst1_record=False, end_record=True, ter_records=True, preserve_serial=True
    )
    return _structure(partner, b_factors).make_pdb_string(options)


def fits_pdb(partner: Partner) -> bool:
    """Whether chains, names and numbers fit the columns of a PDB file."""
    return all(
        len(residue.chain) <= 1 and len(residue.name) <= 3 and -999 <= residue.number <= 9999
        for residue in partner.residues
    )


def _structure(partner: Partner, b_factors: NDArray[np.float64]) -> gemmi.Structure:
    model = gemmi.Model(1)
    starts = np.searchsorted(partner.atom_residue, np.arange(len(partner) + 1))
    for index, residue in enumerate(partner.residues):
        if index in partner.chain_starts:
            chain = model.add_chain(gemmi.Chain(residue.chain))
        written = gemmi.Residue()
        written.name = residue.name
        written.seqid = gemmi.SeqId(residue.number, residue.insertion_code or " ")
        written.het_flag = "A" if residue.name == residue.parent else "H"
        written.entity_type = gemmi.EntityType.Polymer  # ends with TER
        for number in range(starts[index], starts[index + 1]):
            atom = gemmi.Atom()
            atom.name = partner.atom_names[number]
            atom.element = gemmi.Element(partner.elements[number])
            atom.pos = gemmi.Position(*partner.coordinates[number])
            atom.b_iso = b_factors[index]
            atom.serial = (number + 1) % 100_000  # five columns; large files start again at 0
            written.add_atom(atom)
        chain.add_residue(written)
    structure = gemmi.Structure()
    structure.add_model(model)
    return structure
