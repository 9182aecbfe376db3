"""A partner's structure with every residue's best score as B-factor, in the format it came in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from Bio.PDB.mmcifio import MMCIFIO
from Bio.PDB.PDBIO import PDBIO
from Bio.PDB.StructureBuilder import StructureBuilder
from numpy.typing import NDArray

from resblock.structure import Partner, Residue

#: B-factor of a residue whose best pair has score 1; a PDB file's column has two decimals.
B_FACTOR_PER_SCORE = 100.0

_EXPLANATION = (
    "WRITTEN BY RESBLOCK PREDICT. THE B-FACTOR IS NO B-FACTOR:",
    "IT IS 100 X THE BEST SCORE OF THE RESIDUE IN ANY PAIR WITH A RESIDUE",
    "OF THE OTHER PARTNER (0 FOR A RESIDUE THAT IS NOT ON THE SURFACE).",
    "ONLY THE RESIDUES AND ATOMS THAT THE PREDICTION READ ARE LISTED.",
)


def structure_file_name(role: str, partner: Partner) -> str:
    """Name of a partner's scored structure: `receptor.pdb`, or `receptor.cif` for mmCIF input."""
    return f"{role}.cif" if _is_mmcif(partner) else f"{role}.pdb"


def write_scored_structure(path: Path, partner: Partner, best_scores: NDArray[np.floating]) -> None:
    """Write a partner with 100 x the best score of each residue as B-factor.

    The file says so itself: in REMARK 250 (PDB) or in the category pdbx_database_remark (mmCIF).

    Parameters
    ----------
    path : Path
        File to write; the format is that of the file the partner was read from.
    partner : Partner
        Residues and heavy atoms as read, with the author's chains and numbers.
    best_scores : (N,) array
        Best score of each of the partner's N residues; 0 where a residue is not on the surface.
    """
    if len(best_scores) != len(partner.residues):
        raise ValueError(f"{len(best_scores)} scores for {len(partner.residues)} residues")
    b_factors = B_FACTOR_PER_SCORE * np.asarray(best_scores, dtype=np.float64)
    with path.open("w", encoding="utf-8") as file:
        if _is_mmcif(partner):
            file.writelines(f"# {line}\n" for line in _EXPLANATION)
            writer = MMCIFIO()
            writer.set_dict(_mmcif_categories(partner, b_factors))
            writer.save(file)
        else:
            file.writelines(f"REMARK 250 {line}\n" for line in _EXPLANATION)
            pdb_writer = PDBIO()
            pdb_writer.set_structure(_biopython_structure(partner, b_factors))
            pdb_writer.save(file, preserve_atom_numbering=True)


def _is_mmcif(partner: Partner) -> bool:
    name = Path(partner.path).name.lower().removesuffix(".gz")
    # A PDB file has one column for the chain, whatever the file was called.
    return name.endswith((".cif", ".mmcif")) or any(len(chain) > 1 for chain in partner.chains)


def _is_modified(residue: Residue) -> bool:
    return residue.name != residue.parent


def _biopython_structure(partner: Partner, b_factors: NDArray[np.float64]) -> object:
    builder = StructureBuilder()
    builder.init_structure("partner")
    builder.init_model(0)
    builder.init_seg("    ")
    before = -1
    for atom, owner in enumerate(partner.atom_residue):
        residue = partner.residues[owner]
        if before < 0 or partner.residues[before].chain != residue.chain:
            builder.init_chain(residue.chain or " ")
        if owner != before:
            field = f"H_{residue.name}" if _is_modified(residue) else " "
            builder.init_residue(residue.name, field, residue.number, residue.insertion_code or " ")
            before = owner
        builder.init_atom(
            partner.atom_names[atom],
            partner.coordinates[atom],
            b_factors[owner],
            1.0,
            " ",
            partner.atom_names[atom],
            serial_number=(atom + 1) % 100_000,  # five columns; large files start again at 0
            element=partner.elements[atom],
        )
    return builder.get_structure()


def _mmcif_categories(partner: Partner, b_factors: NDArray[np.float64]) -> dict[str, str | list[str]]:
    """Categories of an mmCIF file, for `Bio.PDB.MMCIFIO.set_dict`."""
    # Viewers bond residues with consecutive label_seq_id: a gap in the chain leaves one out.
    sequence_id = np.cumsum(np.where(partner.linked, 1, 2))
    residues = [
        {
            "group_PDB": "HETATM" if _is_modified(residue) else "ATOM",
            "label_alt_id": ".",
            "label_comp_id": residue.name,
            "label_asym_id": residue.chain or ".",
            "label_entity_id": str(partner.chains.index(residue.chain) + 1),
            "label_seq_id": str(sequence_id[index]),
            "pdbx_PDB_ins_code": residue.insertion_code or "?",
            "occupancy": "1.00",
            "B_iso_or_equiv": f"{b_factors[index]:.2f}",
            "auth_seq_id": str(residue.number),
            "auth_comp_id": residue.name,
            "auth_asym_id": residue.chain or ".",
            "pdbx_PDB_model_num": "1",
        }
        for index, residue in enumerate(partner.residues)
    ]
    owners = partner.atom_residue.tolist()
    atom_site: dict[str, str | list[str]] = {
        "_atom_site.id": [str(atom) for atom in range(1, len(owners) + 1)],
        "_atom_site.type_symbol": list(partner.elements),
        "_atom_site.label_atom_id": list(partner.atom_names),
        "_atom_site.auth_atom_id": list(partner.atom_names),
    }
    for axis, values in zip("xyz", partner.coordinates.T, strict=True):
        atom_site[f"_atom_site.Cartn_{axis}"] = [f"{value:.3f}" for value in values]
    for item in residues[0]:
        atom_site[f"_atom_site.{item}"] = [residues[owner][item] for owner in owners]
    return {
        "data_": "resblock_scored_structure",
        "_pdbx_database_remark.id": "250",
        "_pdbx_database_remark.text": "\n".join(_EXPLANATION),
    } | atom_site
