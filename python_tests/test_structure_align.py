from dataclasses import replace

import numpy as np
import pytest
from synthetic import helix, moved, write

from resblock.structure import read_partner
from resblock.structure.align import map_residues

SEQUENCE = "MKTAYIAKQRQISFVKSHFSRQ"


@pytest.fixture
def read(tmp_path):
    """Reads made atoms as a partner."""
    count = iter(range(100))
    return lambda *atoms: read_partner(write(tmp_path / f"{next(count)}.pdb", sum(atoms, ())))


def renumbered(atoms, by):
    return tuple(replace(atom, number=atom.number + by) for atom in atoms)


def without(atoms, *numbers):
    return tuple(atom for atom in atoms if atom.number not in numbers)


def test_same_numbers(read):
    base = helix(SEQUENCE)
    mapping = map_residues(read(base), read(without(base, 1, 2, 9)))
    assert mapping.tolist() == [-1, -1, *range(6), -1, *range(6, 19)]


def test_another_chain_name(read):
    base = helix(SEQUENCE)
    assert map_residues(read(base), read(moved(base, chain="X"))).tolist() == list(range(22))


def test_other_numbers_are_aligned_by_sequence(read):
    base = helix(SEQUENCE)
    mapping = map_residues(read(base), read(renumbered(without(base, 1, 2, 3), 1)))
    assert mapping.tolist() == [-1, -1, -1, *range(19)]


def test_numbers_off_in_a_part_of_the_chain_are_not_trusted(read):
    base = helix(SEQUENCE)
    shifted = tuple(replace(atom, number=atom.number + 1) if atom.number > 15 else atom for atom in base)
    assert map_residues(read(base), read(shifted)).tolist() == list(range(22))


def test_a_point_mutation_keeps_its_place(read):
    base = helix(SEQUENCE)
    mutant = helix(SEQUENCE.replace("Y", "F"))
    assert map_residues(read(base), read(mutant)).tolist() == list(range(22))


def test_another_protein_is_not_mapped(read):
    other = moved(helix("GGSPGNGTDPGESGPGNGSG"), chain="A")
    assert (map_residues(read(helix(SEQUENCE)), read(other)) == -1).all()


def test_the_nearest_copy_of_a_homodimer(read):
    here, there = helix(SEQUENCE), moved(helix(SEQUENCE), shift=(0, 25.0, 0), chain="B")
    unbound = read(here, there)
    # The copies have each other's names in the bound file; names alone would swap them.
    bound = read(moved(there, chain="A", shift=(0.2, 0, 0)), moved(here, chain="B"))
    np.testing.assert_array_equal(map_residues(unbound, bound), np.concatenate([np.arange(22, 44), np.arange(22)]))


def test_one_copy_bound(read):
    here, there = helix(SEQUENCE), moved(helix(SEQUENCE), shift=(0, 25.0, 0), chain="B")
    mapping = map_residues(read(here, there), read(there))
    assert mapping.tolist() == [-1] * 22 + list(range(22))


def test_no_residue_is_used_twice(read):
    here, there = helix(SEQUENCE), moved(helix(SEQUENCE), shift=(0, 25.0, 0), chain="B")
    mapping = map_residues(read(here), read(here, there))
    assert mapping.tolist() == list(range(22))
