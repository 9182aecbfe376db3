"""The published tables, against other copies of them and what their papers say of them."""

from pathlib import Path

import numpy as np
import propka
import pytest
from Bio.PDB.ic_data import residue_atom_bond_state
from Bio.SeqUtils import seq1
from Bio.SeqUtils.ProtParamData import kd
from synthetic import ALL_TYPES, helix

from resblock.structure import scales

TWENTY = scales.RESIDUE_NAMES


def test_kyte_doolittle_is_biopythons():
    assert {seq1(name): scales.KYTE_DOOLITTLE[name] for name in TWENTY} == kd


def test_the_consensus_scale_is_normalised():
    """Eisenberg et al. give it a mean of 0 and a standard deviation of 1 over the twenty."""
    values = [scales.EISENBERG[name] for name in TWENTY]
    assert np.mean(values) == pytest.approx(0.0, abs=1e-12)
    assert np.std(values, ddof=1) == pytest.approx(1.0, abs=5e-4)
    assert sorted(TWENTY, key=scales.EISENBERG.get)[:4] == ["ARG", "LYS", "ASP", "GLN"]
    assert sorted(TWENTY, key=scales.EISENBERG.get)[-3:] == ["VAL", "PHE", "ILE"]


def test_reference_areas_are_those_of_naccess():
    assert scales.REFERENCE_AREA == {
        "ALA": 107.95, "CYS": 134.28, "ASP": 140.39, "GLU": 172.25, "PHE": 199.48, "GLY": 80.10, "HIS": 182.88,
        "ILE": 175.12, "LYS": 200.81, "LEU": 178.63, "MET": 194.15, "ASN": 143.94, "PRO": 136.13, "GLN": 178.50,
        "ARG": 238.76, "SER": 116.50, "THR": 139.27, "VAL": 151.44, "TRP": 249.36, "TYR": 212.76, "UNK": 107.95,
    }  # fmt: skip


def test_volumes_grow_with_the_atoms_of_a_residue():
    """Each heavy atom takes about 20 cubic Angstrom in a protein."""
    heavy = np.array([4 + len(scales.SIDE_CHAIN_ATOMS[name]) for name in TWENTY])
    volumes = np.array([scales.VOLUME[name] for name in TWENTY])
    assert np.abs(volumes / heavy - 17.0).max() < 4.0
    assert np.corrcoef(heavy, volumes)[0, 1] > 0.9
    assert (scales.VOLUME["GLY"], scales.VOLUME["TRP"]) == (volumes.min(), volumes.max()) == (60.1, 227.8)


def test_model_pkas_are_propkas():
    lines = (Path(propka.__file__).parent / "propka.cfg").read_text().splitlines()
    theirs = {words[1]: float(words[2]) for line in lines if (words := line.split())[:1] == ["model_pkas"]}
    assert {name: theirs[name] for name in scales.MODEL_PKA} == dict(scales.MODEL_PKA)
    assert scales.NEUTRAL_PKA == 7.0


def test_charges_are_those_of_neutral_water():
    """Henderson-Hasselbalch at pH 7; cysteine and tyrosine are 1 % and 0.1 % charged, which counts as nothing."""
    for name, pka in scales.MODEL_PKA.items():
        sign, power = (1, pka - 7.0) if name in ("ARG", "LYS", "HIS") else (-1, 7.0 - pka)
        assert scales.CHARGE.get(name, 0.0) == pytest.approx(sign / (1 + 10.0**-power), abs=0.012)
    assert scales.CHARGE.keys() <= scales.MODEL_PKA.keys()


def test_sticky_types():
    assert {seq1(name) for name in scales.STICKY} == set("FWYMILVH")


def test_unknown_residues():
    assert (scales.EISENBERG["UNK"], scales.KYTE_DOOLITTLE["UNK"]) == (0.0, 0.0)


def test_side_chains_have_the_atoms_that_biopython_builds():
    built = {}
    for atom in helix(ALL_TYPES):
        built.setdefault(atom.residue, set()).add(atom.name)
    assert {name: set(atoms) | set(scales.BACKBONE_ATOMS) for name, atoms in scales.SIDE_CHAIN_ATOMS.items()} == {
        name: atoms - {"OXT"} for name, atoms in built.items()
    }


def test_flat_carbons():
    """Those that Biopython calls double-bonded or resonant, and those of amides and acids, which it does not."""
    amides = {("ASN", "CG"), ("ASP", "CG"), ("GLN", "CD"), ("GLU", "CD")}
    for name in TWENTY:
        states = residue_atom_bond_state.get(seq1(name), {})
        for atom in scales.SIDE_CHAIN_ATOMS[name]:
            if atom.startswith("C"):
                flat = states.get(atom) in ("Cdb", "Cres") or (name, atom) in amides
                assert scales.atom_radius(name, atom, "C") == (1.76 if flat else 1.87), (name, atom)
        assert scales.atom_radius(name, "C", "C") == 1.76
        assert scales.atom_radius(name, "CA", "C") == 1.87


@pytest.mark.parametrize(
    ("parent", "atom", "element", "radius"),
    [
        ("ALA", "N", "N", 1.65),
        ("ALA", "O", "O", 1.40),
        ("LYS", "NZ", "N", 1.50),
        ("LYS", "N", "N", 1.65),
        ("ARG", "NZ", "N", 1.65),
        ("CYS", "SG", "S", 1.85),
        ("MET", "SE", "SE", 1.90),
        ("SER", "P", "P", 1.80),
        ("UNK", "F1", "F", 1.47),
        ("UNK", "CL1", "CL", 1.75),
        ("UNK", "BR1", "BR", 1.85),
        ("TYR", "I1", "I", 1.98),
        ("UNK", "B1", "B", 1.80),
        ("UNK", "CG", "C", 1.87),
    ],
)
def test_radii_by_element(parent, atom, element, radius):
    assert scales.atom_radius(parent, atom, element) == radius
