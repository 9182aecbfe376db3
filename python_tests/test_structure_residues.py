"""What is a residue, and which of several in one place is read, written down by hand."""

from dataclasses import replace

import numpy as np
import pytest
from structure_texts import NAMES, SEQUENCE, expected, ion, joined, renamed, residues
from synthetic import helix, mmcif, moved, pdb

from resblock.errors import InputError
from resblock.structure import residues as reader

# Not residues


@pytest.mark.parametrize("record", ["ATOM", "HETATM"])
@pytest.mark.parametrize("text", [pdb, mmcif])
def test_calcium_is_no_alpha_carbon(read, record, text):
    ions = (ion(201, record=record), ion(202, xyz=(40.0, 0.0, 3.5), record=record))
    partner = read(text(helix(SEQUENCE) + ions))
    assert residues(partner) == expected()
    assert partner.left_out == ("2 CA",)


def test_caps_are_no_residues_whatever_their_atoms_are_called(read):
    cap = tuple(replace(a, residue="ACE", number=0, record="HETATM") for a in helix("G") if a.name in ("CA", "C", "O"))
    here = moved(cap, shift=(-2.0, 1.0, 0.0))
    partner = read(pdb(here + helix(SEQUENCE)))
    assert residues(partner) == expected()
    assert partner.left_out == ("1 ACE",)


def test_a_residue_without_alpha_carbon_is_said(read):
    atoms = tuple(a for a in helix(SEQUENCE) if (a.number, a.name) != (5, "CA"))
    partner = read(pdb(atoms))
    assert residues(partner) == [line for line in expected() if "TYR" not in line]
    assert partner.left_out == ("residue A 5 TYR (no alpha carbon)",)
    assert partner.linked.tolist() == [False, True, True, True, False, *[True] * 6]


@pytest.mark.parametrize("numbers", [(5, 6), (5, 5)])
def test_waters_whose_numbers_wrap_around_stand_for_no_residue(read, numbers):
    waters = tuple(
        replace(ion(number, "O"), residue="SOL", xyz=(30.0 + 4 * k, 0.0, 0.0), record="ATOM")
        for k, number in enumerate(numbers)
    )
    partner = read(pdb(helix(SEQUENCE) + waters))
    assert residues(partner) == expected()
    assert partner.left_out == ("2 waters",)


@pytest.mark.parametrize("labels", ["AB", "BA", "CAB"])
def test_the_alternative_places_of_a_water_are_one(read, labels):
    places = tuple(
        replace(ion(301, "O", (30.0 + k, 0.0, 0.0)), residue="HOH", alternative=label, occupancy=1 / len(labels))
        for k, label in enumerate(labels)
    )
    assert read(pdb(helix(SEQUENCE) + places)).left_out == ("1 waters",)


@pytest.mark.parametrize("damage", [(22, 26, "****"), (30, 38, "********"), (54, 60, "   nan")])
@pytest.mark.parametrize("columns", ["TIP3A", " SOLA", "HOH A", "HOHWA"])
def test_what_a_damaged_water_says_does_not_matter(read, damage, columns):
    """Columns 18-22: a name of four letters, one set to the right, and one of three before a chain of one or two."""
    start, stop, word = damage
    water = joined(pdb((replace(ion(301, "O"), residue="HOH", name="OH2"),)))
    water = water[:17] + columns + water[22:]
    partner = read(joined(pdb(helix(SEQUENCE))) + "\n" + water[:start] + word + water[stop:])
    assert residues(partner) == expected()
    assert partner.left_out == ("1 waters",)


def test_ions_of_one_number_are_counted(read):
    ions = tuple(replace(ion(1, "NA", (30.0 + 4 * k, 0.0, 0.0)), record="ATOM", chain=" ") for k in range(30))
    assert read(pdb(helix(SEQUENCE) + ions)).left_out == ("30 NA",)


# Modified residues, alternatives and point mutations


@pytest.mark.parametrize("name", ["MSE", "MLY", "SEP", "DAL", "DVA"])
def test_a_modified_residue_behind_the_chain_is_read_in_its_place(read, name):
    atoms = renamed(helix(SEQUENCE), 6, name, record="HETATM")
    behind = joined(pdb(tuple(a for a in atoms if a.number != 6))) + "\nTER\n"
    partner = read(behind + joined(pdb(tuple(a for a in atoms if a.number == 6))))
    assert residues(partner) == expected(names=[name if n == "ILE" else n for n in NAMES])
    assert partner.linked.tolist() == [False, *[True] * 11]


@pytest.mark.parametrize("shift", [0.0, 0.3])
@pytest.mark.parametrize(("first", "second", "read_as"), [(0.7, 0.3, "CYS"), (0.3, 0.7, "CSO"), (0.5, 0.5, "CYS")])
@pytest.mark.parametrize("interleaved", [False, True])
def test_of_two_kinds_of_residue_the_likelier_is_read(read, shift, first, second, read_as, interleaved):
    base = helix("MKTACIAKQRQW")
    one = tuple(replace(a, alternative="A", occupancy=first) for a in base if a.number == 5)
    other = tuple(
        replace(a, residue="CSO", alternative="B", occupancy=second, record="HETATM",
                xyz=(a.xyz[0] + shift, a.xyz[1], a.xyz[2])) for a in one
    )  # fmt: skip
    both = [a for pair in zip(one, other, strict=True) for a in pair] if interleaved else [*one, *other]
    atoms = (*(a for a in base if a.number < 5), *both, *(a for a in base if a.number > 5))
    for text in (pdb, mmcif):
        partner = read(text(atoms))
        assert residues(partner) == expected(names=[read_as if n == "TYR" else n for n in NAMES])
        assert partner.linked.tolist() == [False, *[True] * 11]


def test_the_likelier_kind_is_that_of_the_backbone_not_of_more_atoms(read):
    base = helix("MKTAGIAKQRQW")
    small = tuple(replace(a, alternative="A", occupancy=0.6) for a in base if a.number == 5)
    large = tuple(replace(a, alternative="B", occupancy=0.4) for a in helix(SEQUENCE) if a.number == 5)
    atoms = (*(a for a in base if a.number < 5), *large, *small, *(a for a in base if a.number > 5))
    assert residues(read(pdb(atoms)))[4] == "A 5 GLY"


def test_a_place_without_a_label_is_read_where_it_is_the_likelier(read):
    base = helix(SEQUENCE)
    own = [a for a in base if a.number == 5]
    first = [replace(a, occupancy=0.7) for a in own]
    second = [replace(a, alternative="B", occupancy=0.3, xyz=tuple(x + 0.4 for x in a.xyz)) for a in own]
    both = [a for pair in zip(first, second, strict=True) for a in pair]
    partner = read(pdb((*(a for a in base if a.number < 5), *both, *(a for a in base if a.number > 5))))
    np.testing.assert_array_equal(partner.coordinates, read(pdb(base)).coordinates)
    swapped = [replace(a, occupancy=1.0 - a.occupancy) for a in both]
    partner = read(pdb((*(a for a in base if a.number < 5), *swapped, *(a for a in base if a.number > 5))))
    assert not np.array_equal(partner.coordinates, read(pdb(base)).coordinates)


def test_atoms_that_two_kinds_of_residue_share_belong_to_either(read):
    """N, C and O stand once, under the name of the less likely residue."""
    base = helix("MKTAVIAKQRQW")
    own = [a for a in base if a.number == 5]
    shared = [a for a in own if a.name in ("N", "C", "O")]
    rest = [a for a in own if a.name not in ("N", "C", "O")]
    valine = [replace(a, alternative="A", occupancy=0.3) for a in rest]
    alanine = [replace(a, residue="ALA", alternative="B", occupancy=0.7) for a in rest if a.name in ("CA", "CB")]
    atoms = (*(a for a in base if a.number < 5), *shared, *valine, *alanine, *(a for a in base if a.number > 5))
    partner = read(pdb(atoms))
    assert residues(partner)[4] == "A 5 ALA"
    names = [name for name, k in zip(partner.atom_names, partner.atom_residue, strict=True) if k == 4]
    assert sorted(names) == ["C", "CA", "CB", "N", "O"]
    assert partner.linked.tolist() == [False, *[True] * 11]


def test_one_conformer_is_read_where_occupancies_cross(read):
    """The backbone of A is likelier, and so A's side chain is read although B's is likelier."""
    base = helix(SEQUENCE)
    own = [a for a in base if a.number == 5]
    backbone = {"N", "CA", "C", "O"}
    first = [replace(a, alternative="A", occupancy=0.7 if a.name in backbone else 0.4) for a in own]
    second = [
        replace(a, alternative="B", occupancy=0.3 if a.name in backbone else 0.6, xyz=tuple(x + 0.4 for x in a.xyz))
        for a in own
    ]
    both = [a for pair in zip(first, second, strict=True) for a in pair]
    partner = read(pdb((*(a for a in base if a.number < 5), *both, *(a for a in base if a.number > 5))))
    np.testing.assert_array_equal(partner.coordinates, read(pdb(base)).coordinates)


def test_two_places_without_a_label_are_one_atom_in_the_likelier(read):
    base = helix(SEQUENCE)
    at = next(k for k, a in enumerate(base) if (a.number, a.name) == (5, "CB"))
    here = replace(base[at], occupancy=0.4)
    there = replace(base[at], occupancy=0.6, xyz=tuple(x + 0.5 for x in base[at].xyz))
    partner = read(pdb((*base[:at], here, there, *base[at + 1 :])))
    assert residues(partner) == expected()
    assert partner.coordinates[at].tolist() == pytest.approx(there.xyz)
    assert partner.left_out == ("1 second places of atoms",)


# Elements of modified residues


@pytest.mark.parametrize(
    ("name", "written", "element"),
    [
        # Of the atom's name, where the file has no element or one that a program made of the name.
        *(("CB", written, "C") for written in ("", "X", "ZZ", "C")),
        *((name, name, "C") for name in ("CA", "CD", "CE")),
        ("N", "", "N"),
        # Elements that no standard residue has.
        *(("CB", written, written) for written in ("BR", "CL", "SI", "B")),
        ("SE", "SE", "SE"),
        ("SE", "", "S"),
        ("HG", "HG", "HG"),
        # Hydrogens, which are left out.
        *((name, written, None) for name, written in (("HE1", "HE"), ("HG2", "HG"), ("HO3", "HO"), ("HB", "H"))),
        *((name, "", None) for name in ("HE1", "1HB", "21HB", "D1")),
        ("DB", "D", None),
    ],
)
def test_elements_in_a_modified_residue(read, name, written, element):
    base = renamed(helix("MKTACIAKQRQW"), 5, "MMC", record="HETATM")
    sulphur = next(a for a in base if (a.number, a.name) == (5, "SG"))
    kept = [a for a in base if a.number != 5 or a.name != name]
    added = replace(sulphur, name=name, element=written, xyz=tuple(x + 1.4 for x in sulphur.xyz))
    if name == "CA":
        added = replace(added, xyz=next(a.xyz for a in base if (a.number, a.name) == (5, "CA")))
    at = next(k for k, a in enumerate(kept) if a.number == 6)
    partner = read(pdb((*kept[:at], added, *kept[at:])))
    found = {
        atom: element
        for atom, element, k in zip(partner.atom_names, partner.elements, partner.atom_residue, strict=True)
        if k == 4
    }
    assert found.get(name) == element
    assert {atom for atom in found if atom != name} == {"N", "CA", "C", "O", "CB", "SG"} - {name}


# Bonds that the file does not list one after the other


def test_of_two_residues_that_may_follow_the_nearer_one_does(read):
    """Both of one chain, which ends with the sixth residue; the other stands first in the file."""
    base = helix(SEQUENCE)
    end = np.array(next(a.xyz for a in base if (a.number, a.name) == (6, "C")))
    glycine = helix("G")
    nitrogen = np.array(next(a.xyz for a in glycine if a.name == "N"))
    for way in (end, -end):
        other = moved(glycine, shift=tuple(end + 1.9 * way / np.linalg.norm(end) - nitrogen))
        other = tuple(replace(a, number=20) for a in other)
        blocks = (other, tuple(a for a in base if a.number > 6), tuple(a for a in base if a.number <= 6))
        partner = read(joined(*map(pdb, blocks)))
        assert residues(partner) == ["A 20 GLY", *expected()]
        assert partner.linked.tolist() == [False, False, *[True] * 11]


@pytest.mark.parametrize(("width", "searched"), [(99_999.5, True), (100_000.0, False)])
def test_no_bonds_are_looked_for_in_what_is_too_wide_for_a_chain(read, monkeypatch, width, searched):
    calls = []
    original = reader.pairs_within
    monkeypatch.setattr(reader, "pairs_within", lambda *given: calls.append(1) or original(*given))
    ends = {1: 0.0, 2: width}
    atoms = [replace(a, xyz=(ends[a.number], *a.xyz[1:])) if a.name in ("N", "C") else a for a in helix("GG")]
    with pytest.raises(InputError, match="from the rest"):
        read(mmcif(atoms))
    assert bool(calls) == searched
