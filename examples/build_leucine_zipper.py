"""Build the structure that `resblock predict --example` runs on: the GCN4 leucine zipper.

The backbone follows the equations of the coiled coil (Crick 1953) with the parameters fitted to
the crystal structure of the zipper (O'Shea et al. 1991; Harbury et al. 1993). Side chains have
ideal bond lengths and angles (Biopython's internal-coordinate defaults) and take, residue by
residue, the rotamer that fits best. No coordinate comes from an experimental structure.

    python examples/build_leucine_zipper.py --out resblock/example

References
----------
Crick, Acta Cryst. 6, 685 (1953); O'Shea, Klemm, Kim & Alber, Science 254, 539 (1991);
Harbury, Zhang, Kim & Alber, Science 262, 1401 (1993); Grigoryan & DeGrado, J. Mol. Biol. 405,
1079 (2011); rotamers: Lovell, Word, Richardson & Richardson, Proteins 40, 389 (2000).
"""

from __future__ import annotations

import argparse
from functools import cache
from itertools import product
from pathlib import Path
from typing import TypeAlias

import numpy as np
from Bio.PDB import MMCIFIO, PDBIO
from Bio.PDB.PICIO import read_PIC_seq
from Bio.PDB.Structure import Structure
from Bio.PDB.StructureBuilder import StructureBuilder
from Bio.Seq import Seq
from Bio.SeqRecord import SeqRecord
from Bio.SeqUtils import seq3
from Bio.SVDSuperimposer import SVDSuperimposer
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]
Residue: TypeAlias = dict[str, Array]  # atom name -> position (3,), in Angstrom

SEQUENCE = "RMKQLEDKVEELLSKNYHLENEVARLKKLVGER"  # GCN4-p1, numbered from 1
HEPTAD = "gabcdef" * 5  # position of each residue in the heptad; Met 2 is the first a

SUPERHELIX_RADIUS = 4.9  # Angstrom
SUPERHELIX_TURN = np.radians(-3.6)  # per residue: left-handed, 100 residues per turn
SUPERHELIX_PITCH = -148.0  # Angstrom; negative: left-handed
HELIX_TURN = np.radians(360 * 2 / 7)  # per residue, seen from the superhelix: two turns a heptad
PHASE_OF_A = np.radians(180 + 26)  # 180 degrees points at the partner; a and d lie at +-26

# The straight helix that is bent: these angles give 3.63 residues per turn and a rise of 1.51
# Angstrom per residue, which is what the superhelix above asks of its helices.
PHI, PSI, OMEGA = -62.0, -43.2, 178.74

# Side-chain torsions in degrees, commonest in helices first. The first two may be off by OFFSETS.
OFFSETS = (0.0, 10.0, -10.0, 20.0, -20.0)
ROTAMERS: dict[str, list[tuple[float, ...]]] = {
    "A": [()],
    "G": [()],
    "V": [(175,), (-60,), (63,)],
    "L": [(-65, 175), (-177, 65), (-85, 65), (-172, 145)],
    "S": [(-65,), (62,), (180,)],
    "N": [(-71, -20), (-174, -20), (-71, -76), (-177, 30), (-64, 125)],
    "D": [(-70, -15), (-177, 0), (-177, 65), (62, -10)],
    "H": [(-65, -70), (-177, 60), (-174, -82), (-65, 80), (-65, 165)],
    "Y": [(-177, 80), (-65, -85), (-65, -30)],
    "M": [(-67, 180, 75), (-65, -65, -70), (-67, 180, -75), (-67, 180, 180), (180, 65, 75)],
    "E": [(-67, 180, -10), (-177, 180, 0), (-65, -65, -40), (-177, 65, 10), (-67, 85, 0)],
    "Q": [(-67, 180, -25), (-177, 180, 0), (-65, -65, -40), (-177, 65, -60), (-65, 85, 0)],
    "K": [
        (-67, 180, 180, 180),
        (-177, 180, 180, 180),
        (-62, -68, 180, 180),
        (-177, 68, 180, 180),
        (-67, 180, 68, 180),
        (-67, 180, -68, 180),
        (-67, 180, 180, 65),
        (-67, 180, 180, -65),
    ],
    "R": [
        (-67, 180, 180, 180),
        (-177, 180, 180, 180),
        (-62, -68, 180, 180),
        (-67, 180, 180, -85),
        (-67, 180, 180, 85),
        (-67, 180, 65, -175),
        (-67, 180, -65, 175),
        (-177, 65, 180, 180),
    ],
}

REMARK = (
    "THEORETICAL MODEL, NOT AN EXPERIMENTAL STRUCTURE.",
    "GCN4 LEUCINE ZIPPER BUILT FROM ITS SEQUENCE AND THE PARAMETERS OF THE",
    "PARALLEL DIMERIC COILED COIL BY EXAMPLES/BUILD_LEUCINE_ZIPPER.PY.",
    "THIS CHAIN WAS TURNED AND SHIFTED AT RANDOM: ITS PLACEMENT RELATIVE TO",
    "THE OTHER CHAIN OF THE EXAMPLE TELLS NOTHING.",
)


@cache
def ideal_chain(sequence: str, **torsions: float) -> list[Residue]:
    """Build a peptide with Biopython's default bond lengths and angles.

    Every residue takes the given torsions (`phi`, `chi1`, ...) where it has them.
    """
    structure = read_PIC_seq(SeqRecord(Seq(sequence), id="ideal"))
    residues = list(structure.get_residues())
    for residue in residues:
        for name, degrees in torsions.items():
            if residue.internal_coord.get_angle(name) is not None:
                residue.internal_coord.set_angle(name, degrees)
    structure.internal_to_atom_coordinates()
    return [{atom.id: atom.coord.astype(np.float64) for atom in residue} for residue in residues]


def cylinder_coordinates(atoms: tuple[str, ...]) -> dict[str, tuple[float, float, float]]:
    """Radius, phase and rise of backbone atoms about the axis of the straight helix.

    Phase (radians) and rise (Angstrom) are relative to the CA of the same residue; the axis runs
    from the N to the C terminus.
    """
    helix = ideal_chain("A" * 12, phi=PHI, psi=PSI, omg=OMEGA)[1:-1]
    positions = np.array([[residue[atom] for atom in atoms] for residue in helix])
    # One residue onto the next is a screw: x -> x @ rotation + translation.
    rotation, translation = superposition(positions[1:].reshape(-1, 3), positions[:-1].reshape(-1, 3))
    skew = rotation - rotation.T  # of x -> x @ rotation, hence the sign of the axis
    axis = np.array([skew[1, 2], skew[2, 0], skew[0, 1]])
    axis /= np.linalg.norm(axis)
    across = translation - (translation @ axis) * axis
    centre = np.linalg.lstsq((np.eye(3) - rotation).T, across, rcond=None)[0]

    residue = helix[4]
    along = {atom: (residue[atom] - centre) @ axis for atom in atoms}
    outward = {atom: residue[atom] - centre - along[atom] * axis for atom in atoms}
    first = outward["CA"] / np.linalg.norm(outward["CA"])
    second = np.cross(axis, first)
    return {
        atom: (
            float(np.linalg.norm(outward[atom])),
            float(np.arctan2(outward[atom] @ second, outward[atom] @ first)),
            float(along[atom] - along["CA"]),
        )
        for atom in atoms
    }


def superposition(target: Array, moved: Array) -> tuple[Array, Array]:
    """Rotation (3, 3) and translation (3,): moved @ rotation + translation lies on target."""
    fit = SVDSuperimposer()
    fit.set(target, moved)
    fit.run()
    rotation, translation = fit.get_rotran()
    return rotation, translation


def crick(step: float, radius: float, phase: float) -> Array:
    """Position on the coiled coil of an atom `step` residues along its helix (Crick 1953).

    `radius` and `phase` place the atom about the axis of its helix, which winds about z.
    """
    turn = SUPERHELIX_TURN * step
    pitch_angle = np.arctan(2 * np.pi * SUPERHELIX_RADIUS / SUPERHELIX_PITCH)
    outward = np.array([np.cos(turn), np.sin(turn), 0.0])
    sideways = np.array([-np.sin(turn), np.cos(turn), 0.0])
    upward = np.array([0.0, 0.0, 1.0])
    rise = SUPERHELIX_PITCH * SUPERHELIX_TURN / (2 * np.pi)
    return (
        (SUPERHELIX_RADIUS + radius * np.cos(phase)) * outward
        + radius * np.sin(phase) * (np.cos(pitch_angle) * sideways - np.sin(pitch_angle) * upward)
        + rise * step * upward
    )


def coiled_coil_backbone() -> list[Residue]:
    """Backbone of one helix of the coiled coil, the superhelix axis on z."""
    cylinder = cylinder_coordinates(("N", "CA", "C", "O"))
    rise_along_helix = np.hypot(SUPERHELIX_PITCH * SUPERHELIX_TURN / (2 * np.pi), SUPERHELIX_RADIUS * SUPERHELIX_TURN)
    first_a = HEPTAD.index("a")
    residues = []
    for index in range(len(SEQUENCE)):
        phase_of_ca = PHASE_OF_A + HELIX_TURN * (index - first_a)
        residue = {}
        for atom, (radius, phase, rise) in cylinder.items():
            ahead = rise / rise_along_helix
            # The phase was measured from a straight axis; here the frame turns with the superhelix.
            residue[atom] = crick(index + ahead, radius, phase_of_ca + phase - SUPERHELIX_TURN * ahead)
        residues.append(residue)
    return residues


def rotamers_of(name: str) -> list[tuple[float, ...]]:
    """Side-chain torsions to try for a residue, the likeliest first."""
    return [
        tuple(torsion + off for torsion, off in zip(rotamer, (*offsets, 0.0, 0.0), strict=False))
        for offsets in product(OFFSETS, repeat=2)
        for rotamer in ROTAMERS[name]
    ]


def side_chain(name: str, torsions: tuple[float, ...], backbone: Residue) -> Residue:
    """Side chain of one residue in one rotamer, on a given backbone."""
    (ideal,) = ideal_chain(name, **{f"chi{n}": value for n, value in enumerate(torsions, start=1)})
    frame = ("N", "CA", "C")
    rotation, translation = superposition(
        np.array([backbone[atom] for atom in frame]), np.array([ideal[atom] for atom in frame])
    )
    return {
        atom: position @ rotation + translation
        for atom, position in ideal.items()
        if atom not in ("N", "CA", "C", "O", "OXT")
    }


def terminal_oxygen(backbone: Residue) -> Array:
    """Second oxygen of the C terminus."""
    (ideal,) = ideal_chain("G")
    plane = ("CA", "C", "O")
    rotation, translation = superposition(
        np.array([backbone[atom] for atom in plane]), np.array([ideal[atom] for atom in plane])
    )
    return ideal["OXT"] @ rotation + translation


def partner_of(residues: list[Residue]) -> list[Residue]:
    """The same residues in the other chain: a half turn about z."""
    half_turn = np.array([-1.0, -1.0, 1.0])
    return [{atom: xyz * half_turn for atom, xyz in residue.items()} for residue in residues]


def stacked(residues: list[Residue]) -> tuple[Array, NDArray[np.bool_]]:
    """Positions (A, 3) of all atoms, and whether each is a carbon or sulphur."""
    atoms = [(name[0] in "CS", xyz) for residue in residues for name, xyz in residue.items()]
    positions = np.array([xyz for _, xyz in atoms]).reshape(-1, 3)
    return positions, np.array([apolar for apolar, _ in atoms], dtype=bool)


def crowding(moving: list[Residue], fixed: list[Residue]) -> float:
    """How much atoms that are not bonded to each other overlap (square Angstrom).

    Atoms keep 3.6 Angstrom between carbons and 3.0 where one of the two can make a hydrogen bond.
    """
    (here, apolar_here), (there, apolar_there) = stacked(moving), stacked(fixed)
    wanted = np.where(apolar_here[:, None] & apolar_there[None, :], 3.6, 3.0)
    distance = np.linalg.norm(here[:, None] - there[None], axis=-1)
    return float((np.clip(wanted - distance, 0.0, None) ** 2).sum())


def place_side_chains(backbone: list[Residue]) -> list[Residue]:
    """Give every residue the rotamer that fits best, the same one in both chains.

    Residues of the interface choose first; then all choose again, with every other side chain in
    place, until none changes.
    """
    residues = list(backbone)
    rotamers = [
        [side_chain(name, torsions, residue) for torsions in rotamers_of(name)]
        for name, residue in zip(SEQUENCE, backbone, strict=True)
    ]

    def costs(index: int) -> list[float]:
        rest = residues[:index] + residues[index + 1 :]
        rest_of_both = rest + partner_of(rest)
        found = []
        for rarity, side in enumerate(rotamers[index]):
            beyond_beta = [{atom: xyz for atom, xyz in side.items() if atom != "CB"}]
            opposite = partner_of([backbone[index] | side])
            # The commoner of two that fit.
            found.append(crowding(beyond_beta, rest_of_both + opposite) + 0.002 * rarity)
        return found

    order = sorted(range(len(SEQUENCE)), key=lambda index: "adegbcf".index(HEPTAD[index]))
    chosen: dict[int, int] = {}
    changed = True
    while changed:
        changed = False
        for index in order:
            best = int(np.argmin(costs(index)))
            changed |= chosen.get(index) != best
            chosen[index] = best
            residues[index] = backbone[index] | rotamers[index][best]
    return residues


def build_dimer() -> tuple[list[Residue], list[Residue]]:
    """Both chains of the parallel dimer, placed as they bind."""
    residues = place_side_chains(coiled_coil_backbone())
    residues[-1]["OXT"] = terminal_oxygen(residues[-1])
    return residues, partner_of(residues)


def random_placement(residues: list[Residue], random: np.random.Generator) -> list[Residue]:
    """Turn the chain about its centre and shift it, both at random."""
    orthogonal, _ = np.linalg.qr(random.standard_normal((3, 3)))
    rotation = orthogonal * np.sign(np.linalg.det(orthogonal))
    shift = random.uniform(-30.0, 30.0, size=3)
    centre = np.mean([residue["CA"] for residue in residues], axis=0)
    return [{atom: (xyz - centre) @ rotation + shift for atom, xyz in residue.items()} for residue in residues]


def to_structure(chains: dict[str, list[Residue]]) -> Structure:
    """Put chains into a Biopython structure, residues numbered from 1."""
    builder = StructureBuilder()
    builder.init_structure("GCN4_leucine_zipper_model")
    builder.init_model(0)
    builder.init_seg("    ")
    for chain, residues in chains.items():
        builder.init_chain(chain)
        for number, (name, residue) in enumerate(zip(SEQUENCE, residues, strict=True), start=1):
            builder.init_residue(seq3(name).upper(), " ", number, " ")
            for atom, xyz in residue.items():
                builder.init_atom(atom, xyz, 0.0, 1.0, " ", atom, element=atom[0])
    return builder.get_structure()


def write_pdb(structure: Structure, path: Path) -> None:
    """Write a PDB file that says what it is."""
    writer = PDBIO()
    writer.set_structure(structure)
    with path.open("w") as file:
        file.write("EXPDTA    THEORETICAL MODEL\n")
        file.writelines(f"REMARK 220 {line}\n" for line in REMARK)
        writer.save(file)


def write_mmcif(structure: Structure, path: Path) -> None:
    """Write an mmCIF file that says what it is."""
    writer = MMCIFIO()
    writer.set_structure(structure)
    with path.open("w") as file:
        file.writelines(f"# {line}\n" for line in REMARK)
        writer.save(file)


def main() -> None:
    """Write the example's two files, and the complex they were taken from where asked."""
    parser = argparse.ArgumentParser(description="Build the GCN4 leucine zipper example.")
    parser.add_argument("--out", type=Path, required=True, help="directory for the two files")
    parser.add_argument("--complex", type=Path, help="PDB file for both chains as they bind")
    arguments = parser.parse_args()

    receptor, ligand = build_dimer()
    random = np.random.default_rng(1953)
    arguments.out.mkdir(parents=True, exist_ok=True)
    write_pdb(to_structure({"A": random_placement(receptor, random)}), arguments.out / "receptor.pdb")
    write_mmcif(to_structure({"B": random_placement(ligand, random)}), arguments.out / "ligand.cif")
    if arguments.complex is not None:
        write_pdb(to_structure({"A": receptor, "B": ligand}), arguments.complex)


if __name__ == "__main__":
    main()
