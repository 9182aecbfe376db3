"""Structure files as people have them: what is read of them, and how the others are refused."""

import gzip
import importlib.util
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from synthetic import ALL_TYPES, helix, mmcif, moved, pdb, write

from resblock.errors import InputError
from resblock.structure import Partner, notes, read, read_partner, residue_features

EDGE_CASES = Path(__file__).parent / "edge_cases"

REFUSED = {
    "alpha_trace.pdb": "all-atom structure is needed",
    "empty.pdb": "is empty",
    "header_only.cif": "_atom_site",
    "letters_in_coordinates.pdb": r"line 54: x coordinate .*1\.2O4",
    "letters_in_residue_number.pdb": "line 10: residue number ' 1O '",
    "nan.pdb": "line 54: x coordinate .* is not a number",
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


def test_copies_in_other_places_are_one_assembly():
    partner = edge("two_models.pdb")
    assert partner.chains == ("A", "B")
    assert partner.remarks == ("models 1 to 2 are copies in other places: one assembly",)


def test_chains_come_in_the_order_asked_for():
    assert edge("two_chains.pdb").chains == ("A", "B")
    assert edge("two_chains.pdb", ["B", "A"]).chains == ("B", "A")
    assert edge("two_chains.pdb", ["B"]).chains == ("B",)
    both = edge("two_chains.pdb")
    assert [k for k, linked in enumerate(both.linked) if not linked] == [0, 12]


@pytest.mark.parametrize(
    ("chains", "message"),
    [
        (["C"], "no protein in chain C; chains with protein: A \\(12 residues\\), B \\(12 residues\\)"),
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
