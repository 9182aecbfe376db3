"""Which residues and atoms are read, and where each limit of reading lies, on structures made for it."""

import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from synthetic import helix, mmcif, modified, moved, pdb, write

from resblock.errors import InputError
from resblock.structure import PartnerFeatures, notes, pka, read, read_partner
from resblock.structure.names import one_letter, parent_residue

EDGE_CASES = Path(__file__).parent / "edge_cases"


def edge(name, chains=None):
    return read_partner(EDGE_CASES / name, chains)


def labels(partner):
    return [residue.label for residue in partner.residues]


def made(tmp_path, atoms, **options):
    return read_partner(write(tmp_path / "made.pdb", atoms), **options)


def shifted(atoms, after, by):
    """Residues behind `after` moved along the line from its C to the next N, to make that bond so long."""
    end = next(np.array(a.xyz) for a in atoms if (a.number, a.name) == (after, "C"))
    begin = next(np.array(a.xyz) for a in atoms if (a.number, a.name) == (after + 1, "N"))
    move = (by / np.linalg.norm(begin - end) - 1.0) * (begin - end)
    return tuple(replace(a, xyz=tuple(np.round(np.array(a.xyz) + move, 3))) if a.number > after else a for a in atoms)


@pytest.mark.parametrize(("length", "linked"), [(1.33, True), (1.99, True), (2.01, False)])
def test_a_peptide_bond_is_at_most_two_angstrom_long(tmp_path, length, linked):
    partner = made(tmp_path, shifted(helix("AAAAAA"), 3, length))
    assert partner.linked.tolist() == [False, True, True, linked, True, True]


@pytest.mark.parametrize("missing", ["C", "N"])
@pytest.mark.parametrize(("distance", "linked"), [(4.49, True), (4.51, False)])
def test_without_its_atoms_a_bond_is_told_by_the_alphas(tmp_path, distance, linked, missing):
    alphas = [np.array(a.xyz) for a in helix("AAAAAA") if a.name == "CA"]
    way = (alphas[3] - alphas[2]) * (distance / np.linalg.norm(alphas[3] - alphas[2]) - 1.0)
    atoms = [
        replace(a, xyz=tuple(np.round(np.array(a.xyz) + way, 4))) if a.number > 3 else a
        for a in helix("AAAAAA")
        if (a.number, a.name) != ((3, "C") if missing == "C" else (4, "N"))
    ]
    assert made(tmp_path, atoms).linked[3] == linked


@pytest.mark.parametrize("place", [1, 3, 6])
def test_a_modified_residue_is_kept_where_the_chain_runs_through_it(tmp_path, place):
    atoms = [replace(a, record="HETATM", residue="SEP") if a.number == place else a for a in helix("ASSASS")]
    residue = made(tmp_path, atoms).residues[place - 1]
    assert (residue.name, residue.parent, residue.number) == ("SEP", "SER", place)


def test_a_free_amino_acid_is_a_ligand(tmp_path):
    free = moved([replace(a, record="HETATM", number=9) for a in helix("G")], shift=(0.0, 30.0, 0.0))
    assert labels(made(tmp_path, helix("AAAAAA") + free)) == ["1", "2", "3", "4", "5", "6"]


def test_a_residue_without_alpha_is_left_out(tmp_path):
    atoms = [a for a in helix("AAAAAA") if (a.number, a.name) != (4, "CA")]
    partner = made(tmp_path, atoms)
    assert labels(partner) == ["1", "2", "3", "5", "6"]
    assert partner.linked.tolist() == [False, True, True, False, True]


@pytest.mark.parametrize(("first", "second", "read_as"), [(0.3, 0.7, "CYS"), (0.7, 0.3, "SER"), (0.5, 0.5, "SER")])
def test_of_two_types_in_one_place_the_likelier_is_read(tmp_path, first, second, read_as):
    atoms = []
    for atom in helix("AASAA"):
        atoms.append(replace(atom, alternative="A", occupancy=first) if atom.number == 3 else atom)
    there = moved([a for a in helix("AACAA") if a.number == 3], shift=(0.2, 0.2, 0.2))
    at = next(k for k, a in enumerate(atoms) if a.number == 4)
    atoms[at:at] = [replace(a, alternative="B", occupancy=second) for a in there]
    partner = made(tmp_path, atoms)
    assert [r.name for r in partner.residues] == ["ALA", "ALA", read_as, "ALA", "ALA"]
    assert partner.linked.tolist() == [False, True, True, True, True]


def test_elements_are_told_by_the_name_where_the_column_cannot_be_one(tmp_path):
    lines = pdb(helix("AMKA")).splitlines()
    blank = [line[:76] if line.startswith("ATOM") else line for line in lines]
    metal = [line[:76] + "CA" if line[12:16] == " CA " else line for line in lines]
    digits = [line[:76] + "01" if line.startswith("ATOM") else line for line in lines]
    (tmp_path / "plain.pdb").write_text("\n".join(lines))
    expected = read_partner(tmp_path / "plain.pdb").elements
    assert set(expected) == {"C", "N", "O", "S"}
    for k, text in enumerate((blank, metal, digits)):
        (tmp_path / f"{k}.pdb").write_text("\n".join(text))
        assert read_partner(tmp_path / f"{k}.pdb").elements == expected


def test_hydrogen_and_deuterium_are_left_out(tmp_path):
    light = [replace(a, name=name, element=element, xyz=(a.xyz[0], a.xyz[1] + 1.0, a.xyz[2]))
             for a in helix("AAAA") if a.name == "N" for name, element in (("H", "H"), ("D", "D"))]  # fmt: skip
    light = [replace(a, xyz=(a.xyz[0] + (a.name == "D") * 0.5, *a.xyz[1:])) for a in light]
    atoms = sorted([*helix("AAAA"), *light], key=lambda a: a.number)
    assert made(tmp_path, atoms).digest == made(tmp_path, helix("AAAA")).digest


def test_an_occupancy_that_is_none_counts_as_full(tmp_path):
    atoms = helix("AAAA")
    text = "\n".join(
        line[:54] + "      " + line[60:] if line.startswith("ATOM") else line for line in pdb(atoms).splitlines()
    )
    (tmp_path / "blank.pdb").write_text(text)
    assert read_partner(tmp_path / "blank.pdb").digest == made(tmp_path, atoms).digest


def test_more_decimals_than_three_are_kept(tmp_path):
    text = mmcif(helix("AAAA"))
    x = f"{helix('AAAA')[0].xyz[0]:.3f}"
    (tmp_path / "fine.cif").write_text(text.replace(f" {x} ", f" {float(x) + 0.00042:.5f} ", 1))
    partner = read_partner(tmp_path / "fine.cif")
    assert partner.coordinates[0, 0] == pytest.approx(float(x) + 0.00042, abs=2e-7)
    assert partner.coordinates[1, 0] == helix("AAAA")[1].xyz[0]


@pytest.mark.parametrize(("apart", "refused"), [(0.08, True), (0.12, False)])
def test_atoms_closer_than_a_tenth_of_an_angstrom_are_one_atom(tmp_path, apart, refused):
    atoms = list(helix("AAAAA"))
    beta, oxygen = (next(k for k, a in enumerate(atoms) if (a.number, a.name) == (3, n)) for n in ("CB", "O"))
    x, y, z = atoms[beta].xyz
    atoms[oxygen] = replace(atoms[oxygen], xyz=(x + apart, y, z))
    if refused:
        with pytest.raises(InputError, match=r"ALA 3 atom .* lies on atom"):
            made(tmp_path, atoms)
    else:
        assert len(made(tmp_path, atoms).residues) == 5


@pytest.mark.parametrize(("away", "refused"), [(1990.0, False), (2010.0, True)])
def test_nothing_lies_two_thousand_angstrom_from_the_rest(tmp_path, away, refused):
    atoms = list(helix("AAAAAAAA"))
    centre = np.median([a.xyz for a in atoms], axis=0)
    atoms[-1] = replace(atoms[-1], xyz=(*(np.round(centre[:2], 3)), round(centre[2] + away, 3)))
    if refused:
        with pytest.raises(InputError, match="from the rest"):
            made(tmp_path, atoms)
    else:
        assert made(tmp_path, atoms).coordinates[-1, 2] > 1900


@pytest.mark.parametrize(("whole", "refused"), [(3, False), (2, True)])
@pytest.mark.parametrize("missing", ["N", "C"])
def test_half_of_the_residues_need_a_backbone(tmp_path, whole, refused, missing):
    atoms = [a for a in helix("AAAAAA") if a.number <= whole or a.name != missing]
    if refused:
        with pytest.raises(InputError, match="lack backbone atoms"):
            made(tmp_path, atoms)
    else:
        assert len(made(tmp_path, atoms).residues) == 6


def test_two_residues_are_enough(tmp_path):
    assert len(made(tmp_path, helix("AC")).residues) == 2


def test_the_digest_is_of_what_features_depend_on(tmp_path):
    base = made(tmp_path, helix("AMKA"))
    residues = tuple(replace(r, number=r.number + 7, insertion_code="B", name="NEW") for r in base.residues)
    assert replace(base, path="elsewhere", residues=residues).digest == base.digest
    first, *rest = base.residues
    others = [
        replace(base, residues=(replace(first, chain="B"), *rest)),
        replace(base, residues=(replace(first, parent="GLY"), *rest)),
        replace(base, atom_names=("X", *base.atom_names[1:])),
        replace(base, elements=("X", *base.elements[1:])),
        replace(base, coordinates=base.coordinates + 1e-6),
        replace(base, atom_residue=np.roll(base.atom_residue, 1)),
        replace(base, linked=~base.linked),
    ]
    assert len({base.digest, *(other.digest for other in others)}) == 8


def test_a_residue_says_where_it_is():
    residue = edge("insertion_codes.pdb").residues[4]
    assert str(residue) == f"chain A residue {residue.name} 4A"
    assert str(edge("legacy_columns.pdb").residues[0]).startswith("chain (blank) residue ")


def test_parents_and_letters():
    names = {"MSE": "MET", "SEP": "SER", "HYP": "PRO", "ALA": "ALA", "XYZ": "UNK", "HOH": "UNK"}
    assert {name: parent_residue(name) for name in names} == names
    assert [one_letter(name) for name in ("ALA", "TRP", "UNK")] == ["A", "W", "X"]


def test_blank_chain_names(tmp_path):
    atoms = moved(helix("ACDE"), chain=" ") + moved(helix("ACDE"), shift=(0.0, 20.0, 0.0), chain="B")
    assert made(tmp_path, atoms).chains == ("", "B")
    assert made(tmp_path, atoms, chains=["B", " _ "]).chains == ("B", "")
    with pytest.raises(InputError, match=r"no protein in chain C; chains with protein: _ \(blank\) \(4 residues\), B"):
        made(tmp_path, atoms, chains=["C"])


def test_notes_are_cut_after_three_and_name_large_partners(tmp_path, monkeypatch):
    cut = [a for a in helix("KKKKKAAA") if a.residue == "ALA" or a.name in ("N", "CA", "C", "O", "CB")]
    (line,) = notes(made(tmp_path, cut))
    assert "5 residues with side-chain atoms missing" in line
    assert line.endswith("(chain A residue LYS 1, chain A residue LYS 2, chain A residue LYS 3, ...)")
    three = [a for a in cut if a.number not in (4, 5)]
    assert notes(made(tmp_path, three))[0].endswith("chain A residue LYS 3)")
    whole = made(tmp_path, helix("AAAA"))
    monkeypatch.setattr(pka, "MAX_RESIDUES", 4)
    assert notes(whole) == []
    monkeypatch.setattr(pka, "MAX_RESIDUES", 3)
    assert "4 residues, more than 3: model pKa" in notes(whole)[0]


def test_comments_before_mmcif_and_lower_case_records(tmp_path):
    (tmp_path / "a.cif").write_text("# made\n\n" + mmcif(helix("ACDE")))
    (tmp_path / "b.pdb").write_text(pdb(helix("ACDE")).replace("ATOM  ", "atom  "))
    assert read_partner(tmp_path / "a.cif").digest == read_partner(tmp_path / "b.pdb").digest


def test_a_line_may_end_with_its_coordinates(tmp_path):
    (tmp_path / "short.pdb").write_text("\n".join(line[:54] for line in pdb(helix("ACDE")).splitlines()))
    assert read_partner(tmp_path / "short.pdb").digest == made(tmp_path, helix("ACDE")).digest


def test_a_ligand_amid_the_chain_ends_nothing(tmp_path):
    chain = helix("AAAAAA")
    free = moved([replace(a, record="HETATM", number=9) for a in helix("G")], shift=(0.0, 30.0, 0.0))
    atoms = (*(a for a in chain if a.number <= 3), *free, *(a for a in chain if a.number > 3))
    assert labels(made(tmp_path, atoms)) == ["1", "2", "3", "4", "5", "6"]


def test_a_modified_residue_lacks_nothing(tmp_path):
    """Its atoms are not those of its parent: selenomethionine has no SD."""
    atoms = modified(helix("AMAA"), 2, "MSE", SD=("SE", "SE"))
    assert notes(made(tmp_path, atoms)) == []


def test_limits_are_those_of_the_documentation():
    text = (Path(__file__).parents[1] / "docs" / "features.md").read_text()
    assert f"more than {pka.MAX_RESIDUES:,} residues" in text
    assert read.MAX_ATOMS == 250_000


@pytest.mark.parametrize(("axis", "start"), [("x", 30), ("y", 38), ("z", 46)])
@pytest.mark.parametrize("place", [0, 7])
def test_a_letter_in_any_column_of_a_coordinate_is_refused(tmp_path, axis, start, place):
    lines = pdb(helix("ACDE")).splitlines()
    lines[2] = lines[2][: start + place] + "O" + lines[2][start + place + 1 :]
    (tmp_path / "letter.pdb").write_text("\n".join(lines))
    with pytest.raises(InputError, match=rf"line 3: {axis} coordinate .* \(columns {start + 1}-{start + 8}\)"):
        read_partner(tmp_path / "letter.pdb")


@pytest.mark.parametrize("place", [22, 25])
def test_a_letter_in_any_column_of_a_residue_number_is_refused(tmp_path, place):
    lines = pdb(helix("ACDE")).splitlines()
    lines[2] = lines[2][:place] + "O" + lines[2][place + 1 :]
    (tmp_path / "letter.pdb").write_text("\n".join(lines))
    with pytest.raises(InputError, match="line 3: residue number"):
        read_partner(tmp_path / "letter.pdb")


def test_wide_numbers_are_read(tmp_path):
    atoms = tuple(replace(a, number=a.number - 999) for a in moved(helix("ACDE"), shift=(-911.0, -922.0, -933.0)))
    partner = made(tmp_path, atoms)
    assert labels(partner) == ["-998", "-997", "-996", "-995"]
    np.testing.assert_array_equal(partner.coordinates, [a.xyz for a in atoms])


def test_occupancies_decide_to_the_second_decimal(tmp_path):
    """The likelier place of one atom is read; a field that is no number counts as full."""
    base = helix("AAKAA")
    nz = next(k for k, a in enumerate(base) if a.name == "NZ")
    for first, second, taken in ((0.49, 0.51, 1), (0.51, 0.49, 0)):
        there = replace(base[nz], alternative="B", occupancy=second, xyz=(9.0, 9.0, 9.0))
        here = replace(base[nz], alternative="A", occupancy=first)
        partner = made(tmp_path, (*base[:nz], here, there, *base[nz + 1 :]))
        assert (partner.coordinates[nz, 0] == 9.0) == bool(taken)


def test_insertion_codes_and_numbers_tell_residues_apart(tmp_path):
    """The same atom names under 5, 5A and 6 are three residues; twice under 5A they are refused."""
    atoms = tuple(replace(a, number=5, insertion_code="A") if a.number == 6 else a for a in helix("AAAAAAA"))
    assert labels(made(tmp_path, atoms)) == ["1", "2", "3", "4", "5", "5A", "7"]
    twice = tuple(replace(a, number=5, insertion_code="A") if a.number == 7 else a for a in atoms)
    with pytest.raises(InputError, match="chain A residue ALA 5A atom CA: this chain"):
        made(tmp_path, twice)


# What no protein looks like


@pytest.mark.parametrize("shift", [0.3, 0.9])
def test_chains_that_lie_on_one_another_are_refused(tmp_path, shift):
    base = helix("MKTAYIAKQRQISF")
    atoms = base + moved(base, shift=(shift, 0.0, 0.0), chain="B")
    with pytest.raises(InputError, match=r"chains A and B lie on one another .*; choose one"):
        made(tmp_path, atoms)
    assert len(read_partner(tmp_path / "made.pdb", ["B"])) == 14


def test_a_few_clashes_are_no_copies(tmp_path):
    """A helix across another meets it in one residue."""
    base = helix("MKTAYIAKQRQISF")
    across = moved(base, rotation=np.array([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]]), chain="B")
    here, there = (next(np.array(a.xyz) for a in atoms if a.name == "CA" and a.number == 7) for atoms in (base, across))
    shifted = moved(across, shift=tuple(here - there + 0.5))
    assert made(tmp_path, base + shifted).chains == ("A", "B")


@pytest.mark.parametrize("name", ['X"+1+"', "A;B", "A\\B", "\x07", "\N{LATIN SMALL LETTER E WITH ACUTE}"])
@pytest.mark.parametrize("field", ["chain", "residue"])
def test_names_have_an_alphabet(tmp_path, field, name):
    text = mmcif([replace(atom, **{field: "QQQ"}) if atom.number == 2 else atom for atom in helix("AAAA")])
    (tmp_path / "odd.cif").write_text(text.replace("QQQ", f"'{name}'"), encoding="utf-8")
    with pytest.raises(InputError, match=rf"odd\.cif: ({field} name .* has signs that no name has|damaged mmCIF file)"):
        read_partner(tmp_path / "odd.cif")


@pytest.mark.parametrize("name", ["C;1", "C 1", "\N{GREEK SMALL LETTER ALPHA}1"])
def test_names_of_atoms_have_an_alphabet(tmp_path, name):
    text = mmcif(
        [replace(atom, name="QQQ") if (atom.number, atom.name) == (2, "CB") else atom for atom in helix("AAAA")]
    )
    (tmp_path / "odd.cif").write_text(text.replace("QQQ", f"'{name}'"), encoding="utf-8")
    with pytest.raises(InputError, match=r"odd\.cif: atom name .* has signs that no name has; rename it"):
        read_partner(tmp_path / "odd.cif")


def test_a_chain_without_a_residue_is_none_of_protein(tmp_path):
    """What has an alpha carbon and a nitrogen, and no carbonyl carbon, is something else unless its name is known."""
    other = [replace(a, residue="LIG", record="HETATM", chain="X") for a in helix("A") if a.name in ("N", "CA")]
    far = moved(other, shift=(0.0, 40.0, 0.0))
    with pytest.raises(InputError, match=r"no protein in chain X; chains with protein: A \(4 residues\)$"):
        made(tmp_path, helix("AAAA") + far, chains=["X"])


def test_coordinates_in_another_unit_are_refused_by_name(tmp_path, cache):
    far = [replace(atom, xyz=tuple(30.0 * x for x in atom.xyz)) for atom in helix("MKTAYIAK")]
    with pytest.raises(InputError, match=r"made\.pdb: .* are the coordinates in Angstrom\?"):
        PartnerFeatures.of(made(tmp_path, far))


@pytest.mark.parametrize("written", ["   nan", "   inf", "  -inf"])
def test_an_occupancy_that_is_no_number_is_refused(tmp_path, written):
    lines = pdb(helix("AAAA")).splitlines()
    (tmp_path / "odd.pdb").write_text("\n".join(line[:54] + written + line[60:] for line in lines))
    with pytest.raises(InputError, match=rf"odd\.pdb: line 1: occupancy '{written}' \(columns 55-60\) is not a number"):
        read_partner(tmp_path / "odd.pdb")


@pytest.mark.parametrize("text", [pdb, mmcif])
def test_a_byte_order_mark_is_no_part_of_the_first_line(tmp_path, text):
    (tmp_path / "marked").write_text(text(helix("AAAA")), encoding="utf-8-sig")
    (tmp_path / "plain").write_text(text(helix("AAAA")), encoding="utf-8")
    assert read_partner(tmp_path / "marked").digest == read_partner(tmp_path / "plain").digest


def test_other_encodings_and_archives_say_what_to_do(tmp_path):
    (tmp_path / "wide.pdb").write_text(pdb(helix("AAAA")), encoding="utf-16")
    with pytest.raises(InputError, match=r"wide\.pdb: text in UTF-16; save it in UTF-8"):
        read_partner(tmp_path / "wide.pdb")
    with zipfile.ZipFile(tmp_path / "packed.zip", "w") as archive:
        archive.writestr("x.pdb", pdb(helix("AAAA")))
    with pytest.raises(InputError, match=r"packed\.zip: a zip archive; unpack it"):
        read_partner(tmp_path / "packed.zip")
