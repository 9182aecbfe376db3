"""Other forms and parts of a complex to train on."""

import numpy as np
import pytest
from synthetic import ALL_TYPES, helix, moved, write

from resblock.errors import InputError
from resblock.pairs import Described, Recipe
from resblock.pairs.labels import contact_areas
from resblock.pairs.layout import complex_files
from resblock.pairs.variants import Structures, complexes_of, count_contacts, perturbed, residue_contacts
from resblock.structure import PartnerFeatures, read_partner

RECEPTOR = helix(ALL_TYPES * 2)
LIGAND = moved(helix("KLEDKVEELLSKNYHLENEVARLKKLVGER"), shift=(0.0, 9.5, 3.0), chain="L")
THIRD = moved(helix("KLEDKVEELLSKNYHLENEVARLKKLVGER"), shift=(0.0, 4.0, 11.0), chain="M")


@pytest.fixture
def directory(tmp_path):
    write(tmp_path / "1ABC" / "receptor_bound.pdb", RECEPTOR)
    write(tmp_path / "1ABC" / "ligand_bound.pdb", LIGAND)
    return tmp_path / "1ABC"


NOTHING_MORE, NOTHING_SAID = Recipe(), Described()


def made(directory, recipe=NOTHING_MORE, about=NOTHING_SAID):
    structures = Structures.read(complex_files(directory), recipe.model)
    return {complex.code: complex for complex in complexes_of("1ABC", structures, recipe, about)}


def test_bound_partners_stand_in_for_unbound_ones(directory):
    (complex,) = made(directory, about=Described("antibody", "9XYZ")).values()
    assert complex.conformations == ("bound", "bound")
    assert (complex.kind, complex.cluster, complex.origin, complex.root) == ("antibody", "9XYZ", "", "1ABC")
    assert complex.lost_contacts == 0
    receptor, ligand = (read_partner(directory / f"{side}_bound.pdb") for side in ("receptor", "ligand"))
    np.testing.assert_allclose(complex.contact_area, contact_areas(receptor, ligand), rtol=1e-6)
    write(directory / "ligand_unbound.pdb", LIGAND[8:])
    (half,) = made(directory).values()
    assert half.conformations == ("bound", "unbound")
    assert len(half.ligand) == len(complex.ligand) - 1


def test_both_conformations(directory):
    assert list(made(directory, Recipe(bound=True))) == ["1ABC"], "there is but one"
    write(directory / "ligand_unbound.pdb", LIGAND[8:])
    both = made(directory, Recipe(bound=True), Described("general", "9XYZ"))
    assert list(both) == ["1ABC.bound", "1ABC"]
    bound = both["1ABC.bound"]
    assert (bound.conformations, bound.origin, bound.root) == (("bound", "bound"), "1ABC", "1ABC")
    assert (bound.kind, bound.cluster) == ("general", "9XYZ")
    assert bound.contact_area.shape == (40, 30)
    assert both["1ABC"].contact_area.shape == (40, 29)
    np.testing.assert_array_equal(bound.contact_area[:, 1:], both["1ABC"].contact_area)


def test_copies_with_noise_are_the_same_every_time_and_differ(directory):
    recipe = Recipe(noise=0.2, copies=2, seed=3)
    first, again = made(directory, recipe), made(directory, recipe)
    other = made(directory, Recipe(noise=0.2, copies=1, seed=4))
    assert list(first) == ["1ABC.copy1", "1ABC.copy2", "1ABC"]
    for code, complex in first.items():
        np.testing.assert_array_equal(complex.receptor.features, again[code].receptor.features)
        np.testing.assert_array_equal(complex.contact_area, first["1ABC"].contact_area)
    copies = [first["1ABC.copy1"], first["1ABC.copy2"], other["1ABC.copy1"], first["1ABC"]]
    for side in ("receptor", "ligand"):
        tables = [getattr(complex, side).centres for complex in copies]
        assert all(np.abs(one - two).max() > 0.01 for k, one in enumerate(tables) for two in tables[:k])
    assert copies[0].conformations == ("perturbed", "perturbed")


def test_noise_has_the_size_that_was_asked_for(directory):
    partner = read_partner(directory / "receptor_bound.pdb")
    moved_by = perturbed(partner, 0.3, "name").coordinates - partner.coordinates
    assert moved_by.std() == pytest.approx(0.3, rel=0.1)
    assert abs(moved_by.mean()) < 0.05
    np.testing.assert_array_equal(perturbed(partner, 0.3, "name").coordinates - partner.coordinates, moved_by)


@pytest.mark.parametrize("recipe", [Recipe(noise=0.1), Recipe(copies=2), Recipe(noise=-0.1, copies=1), Recipe(noise=2)])
def test_noise_and_copies_go_together(recipe):
    with pytest.raises(InputError, match="--noise"):
        recipe.check()


def test_interfaces_across_and_within_partners(directory):
    assert list(made(directory, Recipe(interfaces=True))) == ["1ABC"], "two chains are the complex itself"
    write(directory / "ligand_bound.pdb", [*LIGAND, *THIRD])
    found = made(directory, Recipe(interfaces=True), Described("antibody", "9XYZ"))
    chains = [read_partner(directory / "receptor_bound.pdb")]
    chains += [read_partner(directory / "ligand_bound.pdb", [name]) for name in "LM"]
    counts = count_contacts(chains)
    names = {"1ABC.r1-l1": (0, 1), "1ABC.r1-l2": (0, 2), "1ABC.l1-l2": (1, 2)}
    assert set(found) == {"1ABC", *(name for name, pair in names.items() if counts[pair] >= 20)}
    assert {"1ABC.r1-l1", "1ABC.l1-l2"} <= set(found)
    within = found["1ABC.l1-l2"]
    assert (within.kind, within.origin, within.cluster) == ("interface", "1ABC", "9XYZ")
    assert [partner.chains for partner in within.partners] == [("L",), ("M",)]
    assert within.sides == ("ligand", "ligand")
    assert found["1ABC.r1-l1"].sides == found["1ABC"].sides == ("receptor", "ligand")
    # Each chain's features are those of the chain alone.
    np.testing.assert_array_equal(within.ligand.features, PartnerFeatures.of(chains[2]).features)
    np.testing.assert_allclose(within.contact_area, contact_areas(chains[1], chains[2]), rtol=1e-6)


def test_contacts_are_counted_by_residue_pairs(directory):
    receptor, ligand = (read_partner(directory / f"{side}_bound.pdb") for side in ("receptor", "ligand"))
    expected = sum(
        np.linalg.norm(
            receptor.coordinates[receptor.atom_residue == k][:, None] - ligand.coordinates[ligand.atom_residue == m],
            axis=-1,
        ).min()
        <= 5.0
        for k in range(len(receptor))
        for m in range(len(ligand))
    )
    assert count_contacts([receptor, ligand]).tolist() == [[len(_own(receptor)), expected], [0, len(_own(ligand))]]


def _own(partner):
    return residue_contacts(partner.coordinates, partner.atom_residue)


def test_a_model_is_chosen_where_there_are_several(directory, tmp_path):
    from synthetic import pdb

    text = pdb(RECEPTOR).removesuffix("END\n"), pdb(moved(RECEPTOR[:80])).removesuffix("END\n")
    models = "".join(f"MODEL     {k:4d}\n{one}ENDMDL\n" for k, one in enumerate(text, start=1))
    (directory / "receptor_bound.pdb").write_text(models + "END\n")
    assert len(made(directory)["1ABC"].receptor) == 40
    assert len(made(directory, Recipe(model=2))["1ABC"].receptor) < 40
    with pytest.raises(InputError, match="no model 7"):
        made(directory, Recipe(model=7))
