"""Proteins made from a sequence, so that no test needs a file from a data bank."""

from __future__ import annotations

import functools
import io
import warnings
from dataclasses import dataclass, replace

import numpy as np
from Bio.PDB.PICIO import read_PIC_seq
from Bio.Seq import Seq
from Bio.SeqRecord import SeqRecord

ALL_TYPES = "ARNDCQEGHILKMFPSTWYV"
MMCIF_COLUMNS = (
    "group_PDB id type_symbol label_atom_id label_alt_id label_comp_id label_asym_id "
    "label_entity_id label_seq_id pdbx_PDB_ins_code Cartn_x Cartn_y Cartn_z occupancy "
    "B_iso_or_equiv auth_seq_id auth_asym_id pdbx_PDB_model_num"
)


@dataclass(frozen=True)
class Atom:
    name: str
    residue: str
    chain: str
    number: int
    xyz: tuple[float, float, float]
    element: str
    insertion_code: str = " "
    alternative: str = " "
    occupancy: float = 1.0
    record: str = "ATOM"


@functools.cache
def helix(sequence: str, chain: str = "A", start: int = 1) -> tuple[Atom, ...]:
    """An alpha helix with ideal bonds and the default side-chain angles of Biopython."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        structure = read_PIC_seq(SeqRecord(Seq(sequence), id="helix"))
        structure.internal_to_atom_coordinates()
        model = next(iter(structure))
        made = next(iter(model))
        for residue in made:
            for angle, value in (("phi", -57.0), ("psi", -47.0), ("omg", 180.0)):
                if residue.internal_coord.get_angle(angle) is not None:
                    residue.internal_coord.set_angle(angle, value)
        made.internal_coord.internal_to_atom_coordinates()
    return tuple(
        Atom(
            name=atom.get_name(),
            residue=residue.get_resname(),
            chain=chain,
            number=start + k,
            xyz=tuple(round(float(x), 3) for x in atom.get_coord()),
            element=atom.get_name()[0],
        )
        for k, residue in enumerate(made)
        for atom in residue
    )


def moved(atoms, rotation=None, shift=(0.0, 0.0, 0.0), chain=None):
    """The same atoms elsewhere, rounded as a PDB file rounds them."""
    rotation = np.eye(3) if rotation is None else rotation
    return tuple(
        replace(
            atom,
            xyz=tuple(np.round(np.array(atom.xyz) @ rotation + np.array(shift), 3).tolist()),
            chain=atom.chain if chain is None else chain,
        )
        for atom in atoms
    )


def random_rotation(generator):
    q, r = np.linalg.qr(generator.normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    return q if np.linalg.det(q) > 0 else q[:, ::-1]


def pdb_line(serial, atom):
    name = f" {atom.name:<3s}" if len(atom.name) < 4 and len(atom.element) == 1 else f"{atom.name:4s}"
    x, y, z = atom.xyz
    return (
        f"{atom.record:<6s}{serial % 100_000:5d} {name}{atom.alternative}{atom.residue:>3s} "
        f"{atom.chain:1s}{atom.number:4d}{atom.insertion_code}   {x:8.3f}{y:8.3f}{z:8.3f}"
        f"{atom.occupancy:6.2f}  0.00          {atom.element:>2s}"
    )


def pdb(atoms) -> str:
    return "\n".join([*(pdb_line(k, atom) for k, atom in enumerate(atoms, start=1)), "END", ""])


def mmcif(atoms) -> str:
    """A minimal mmCIF file whose label names differ from the author's."""
    out = io.StringIO()
    out.write("data_made\n#\nloop_\n")
    out.writelines(f"_atom_site.{name}\n" for name in MMCIF_COLUMNS.split())
    first = min((atom.number for atom in atoms), default=1)
    for k, atom in enumerate(atoms, start=1):
        out.write(
            f"{atom.record} {k} {atom.element} {atom.name} "
            f"{atom.alternative.strip() or '.'} {atom.residue} Z{atom.chain} 1 "
            f"{atom.number - first + 1} {atom.insertion_code.strip() or '?'} "
            f"{atom.xyz[0]:.3f} {atom.xyz[1]:.3f} {atom.xyz[2]:.3f} {atom.occupancy:.2f} 0.00 "
            f"{atom.number} {atom.chain} 1\n"
        )
    out.write("#\n")
    return out.getvalue()


def write(path, atoms):
    """A PDB file of these atoms; returns the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(pdb(atoms))
    return path
