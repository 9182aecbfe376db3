"""The files of a prediction: read back, they say what was predicted, under the author's numbers."""

import ast
import csv
import io
import os
import re
import shutil
import subprocess

import numpy as np
import pytest
from Bio.PDB import MMCIFParser, PDBParser
from hypothesis import given, settings
from hypothesis import strategies as st
from made_results import LIGAND, LIGAND_SCORES, RANKED, RECEPTOR, RECEPTOR_SCORES, partner, results
from rich.console import Console

from resblock.errors import InputError
from resblock.pairs.tables import RankedPair
from resblock.report import pairs_table, write_report, write_scored_structure
from resblock.report.tables import PAIR_COLUMNS, table, write_csv
from resblock.report.viewers import chimerax_string, pymol_string
from resblock.structure import Residue, read_partner


@pytest.fixture
def report(tmp_path):
    paths = write_report(tmp_path, results(), shown=3)
    assert sorted(paths) == sorted(tmp_path.iterdir())
    return tmp_path


def biopython_residues(path):
    parser = MMCIFParser(QUIET=True) if path.suffix == ".cif" else PDBParser(QUIET=True)
    structure = parser.get_structure("scored", path)
    assert len(structure) == 1
    return list(structure.get_residues())


# --- pairs.csv and the table


def test_csv_has_the_documented_columns_and_every_pair(report):
    text = (report / "pairs.csv").read_text()
    assert text.splitlines()[:2] == [
        "rank,score,receptor_chain,receptor_residue,receptor_name,ligand_chain,ligand_residue,ligand_name",
        "1,1,,52A,MSE,B,7B,MSE",
    ]
    assert len(text.splitlines()) == 1 + len(RANKED)


@given(
    scores=st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1),
    chain=st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=4),
    number=st.integers(-999, 99999),
    insertion_code=st.sampled_from(["", "A", "z"]),
)
@settings(max_examples=50, deadline=None)
def test_csv_gives_back_scores_and_residues(tmp_path_factory, scores, chain, number, insertion_code):
    residue = Residue(chain, number, insertion_code, "ALA", "ALA")
    ranked = [RankedPair(k, s, residue, LIGAND.residues[0]) for k, s in enumerate(scores, start=1)]
    path = tmp_path_factory.mktemp("csv") / "pairs.csv"
    write_csv(path, *table(results(ranked, receptor=partner("x.cif", [residue]), of_receptor=[1.0]), "pairs"))
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == PAIR_COLUMNS
    assert [int(row["rank"]) for row in rows] == [p.rank for p in ranked]
    assert [np.float32(row["score"]) for row in rows] == [np.float32(s) for s in scores]
    assert {row["receptor_chain"] for row in rows} == {chain}
    assert {row["receptor_residue"] for row in rows} == {f"{number}{insertion_code}"}


def test_residues_csv_has_the_documented_columns(report):
    lines = (report / "residues.csv").read_text().splitlines()
    assert lines[0] == (
        "partner,chain,residue,name,probability,rank,marked,patch,accessible_area,best_score,plddt,glycan"
    )
    assert lines[4] == "receptor,,52A,MSE,1,1,yes,1,10,1,,no"
    assert lines[1] == "receptor,,-5,GLY,0,,no,,10,0,,no"
    assert len(lines) == 1 + len(RECEPTOR) + len(LIGAND)


def test_what_is_true_has_columns_of_its_own():
    known = results(truth=np.zeros((6, 5), dtype=bool))
    assert table(known, "pairs")[0][-1] == "touches"
    assert table(known, "residues")[0][-1] == "in_interface"
    assert {row[-1] for row in table(known, "residues")[1]} == {False}
    with pytest.raises(InputError, match="choose pairs, residues or patches"):
        table(known, "nothing")


def test_table_shows_the_first_pairs_only():
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(pairs_table(RANKED, top=2))
    text = console.export_text()
    assert "MSE 52A" in text
    assert "B MSE 7B" in text
    assert "LEU 52" in text
    assert "ARG" not in text


# --- the scored structures


@pytest.mark.parametrize(
    ("name", "source", "scores"),
    [("receptor.pdb", RECEPTOR, RECEPTOR_SCORES), ("ligand.cif", LIGAND, LIGAND_SCORES)],
)
def test_scored_structure_keeps_numbers_and_holds_scores(report, name, source, scores):
    found = biopython_residues(report / name)
    assert [(r.parent.id.strip(), r.id[1], r.id[2].strip(), r.resname) for r in found] == [
        (r.chain, r.number, r.insertion_code, r.name) for r in source.residues
    ]
    assert [r.id[0] for r in found] == [" " if r.name == r.parent else f"H_{r.name}" for r in source.residues]
    atoms = [atom for residue in found for atom in residue]
    assert tuple(a.id for a in atoms) == source.atom_names
    assert tuple(a.element for a in atoms) == source.elements
    np.testing.assert_allclose([a.coord for a in atoms], source.coordinates, atol=6e-4)
    np.testing.assert_allclose([a.bfactor for a in atoms], 100 * scores[source.atom_residue], atol=6e-3)


@pytest.mark.parametrize("name", ["receptor.pdb", "ligand.cif"])
def test_scored_structure_says_what_its_b_factor_is(report, name):
    text = (report / name).read_text()
    assert "100 X THE PROBABILITY" in text
    if name.endswith(".pdb"):
        assert all(len(line.rstrip()) <= 80 for line in text.splitlines())
    else:
        assert "_pdbx_database_remark.text" in text


@pytest.mark.parametrize("name", ["receptor.pdb", "ligand.cif"])
def test_scored_structure_can_be_predicted_on_again(report, name):
    source = RECEPTOR if name.startswith("receptor") else LIGAND
    again = read_partner(report / name)
    assert again.residues == source.residues
    assert again.atom_names == source.atom_names


def test_gap_is_left_out_of_the_mmcif_numbering(report):
    found = MMCIFParser(QUIET=True, auth_residues=False).get_structure("x", report / "ligand.cif")
    rows = [
        line.split() for line in (report / "ligand.cif").read_text().splitlines() if line.startswith(("ATOM", "HETATM"))
    ]
    sequence_ids = list(dict.fromkeys(int(row[8]) for row in rows))
    assert sequence_ids == [2, 3, 5, 7, 8]
    assert len(found[0]) == 2


def test_large_structures_fit_the_columns_of_a_pdb_file(tmp_path):
    count = 33_400  # 100,200 atoms
    residues = [Residue("ABCD"[k // 9000], k % 9000, "", "ALA", "ALA") for k in range(count)]
    big = partner("big.pdb", residues)
    big.coordinates[:, 0] %= 900.0
    write_scored_structure(tmp_path / "big.pdb", big, np.zeros(count))
    lines = (tmp_path / "big.pdb").read_text().splitlines()
    atoms = [line for line in lines if line.startswith("ATOM")]
    assert len(atoms) == 3 * count
    assert {len(line) for line in atoms} == {80}
    assert [int(line[6:11]) for line in (atoms[99_998], atoms[99_999])] == [99_999, 0]


def test_scores_of_another_partner_are_refused(tmp_path):
    with pytest.raises(ValueError, match="5 probabilities for 6 residues"):
        write_scored_structure(tmp_path / "x.pdb", RECEPTOR, LIGAND_SCORES)


# --- the viewers


def test_pymol_script_selects_the_residues(report):
    text = (report / "view.pml").read_text()
    assert "load receptor.pdb, receptor\n" in text
    assert "load ligand.cif, ligand\n" in text
    pairs = re.findall(r"^select (pair_\d+), (.*)$", text, flags=re.MULTILINE)
    assert pairs == [
        (
            "pair_1",
            '(receptor and chain "" and resi 52A) or (ligand and chain "B" and resi 7B)',
        ),
        ("pair_2", '(receptor and chain "" and resi 52) or (ligand and chain "B" and resi 1)'),
        (
            "pair_3",
            '(receptor and chain "" and resi \\-5) or (ligand and chain "B" and resi 7B)',
        ),
    ]
    # A residue of two pairs is shown once, with the colour of the better and both ranks.
    assert text.count('show sticks, (ligand and chain "B" and resi 7B)') == 1
    assert 'color 0xb2182b, (ligand and chain "B" and resi 7B)' in text
    assert 'and name CA, "MSE 7B (1, 3)"' in text
    assert "resi 12346" not in text  # rank 4 is not among the shown


def test_chimerax_script_selects_the_residues(report):
    text = (report / "view.cxc").read_text()
    assert "open receptor.pdb id 1" in text
    assert "open ligand.cif id 2" in text
    pairs = re.findall(r"^name (pair_\d+) (.*)$", text, flags=re.MULTILINE)
    assert pairs == [
        # A blank chain has no name in ChimeraX: the atoms' numbers.
        ("pair_1", "(#1@@serial_number>=10 & #1@@serial_number<=12) | #2/B:7B"),
        ("pair_2", "(#1@@serial_number>=7 & #1@@serial_number<=9) | #2/B:1"),
        ("pair_3", "(#1@@serial_number>=1 & #1@@serial_number<=3) | #2/B:7B"),
    ]
    assert text.count("show #2/B:7B atoms") == 1
    assert "color #2/B:7B #b2182b" in text
    assert 'label #2/B:7B residues text "MSE 7B (1, 3)"' in text


@pytest.mark.parametrize("script", ["view.pml", "view.cxc"])
def test_scripts_colour_by_rank_and_explain_themselves(report, script):
    text = (report / script).read_text()
    colours = re.findall(r"(?:0x|#)([0-9a-f]{6})\b", text)
    assert colours[:2] == ["9eb8d6", "b3d1a8"]
    assert set(colours[2:]) == {"b2182b", "d8743a", "fdd049"}  # first, half way, last
    comments = [line for line in text.splitlines() if line.startswith("#")]
    for word in ("receptor", "ligand", "rank 1", "B-factor", "pairs.csv"):
        assert any(word in comment for comment in comments)
    assert str(report) not in text  # the directory can be moved


@pytest.mark.parametrize("script", ["view.pml", "view.cxc"])
def test_partners_are_put_side_by_side(report, script):
    text = (report / script).read_text()
    (numbers,) = re.findall(r"^(?:translate \[|move )([-\d., ]+)", text, flags=re.MULTILINE)
    shift = np.array([float(number) for number in numbers.split(",")])
    moved = LIGAND.coordinates + shift
    gap = moved[:, 0].min() - RECEPTOR.coordinates[:, 0].max()
    assert gap == pytest.approx(15.0, abs=0.01)


def test_one_pair_alone_can_be_shown(tmp_path):
    write_report(tmp_path, results(RANKED[:1]))
    assert "0xb2182b" in (tmp_path / "view.pml").read_text()


def test_table_shows_brackets_as_they_are():
    """Rich takes words in brackets for styles."""
    console, residue = Console(width=100, record=True, file=io.StringIO()), Residue("[red]", 1, "", "GLY", "GLY")
    console.print(pairs_table([RankedPair(1, 0.5, residue, LIGAND.residues[0])]))
    assert "[red] GLY 1" in console.export_text()


EVIL = 'X"+str(open("INJECTED","w"))+"'


@pytest.mark.parametrize(
    ("chain", "name"), [("A", EVIL), (EVIL, "ALA"), ("A\nquit\n", "ALA"), ("A;quit", "ALA"), ("A-2", "ALA")]
)
def test_names_run_nothing_in_pymol_and_select_one_residue(tmp_path, chain, name):
    residues = [Residue(chain, 1, "", name, "ALA"), Residue("A", 1, "", "GLY", "GLY")]
    odd = partner("odd.cif", residues, linked=[False, False])
    pairs = [RankedPair(1, 0.5, odd.residues[0], LIGAND.residues[0])]
    write_report(tmp_path, results(pairs, receptor=odd, of_receptor=np.zeros(2)))
    for script in ("view.pml", "view.cxc"):
        text = (tmp_path / script).read_text()
        assert '"+str(' not in text
        assert ";quit" not in text
        assert "\nquit" not in text
    plain = chain == "A"
    assert ("(receptor and id 1-3)" in (tmp_path / "view.pml").read_text()) != plain
    assert ("(#1@@serial_number>=1 & #1@@serial_number<=3)" in (tmp_path / "view.cxc").read_text()) != plain
    pymol = shutil.which("pymol")
    if pymol is None:
        return
    # What PyMOL itself makes of it: the script runs to its end, and selects the residue alone.
    with (tmp_path / "view.pml").open("a") as script:
        script.write("select chosen, pair_1 and receptor\npython\ncmd.save('chosen.pdb', 'chosen')\npython end\n")
    # With the system's own Python, for which it was made.
    environment = {"PATH": os.defpath, "HOME": str(tmp_path)}
    command = [pymol, "-cq", "view.pml"]
    subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True, timeout=120)
    assert not (tmp_path / "INJECTED").exists()
    if not set(chain + name) & set('\n";'):  # a file that holds these is another than was meant
        assert len(biopython_residues(tmp_path / "chosen.pdb")) == (2 if plain else 1)


@pytest.mark.parametrize("quote", [pymol_string, chimerax_string])
@given(text=st.text())
def test_a_quoted_text_is_one_word_of_its_language(quote, text):
    quoted = quote(text)
    assert quoted[0] == quoted[-1] == '"'
    assert len(quoted) == len(text) + 2
    assert not set(quoted[1:-1]) & set('"\\;\n\r#$%`{}[]<>|&')
    assert ast.literal_eval(quoted) == quoted[1:-1]
    kept = "MSE 52A (1, 3)"
    assert quote(kept) == f'"{kept}"'
