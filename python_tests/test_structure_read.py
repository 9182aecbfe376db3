import gzip
import importlib.util
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from synthetic import ALL_TYPES, helix, mmcif, modified, moved, pdb, write

from resblock.errors import InputError
from resblock.structure import Partner, notes, pka, read, read_partner, residue_features

EDGE_CASES = Path(__file__).parent / "edge_cases"

REFUSED = {
    "alpha_trace.pdb": "all-atom structure is needed",
    "empty.pdb": "is empty",
    "header_only.cif": "_atom_site",
    "letters_in_coordinates.pdb": r"line 54: x coordinate .*1\.2O4",
    "letters_in_residue_number.pdb": "line 10: residue number ' 1O '",
    "nan.pdb": "chain A residue ALA 7 atom CB",
    "not_a_structure.pdb": "no ATOM records",
    "not_text.pdb": "not a text file",
    "one_residue.pdb": "only one protein residue .*MET 1",
    "placeholder.pdb": "chain A residue ALA 7 atom CB: lies .*9999",
    "same_chain_twice.pdb": "line 109: chain A residue TRP 1",
    "truncated.cif": "damaged mmCIF",
    "truncated.pdb": "line 41 ends before its coordinates",
    "truncated.pdb.gz": "damaged gzip",
    "twin_atoms.pdb": "chain A residue ALA 7 atom O: lies on atom CB",
    "waters_only.pdb": "no protein residues",
}


def edge(name, chains=None):
    return read_partner(EDGE_CASES / name, chains)


def labels(partner):
    return [residue.label for residue in partner.residues]


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_refused(name):
    with pytest.raises(InputError, match=REFUSED[name]) as caught:
        edge(name)
    message = str(caught.value)
    assert "\n" not in message
    assert name in message


def test_files_table_and_script_agree():
    spec = importlib.util.spec_from_file_location("make", EDGE_CASES / "make.py")
    make = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make)
    made = make.made()
    there = {p.name for p in EDGE_CASES.iterdir() if not p.name.startswith((".", "__"))}
    assert there - {"make.py", "README.md"} == set(made)
    table = re.findall(r"^\| `([^`]+)`", (EDGE_CASES / "README.md").read_text(), re.MULTILINE)
    assert table == sorted(made)
    for name, content in made.items():
        assert (EDGE_CASES / name).read_bytes() == content, name


def test_the_likelier_alternative_location_is_read():
    partner = edge("alternative_locations.pdb")
    atom = next(
        k
        for k, name in enumerate(partner.atom_names)
        if name == "NZ" and partner.residues[partner.atom_residue[k]].number == 2
    )
    assert partner.coordinates[atom] == pytest.approx([9.0, 9.0, 9.0])
    assert partner.atom_names.count("NZ") == 2


def test_a_gap_ends_the_link():
    partner = edge("gap.pdb")
    assert [label for label, linked in zip(labels(partner), partner.linked, strict=True)
            if not linked] == ["1", "7"]  # fmt: skip


def test_author_numbers_in_pdb_and_mmcif():
    expected = ["-2", "-1", "0", "1", "4A", "4B", "4", "5", "6", "7", "8", "9"]
    from_pdb, from_cif = edge("insertion_codes.pdb"), edge("insertion_codes.cif")
    assert labels(from_pdb) == labels(from_cif) == expected
    assert from_cif.chains == ("A",)
    np.testing.assert_array_equal(from_pdb.coordinates, from_cif.coordinates)
    assert from_pdb.digest == from_cif.digest


def test_legacy_columns_and_an_early_end():
    partner = edge("legacy_columns.pdb")
    assert len(partner.residues) == 12
    assert partner.chains == ("",)
    assert set(partner.elements) == {"C", "N", "O", "S"}
    assert edge("legacy_columns.pdb", ["_"]).residues == partner.residues


def test_only_the_chain_itself_is_read():
    partner = edge("ligands_and_waters.pdb")
    assert labels(partner) == [str(k) for k in range(1, 13)]
    assert "H" not in partner.elements


def test_selenomethionine_is_a_methionine():
    residue = edge("selenomethionine.pdb").residues[0]
    assert (residue.name, residue.parent) == ("MSE", "MET")
    assert "SE" in edge("selenomethionine.pdb").elements


def test_the_first_model_is_read():
    assert edge("two_models.pdb").chains == ("A",)


def test_chains_come_in_the_order_asked_for():
    assert edge("two_chains.pdb").chains == ("A", "B")
    assert edge("two_chains.pdb", ["B", "A"]).chains == ("B", "A")
    assert edge("two_chains.pdb", ["B"]).chains == ("B",)
    both = edge("two_chains.pdb")
    assert [k for k, linked in enumerate(both.linked) if not linked] == [0, 12]


@pytest.mark.parametrize(
    ("chains", "message"),
    [
        (["C"], "no protein in chain C; chains with protein: A, B"),
        (["A", "A"], "asked for twice"),
        ([], "no chain was asked for"),
    ],
)
def test_impossible_chains(chains, message):
    with pytest.raises(InputError, match=message):
        edge("two_chains.pdb", chains)


def test_notes_name_what_is_less_reliable():
    assert notes(edge("two_chains.pdb")) == []
    (line,) = notes(edge("missing_side_chains.pdb"))
    assert "7 residues with side-chain atoms missing" in line
    assert "TYR 5" in line
    (line,) = notes(edge("unknown_residues.pdb"))
    assert "1 residue of unknown type" in line
    assert "XYZ 6" in line


def test_missing_file_and_directory(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_partner(tmp_path / "absent.pdb")
    with pytest.raises(InputError, match="is a directory"):
        read_partner(tmp_path)


def test_gzip_and_format_are_told_by_content(tmp_path):
    atoms = helix("ACDEFGHIK")
    wrong_name = tmp_path / "structure.pdb"
    wrong_name.write_bytes(gzip.compress(mmcif(atoms).encode()))
    (tmp_path / "plain.pdb").write_text(pdb(atoms))
    assert read_partner(wrong_name).digest == read_partner(tmp_path / "plain.pdb").digest


def read_or_refuse(path, content):
    """What every input has to lead to: a partner whose features can be had, or one clear line."""
    path.write_bytes(content)
    try:
        partner = read_partner(path)
        table = residue_features(partner)
    except InputError as error:
        refusal = str(error)
    else:
        refusal = None
    if refusal is not None:
        assert "\n" not in refusal
        assert str(path) in refusal
        return
    assert isinstance(partner, Partner)
    assert np.isfinite(table[:, :7]).all()
    assert (table[:, :5] >= 0).all()


TEXTS = {"pdb": pdb(helix("MKTAYC")), "cif": mmcif(helix("MKTAYC"))}
PIECES = ["", " ", "\n", "nan", "-", "9999.000", "HETATM", "TER\n", "END\n", "MODEL        2\n",
          "'", '"', ";", "#", "loop_\n", "A", "0", "-inf", "CA", "é", "1e9"]  # fmt: skip

edits = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 90), st.sampled_from(PIECES)), min_size=1, max_size=4)


@pytest.mark.parametrize("kind", ["pdb", "cif"])
@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(edits=edits)
def test_damaged_text_is_read_or_refused(kind, edits, tmp_path_factory):
    text = TEXTS[kind]
    for where, removed, inserted in edits:
        at = int(where * len(text))
        text = text[:at] + inserted + text[at + removed :]
    read_or_refuse(tmp_path_factory.getbasetemp() / f"damaged.{kind}", text.encode())


@pytest.mark.parametrize("kind", ["pdb", "cif"])
@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(column=st.integers(0, 79), line=st.integers(0, 40), character=st.characters(codec="ascii"))
@example(column=16, line=3, character="B")
@example(column=13, line=3, character="H")
def test_one_wrong_character_is_read_or_refused(kind, column, line, character, tmp_path_factory):
    lines = TEXTS[kind].splitlines()
    at = min(column, len(lines[line]))
    lines[line] = lines[line][:at] + character + lines[line][at + 1 :]
    content = "\n".join(lines).encode()
    read_or_refuse(tmp_path_factory.getbasetemp() / f"character.{kind}", content)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(content=st.binary(max_size=300))
def test_any_bytes_are_refused(content, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "bytes.pdb"
    path.write_bytes(content)
    with pytest.raises(InputError):
        read_partner(path)


@pytest.mark.parametrize("coordinates", [[(0.0, 0.0, 0.0)], [(0.0, 0.0, 0.0), (1.0, 0.0, 0.0), (2.0, 0.0, 0.0)]])
def test_atoms_on_a_point_or_a_line(coordinates, tmp_path):
    """Flat and collinear atoms are no protein, and must not stop the interpreter."""
    atoms = helix("GGG")
    flat = [
        replace(atom, xyz=(coordinates[k % len(coordinates)][0] + k // len(coordinates), 0.0, 0.0))
        for k, atom in enumerate(atoms)
    ]
    read_or_refuse(tmp_path / "flat.pdb", pdb(flat).encode())


def test_all_twenty_types(tmp_path):
    path = tmp_path / "all.pdb"
    path.write_text(pdb(helix(ALL_TYPES)))
    partner = read_partner(path)
    assert len({residue.parent for residue in partner.residues}) == 20
    assert partner.linked.tolist() == [False] + [True] * 19


def test_coordinates_are_those_of_the_file(tmp_path):
    atoms = moved(helix(ALL_TYPES), shift=(612.0, -7.0, 1300.0))
    path = write(tmp_path / "far.pdb", atoms)
    np.testing.assert_array_equal(read_partner(path).coordinates, [atom.xyz for atom in atoms])


def test_more_atoms_than_can_be_handled_are_refused(monkeypatch):
    monkeypatch.setattr(read, "MAX_ATOMS", 100)
    with pytest.raises(InputError, match=r"216 protein atoms, more than the 100 .* chains"):
        edge("two_chains.pdb")


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
    residues = tuple(replace(r, number=r.number + 7, insertion_code="B", name="XXX") for r in base.residues)
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
    assert {name: read.parent_residue(name) for name in names} == names
    assert [read.one_letter(name) for name in ("ALA", "TRP", "UNK")] == ["A", "W", "X"]


def test_blank_chain_names(tmp_path):
    atoms = moved(helix("ACDE"), chain=" ") + moved(helix("ACDE"), shift=(0.0, 20.0, 0.0), chain="B")
    assert made(tmp_path, atoms).chains == ("", "B")
    assert made(tmp_path, atoms, chains=["B", " _ "]).chains == ("B", "")
    with pytest.raises(InputError, match=r"no protein in chain C; chains with protein: _ \(blank\), B"):
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
    text = (Path(read.__file__).parents[2] / "docs" / "features.md").read_text()
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
    """Of the places of one atom the likelier; a field that is no number counts as full."""
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
    with pytest.raises(InputError, match="chain A residue ALA 5A atom N: this chain"):
        made(tmp_path, twice)
