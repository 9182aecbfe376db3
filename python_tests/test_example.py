"""The included example: sane geometry, the known interface, and files that the script writes."""

import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from Bio.PDB import MMCIFParser, NeighborSearch, PDBParser
from Bio.PDB.vectors import calc_angle, calc_dihedral
from Bio.SeqUtils import seq1
from Bio.SVDSuperimposer import SVDSuperimposer

REPOSITORY = Path(__file__).parents[1]
INCLUDED = REPOSITORY / "resblock" / "example"
SEQUENCE = "RMKQLEDKVEELLSKNYHLENEVARLKKLVGER"
HEPTAD = "gabcdef" * 5


def read(path):
    parser = MMCIFParser(QUIET=True) if path.suffix == ".cif" else PDBParser(QUIET=True)
    return parser.get_structure(path.stem, path)[0]


def positions(chain, atom=None):
    return np.array([a.coord for a in chain.get_atoms() if atom in (None, a.id)], dtype=np.float64)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    directory = tmp_path_factory.mktemp("example")
    script = REPOSITORY / "examples" / "build_leucine_zipper.py"
    subprocess.run(
        [sys.executable, script, "--out", directory, "--complex", directory / "complex.pdb"],
        check=True,
        capture_output=True,
    )
    return directory


@pytest.fixture(scope="module")
def dimer(built):
    return read(built / "complex.pdb")


@pytest.fixture(scope="module")
def residues(dimer):
    return list(dimer["A"])


@pytest.mark.parametrize("name", ["receptor.pdb", "ligand.cif"])
def test_the_script_writes_the_included_files(built, name):
    included, again = read(INCLUDED / name), read(built / name)
    assert [a.full_id[2:] for a in included.get_atoms()] == [a.full_id[2:] for a in again.get_atoms()]
    # Files hold three decimals; another BLAS may round the last one differently.
    np.testing.assert_allclose(positions(included), positions(again), atol=0.002)


@pytest.mark.parametrize(("name", "chain"), [("receptor.pdb", "A"), ("ligand.cif", "B")])
def test_included_files_say_that_they_are_models(name, chain):
    text = (INCLUDED / name).read_text()
    assert "THEORETICAL MODEL, NOT AN EXPERIMENTAL STRUCTURE" in text
    assert "BUILD_LEUCINE_ZIPPER.PY" in text
    assert [c.id for c in read(INCLUDED / name)] == [chain]


def test_sequence_and_atoms_are_complete(dimer):
    heavy_atoms = {"G": 4, "A": 5, "S": 6, "V": 7, "L": 8, "N": 8, "D": 8, "M": 8, "K": 9}
    heavy_atoms |= {"E": 9, "Q": 9, "H": 10, "R": 11, "Y": 12}
    for chain in dimer:
        assert "".join(seq1(r.resname) for r in chain) == SEQUENCE
        assert [r.id[1] for r in chain] == list(range(1, 34))
        expected = [heavy_atoms[name] for name in SEQUENCE]
        expected[-1] += 1  # OXT
        assert [len(r) for r in chain] == expected


def test_backbone_geometry(residues):
    def angles(*triples):
        return np.degrees([calc_angle(*[a.get_vector() for a in t]) for t in triples])

    following = list(itertools.pairwise(residues))
    # Bending the straight helix strains it by radius / radius of curvature, about 2 %.
    assert [r["CA"] - r["N"] for r in residues] == pytest.approx([1.46] * 33, abs=0.03)
    assert [r["C"] - r["CA"] for r in residues] == pytest.approx([1.53] * 33, abs=0.03)
    assert [r["O"] - r["C"] for r in residues] == pytest.approx([1.23] * 33, abs=0.03)
    assert [s["N"] - r["C"] for r, s in following] == pytest.approx([1.33] * 32, abs=0.02)
    assert [s["CA"] - r["CA"] for r, s in following] == pytest.approx([3.81] * 32, abs=0.03)
    assert angles(*[(r["N"], r["CA"], r["C"]) for r in residues]) == pytest.approx(111, abs=1.5)
    assert angles(*[(r["CA"], r["C"], s["N"]) for r, s in following]) == pytest.approx(117, abs=2)
    assert angles(*[(r["C"], s["N"], s["CA"]) for r, s in following]) == pytest.approx(121.5, abs=2)


def test_backbone_is_a_right_handed_helix(residues):
    following = list(itertools.pairwise(residues))

    def dihedral(*atoms):
        return np.degrees(calc_dihedral(*[atom.get_vector() for atom in atoms]))

    phi = [dihedral(r["C"], s["N"], s["CA"], s["C"]) for r, s in following]
    psi = [dihedral(r["N"], r["CA"], r["C"], s["N"]) for r, s in following]
    assert phi == pytest.approx([-62] * 32, abs=3)
    assert psi == pytest.approx([-43] * 32, abs=3)
    hydrogen_bonds = [s["N"] - r["O"] for r, s in zip(residues, residues[4:], strict=False)]
    assert hydrogen_bonds == pytest.approx([2.97] * 29, abs=0.1)


def test_side_chains_are_left_handed_amino_acids(residues):
    for residue in residues:
        if "CB" in residue:
            n, c, b = (residue[a].coord - residue["CA"].coord for a in ("N", "C", "CB"))
            assert np.dot(np.cross(n, c), b) > 2  # Angstrom cubed; D amino acids are negative


def test_nothing_clashes(dimer):
    """No two heavy atoms of residues that are not neighbours lie closer than 2.85 Angstrom."""
    backbone = {"N", "CA", "C", "O"}
    close = []
    for one, other in NeighborSearch(list(dimer.get_atoms())).search_all(2.85):
        first, second = one.parent, other.parent
        neighbours = (first.parent is second.parent and abs(first.id[1] - second.id[1]) <= 1) and {
            one.id,
            other.id,
        } <= backbone
        if first is not second and not neighbours:
            close.append((one.full_id, other.full_id))
    assert close == []


def test_interface_is_at_heptad_positions_a_d_e_g(dimer):
    one, other = list(dimer["A"]), list(dimer["B"])
    contacts = {
        (i, j) for i, r in enumerate(one) for j, s in enumerate(other) if min(a - b for a in r for b in s) < 4.5
    }
    touching = {i for pair in contacts for i in pair}
    assert {HEPTAD[i] for i in touching} <= set("adeg")
    core = {i for i in range(33) if HEPTAD[i] in "ad"}
    assert core <= touching
    assert {"aa", "ad", "da", "dd"} <= {HEPTAD[i] + HEPTAD[j] for i, j in contacts}
    # Parallel and in register: partners are at most a layer apart.
    assert max(abs(i - j) for i, j in contacts) <= 4
    assert contacts == {(j, i) for i, j in contacts}


def test_dimer_is_parallel_and_left_handed(dimer):
    one, other = positions(dimer["A"], "CA"), positions(dimer["B"], "CA")

    def axis_points(trace):  # means over a heptad lie near the helix axis
        return np.array([trace[k : k + 7].mean(axis=0) for k in range(len(trace) - 6)])

    a, b = axis_points(one), axis_points(other)
    along = (a[-1] - a[0]) / np.linalg.norm(a[-1] - a[0])
    assert np.dot(along, b[-1] - b[0]) > 0.9 * np.linalg.norm(b[-1] - b[0])
    # O'Shea et al. 1991: the helices of the zipper are 9.8 Angstrom apart.
    assert np.linalg.norm(a - b, axis=1) == pytest.approx(9.8, abs=0.3)
    first, last = (b - a)[0], (b - a)[-1]
    turn = np.degrees(np.arctan2(np.dot(np.cross(first, last), along), np.dot(first, last)))
    assert turn == pytest.approx(-3.6 * (len(a) - 1), abs=3)


def test_placement_of_the_included_chains_tells_nothing(dimer):
    """Each file is its chain of the complex, rigidly moved, and by a different motion."""
    motions = []
    for name, chain in (("receptor.pdb", "A"), ("ligand.cif", "B")):
        fit = SVDSuperimposer()
        fit.set(positions(dimer[chain]), positions(read(INCLUDED / name)))
        fit.run()
        assert fit.get_rms() < 0.002  # rounding to three decimals
        motions.append(fit.get_rotran())
    (rotation_a, shift_a), (rotation_b, shift_b) = motions
    relative = np.degrees(np.arccos((np.trace(rotation_a.T @ rotation_b) - 1) / 2))
    assert relative > 20
    assert np.linalg.norm(shift_a - shift_b) > 10
    assert all(np.degrees(np.arccos((np.trace(rotation) - 1) / 2)) > 20 for rotation, _ in motions)
