from dataclasses import replace

import numpy as np
import pytest
from synthetic import helix, moved, write

from resblock.structure import read as reader
from resblock.structure import read_partner
from resblock.structure.align import map_residues

SEQUENCE = "MKTAYIAKQRQISFVKSHFSRQ"


@pytest.fixture
def read(tmp_path, monkeypatch):
    """Reads made atoms as a partner, also copies that lie on one another."""
    monkeypatch.setattr(reader, "_check_superposed", lambda partner: None)
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


def poly(count, start, *tryptophans):
    """An alanine helix with tryptophan at some places, numbered from `start`: no number follows from the sequence."""
    return helix("".join("W" if k in tryptophans else "A" for k in range(count)), start=start)


@pytest.mark.parametrize(("mutated", "trusted"), [((3, 30), True), ((3, 17, 30), False)])
def test_numbers_are_trusted_where_19_of_20_names_agree(read, mutated, trusted):
    """Forty of 42 and 42 residues are numbered alike; 38 of them with the same name are just enough."""
    mapping = map_residues(read(poly(42, 1)), read(poly(42, 3, *mutated)))
    assert mapping.tolist() == ([-1, -1, *range(40)] if trusted else [*range(42)])


@pytest.mark.parametrize(("start", "numbered"), [(11, True), (12, False)])
def test_numbers_are_trusted_where_half_of_the_shorter_chain_is_there(read, start, numbered):
    mapping = map_residues(read(poly(20, 1)), read(poly(20, start)))
    assert mapping.tolist() == ([*[-1] * 10, *range(10)] if numbered else [*range(20)])


@pytest.mark.parametrize(("identical", "same"), [(6, True), (5, False)])
def test_chains_are_the_same_protein_from_three_tenths_identity_on(read, identical, same):
    first, similar = "MKDFYIRELVQTSAWNHGPC", "LREYFVKDMIESTSFDYANS"
    second = similar[: 20 - identical] + first[20 - identical :]
    mapping = map_residues(read(helix(first)), read(helix(second, start=101)))
    assert mapping.tolist() == ([*range(20)] if same else [-1] * 20)


def test_residues_missing_at_an_end_cost_nothing(read):
    """The last two may stand for either IQ: the first one's gap is shorter, and what is missing behind it is free."""
    core = "MKDFYIRELVQTSAWNHGPC"
    mapping = map_residues(read(helix(core + "FIQTIQ")), read(helix(core + "IQ", start=101)))
    assert mapping.tolist() == [*range(20), -1, 20, 21, -1, -1, -1]


@pytest.mark.parametrize("shared", [10, 9])
def test_an_alignment_must_cover_half_of_the_shorter_chain(read, shared):
    first = "MKDFYIRELVGGPGGPGGPG"
    second = "NSTNSTNSTNS"[: 20 - shared] + first[:shared]
    mapping = map_residues(read(helix(first)), read(helix(second, start=101)))
    assert mapping.tolist() == ([*range(10, 20), *[-1] * 10] if shared == 10 else [-1] * 20)


def test_the_best_fitting_chain_is_paired_first(read):
    """The whole copy is taken of two chains, and not the one of the same name with 14 of 22 residues in common."""
    base = helix(SEQUENCE)
    partial = renumbered(helix(SEQUENCE[8:] + "GSPGNGTD"), 8)
    whole = moved(base, shift=(0.0, 40.0, 0.0), chain="B")
    mapping = map_residues(read(base), read(partial, whole))
    assert mapping.tolist() == list(range(22, 44))


def test_of_equal_copies_the_nearest_is_taken(read):
    """A homodimer whose chains have changed their names: every chain stays where it lies."""
    base = helix(SEQUENCE)
    here = (base, moved(base, shift=(0.0, 25.0, 0.0), chain="B"))
    there = (moved(base, shift=(0.0, 25.0, 0.0), chain="A"), moved(base, chain="B"))
    assert map_residues(read(*here), read(*there)).tolist() == [*range(22, 44), *range(22)]


@pytest.mark.parametrize(("farther", "taken"), [(0.4, 0), (3.0, 22)])
def test_of_copies_equally_near_to_an_angstrom_the_one_of_the_same_name_is_taken(read, farther, taken):
    base = helix(SEQUENCE)
    there = (moved(base, shift=(0.0, farther, 0.0)), moved(base, shift=(0.0, 0.0, 0.2), chain="B"))
    assert map_residues(read(base), read(*there)).tolist() == list(range(taken, taken + 22))


def test_of_copies_alike_in_all_the_first_is_taken(read):
    base = moved(helix(SEQUENCE), chain="X")
    there = (moved(base, shift=(0.0, 0.4, 0.0), chain="A"), moved(base, shift=(0.0, 0.0, 0.2), chain="B"))
    assert map_residues(read(base), read(*there)).tolist() == list(range(22))
    assert map_residues(read(*there), read(base)).tolist() == [*range(22), *[-1] * 22]


@pytest.mark.parametrize(("cut", "near"), [(1, True), (4, False)])
def test_a_tenth_of_coverage_goes_before_nearness_and_less_does_not(read, cut, near):
    """The copy nearby has `cut` residues that the other chain lacks: 21 or 18 of 22 fit."""
    base = helix(SEQUENCE)
    nearby = renumbered(helix(SEQUENCE[cut:] + "DNST"[:cut]), cut)
    mapping = map_residues(read(base), read(nearby, moved(base, shift=(0.0, 30.0, 0.0), chain="B")))
    assert (mapping[cut:] < 22).all() == near
    assert (mapping[cut:] >= 22).all() == (not near)


def test_nearness_is_the_median_over_residues(read):
    """A third of a chain that lies elsewhere does not make it the farther one."""
    base = helix(SEQUENCE)
    bent = tuple(
        replace(atom, xyz=(atom.xyz[0], atom.xyz[1] + 80.0, atom.xyz[2])) if atom.number > 16 else atom
        for atom in moved(base, chain="B")
    )
    whole = moved(base, shift=(0.0, 8.0, 0.0), chain="C")
    assert map_residues(read(base), read(whole, bent)).tolist() == list(range(22, 44))


def test_a_chain_cut_in_two_is_mapped_onto_both(read):
    base = helix(SEQUENCE)
    parts = (
        tuple(replace(atom, chain="K") for atom in base if atom.number <= 11),
        tuple(replace(atom, chain="M") for atom in base if atom.number > 11),
    )
    assert map_residues(read(base), read(*parts)).tolist() == list(range(22))
    assert map_residues(read(*parts), read(base)).tolist() == list(range(22))


def test_insertion_codes_are_part_of_the_number(read):
    def coded(atoms):
        return tuple(
            replace(atom, number=5, insertion_code="A" if atom.number == 6 else "B") if atom.number in (6, 7) else atom
            for atom in atoms
        )

    base = coded(helix(SEQUENCE))
    bound = tuple(atom for atom in base if atom.insertion_code != "A")
    assert map_residues(read(base), read(bound)).tolist() == [*range(5), -1, *range(5, 21)]


def test_a_modified_residue_is_its_parent(read):
    """Eleven methionines of 22, all selenomethionines in the bound structure: the numbers are trusted."""
    base = helix("MA" * 11)
    bound = tuple(
        replace(atom, residue="MSE", record="HETATM") if atom.residue == "MET" else atom for atom in renumbered(base, 2)
    )
    assert map_residues(read(base), read(bound)).tolist() == [-1, -1, *range(20)]


def test_coverage_is_of_the_shorter_chain(read):
    """Half a chain nearby covers as much as a whole one far away: it comes first, and the other gives the rest."""
    base = helix(SEQUENCE)
    half = tuple(replace(atom, chain="K") for atom in base if atom.number <= 11)
    far = moved(base, shift=(0.0, 40.0, 0.0), chain="M")
    assert map_residues(read(base), read(far, half)).tolist() == [*range(22, 33), *range(11, 22)]


def test_nearness_is_of_alpha_carbons(read):
    """A copy whose other atoms lie elsewhere is as near as its alpha carbons are."""
    base = helix(SEQUENCE)
    odd = tuple(
        atom if atom.name == "CA" else replace(atom, xyz=(atom.xyz[0], atom.xyz[1] + 9.0, atom.xyz[2]))
        for atom in moved(base, chain="B")
    )
    assert map_residues(read(base), read(moved(base, shift=(0.0, 4.0, 0.0)), odd)).tolist() == list(range(22, 44))
