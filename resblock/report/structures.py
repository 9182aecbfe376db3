"""A partner's structure in the format it came in; the B-factor is a residue's probability to be in the interface."""

from __future__ import annotations

from pathlib import Path

import gemmi
import numpy as np
from numpy.typing import NDArray

from resblock.structure import Partner, Residue
from resblock.structure.write import fits_pdb, pdb_text

#: B-factor of a residue with probability 1; a PDB file's column has two decimals.
B_FACTOR = 100.0

_EXPLANATION = (
    "WRITTEN BY RESBLOCK PREDICT. THE B-FACTOR IS NO B-FACTOR:",
    "IT IS 100 X THE PROBABILITY OF THE RESIDUE TO BE IN THE INTERFACE,",
    "0 TO 100 (0 FOR A RESIDUE THAT IS NO CANDIDATE).",
    "ONLY THE RESIDUES AND ATOMS THAT THE PREDICTION READ ARE LISTED.",
)


def structure_file_name(role: str, partner: Partner) -> str:
    """Name of a partner's scored structure: `receptor.pdb`, or `receptor.cif` for mmCIF input."""
    return f"{role}.cif" if _is_mmcif(partner) else f"{role}.pdb"


def write_scored_structure(path: Path, partner: Partner, probabilities: NDArray[np.floating]) -> None:
    """Write a partner with 100 x the probability of each residue to be in the interface as B-factor.

    The file says so itself: in REMARK 250 (PDB) or in the category pdbx_database_remark (mmCIF).

    Parameters
    ----------
    path : Path
        File to write; the format is that of the file the partner was read from.
    partner : Partner
        Residues and heavy atoms as read, with the author's chains and numbers.
    probabilities : (N,) array
        Of each of the partner's N residues; 0 where it is no candidate.
    """
    if len(probabilities) != len(partner.residues):
        raise ValueError(f"{len(probabilities)} probabilities for {len(partner.residues)} residues")
    b_factors = B_FACTOR * np.asarray(probabilities, dtype=np.float64)
    with path.open("w", encoding="utf-8") as file:
        if _is_mmcif(partner):
            file.writelines(f"# {line}\n" for line in _EXPLANATION)
            file.write(_mmcif(partner, b_factors).as_string())
        else:
            file.writelines(f"REMARK 250 {line}\n" for line in _EXPLANATION)
            file.write(pdb_text(partner, b_factors))


def _is_mmcif(partner: Partner) -> bool:
    """Whether the partner came from mmCIF, or has names and numbers that a PDB file's columns cannot hold."""
    return partner.format == "mmcif" or not fits_pdb(partner)


def _is_modified(residue: Residue) -> bool:
    return residue.name != residue.parent


def _mmcif(partner: Partner, b_factors: NDArray[np.float64]) -> gemmi.cif.Document:
    entity = {chain: str(number) for number, chain in enumerate(partner.chains, start=1)}
    # Viewers bond residues with consecutive label_seq_id: a gap in the chain leaves one out.
    sequence_id = np.cumsum(np.where(partner.linked, 1, 2)).tolist()
    rows = []
    for index, owner in enumerate(partner.atom_residue.tolist()):
        residue = partner.residues[owner]
        atom, name = gemmi.cif.quote(partner.atom_names[index]), gemmi.cif.quote(residue.name)
        chain = gemmi.cif.quote(residue.chain) if residue.chain else "."
        x, y, z = (f"{value:.3f}" for value in partner.coordinates[index].tolist())
        rows.append(
            {
                "group_PDB": "HETATM" if _is_modified(residue) else "ATOM",
                "id": str(index + 1),
                "type_symbol": gemmi.cif.quote(partner.elements[index]),
                "label_atom_id": atom,
                "label_alt_id": ".",
                "label_comp_id": name,
                "label_asym_id": chain,
                "label_entity_id": entity[residue.chain],
                "label_seq_id": str(sequence_id[owner]),
                "pdbx_PDB_ins_code": gemmi.cif.quote(residue.insertion_code) if residue.insertion_code else "?",
                "Cartn_x": x,
                "Cartn_y": y,
                "Cartn_z": z,
                "occupancy": "1.00",
                "B_iso_or_equiv": f"{b_factors[owner]:.2f}",
                "auth_seq_id": str(residue.number),
                "auth_comp_id": name,
                "auth_asym_id": chain,
                "auth_atom_id": atom,
                "pdbx_PDB_model_num": "1",
            }
        )
    document = gemmi.cif.Document()
    block = document.add_new_block("resblock_scored_structure")
    block.set_pair("_pdbx_database_remark.id", "250")
    block.set_pair("_pdbx_database_remark.text", gemmi.cif.quote("\n".join(_EXPLANATION)))
    loop = block.init_loop("_atom_site.", list(rows[0]))
    for row in rows:
        loop.add_row(list(row.values()))
    return document
