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


HELIX = (-57.0, -47.0)
STRAND = (-120.0, 130.0)


@functools.cache
def peptide(sequence: str, torsions: tuple[tuple[float, float], ...], chain: str = "A", start: int = 1):
    """A chain with these phi and psi, ideal bonds and the default side-chain angles of Biopython."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        structure = read_PIC_seq(SeqRecord(Seq(sequence), id="peptide"))
        structure.internal_to_atom_coordinates()
        model = next(iter(structure))
        made = next(iter(model))
        for residue, (phi, psi) in zip(made, torsions, strict=True):
            for angle, value in (("phi", phi), ("psi", psi), ("omg", 180.0)):
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


def helix(sequence: str, chain: str = "A", start: int = 1) -> tuple[Atom, ...]:
    """An alpha helix."""
    return peptide(sequence, (HELIX,) * len(sequence), chain, start)


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
    residue = f"{atom.residue:>3s}"
    x, y, z = atom.xyz
    return (
        f"{atom.record:<6s}{serial % 100_000:5d} {name}{atom.alternative}{residue:4s}"
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


def remark_350(number, chains, operators, unit="AUTHOR DETERMINED BIOLOGICAL UNIT: DIMERIC"):
    """Records of a biological assembly: rotations and shifts of chains."""
    lines = [f"BIOMOLECULE: {number}", unit, f"APPLY THE FOLLOWING TO CHAINS: {', '.join(chains)}"]
    for k, (rotation, shift) in enumerate(operators, start=1):
        for row in range(3):
            a, b, c = rotation[row]
            lines.append(f"  BIOMT{row + 1}{k:4d}{a:10.6f}{b:10.6f}{c:10.6f}{shift[row]:15.5f}")
    return "".join(f"REMARK 350 {line}\n" for line in lines)


def with_b_factors(text, values):
    """A PDB text whose residue k has the B-factor `values[k - 1]`."""
    lines = [
        f"{line[:60]}{values[int(line[22:26]) - 1]:6.2f}{line[66:]}" if line.startswith("ATOM") else line
        for line in text.splitlines()
    ]
    return "\n".join(lines) + "\n"


def write(path, atoms):
    """A PDB file of these atoms; returns the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(pdb(atoms))
    return path


def docked(atoms, partner, direction, gap=3.2):
    """`partner` slid along a direction until its nearest atom is `gap` Angstrom from `atoms`."""
    here = np.array([atom.xyz for atom in atoms])
    there = np.array([atom.xyz for atom in partner])
    way = np.array(direction) / np.linalg.norm(direction)
    there = there - there.mean(axis=0) + here.mean(axis=0)
    slid = next(
        step * way
        for step in np.arange(0.0, 100.0, 0.1)
        if np.linalg.norm(here[:, None] - there - step * way, axis=-1).min() >= gap
    )
    centre = np.mean([atom.xyz for atom in partner], axis=0)
    return moved(partner, shift=tuple(here.mean(axis=0) - centre + slid))


def turned(atoms, seed):
    """The same atoms turned at random."""
    return moved(atoms, random_rotation(np.random.default_rng(seed)))


def modified(atoms, number, name, **atom_names):
    """A residue under another name and as HETATM; atoms renamed where asked, as (name, element)."""

    def changed(atom):
        if atom.number != number:
            return atom
        new, element = atom_names.get(atom.name, (atom.name, atom.element))
        return replace(atom, residue=name, record="HETATM", name=new, element=element)

    return tuple(map(changed, atoms))


# Loops between the helices and strands were found by trying torsions from the allowed regions of the
# Ramachandran plot at random: of those without a clash of the backbone, the most compact.
LOOPS = {
    "helix to helix": ((-47.0, 125.0), (-54.0, -29.0), (-132.0, 144.0), (-129.0, 122.0), (-66.0, 151.0)),
    "strand to helix": ((-78.0, 6.0), (-99.0, 0.0), (-116.0, 124.0)),
    "helix to strand": ((54.0, 49.0), (-80.0, 139.0), (-81.0, 0.0), (-113.0, 129.0)),
}


def helical_fold():
    """Three chains: two helices and a loop with a gap and every type, selenomethionine, a strand across, a helix."""
    first = peptide("MKEALRDIQSWHNGGPDVTLEYKQCFANKR", (HELIX,) * 12 + LOOPS["helix to helix"] + (HELIX,) * 13, "A", 5)
    first = tuple(atom for atom in modified(first, 5, "MSE", SD=("SE", "SE")) if atom.number not in (18, 19))
    second = turned(peptide("TVKIRVYF", (STRAND,) * 8, "B", -3), 1)
    first += docked(first, second, (1.0, 0.2, 0.1))
    third = turned(peptide("GDEELLKWLHC", (HELIX,) * 11, "C", 101), 2)
    return first + docked(first, third, (-0.3, 1.0, 0.4))


def mixed_fold():
    """Three chains: strand, helix and strand; two strands. One residue of unknown type, one without N, one cut."""
    loops = (LOOPS["strand to helix"], LOOPS["helix to strand"])
    torsions = (STRAND,) * 6 + loops[0] + (HELIX,) * 10 + loops[1] + (STRAND,) * 8
    first = peptide("TVYFEIRNGDPSKLAEQCWMHNGGTVKVTYS", torsions, "H", 1)
    first = tuple(
        atom
        for atom in modified(first, 12, "XYZ")
        if (atom.number, atom.name) != (22, "N") and not (atom.number == 13 and atom.name in ("CG", "CD", "CE", "NZ"))
    )
    second = turned(peptide("RQTEVHIDL", (STRAND,) * 9, "L", 40), 3)
    first += docked(first, second, (0.2, -1.0, 0.3))
    third = turned(peptide("KCFYAWMNP", (STRAND,) * 9, "M", 40), 4)
    return first + docked(first, third, (0.1, 0.3, -1.0))
