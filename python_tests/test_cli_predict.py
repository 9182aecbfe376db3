"""`resblock predict` as a user meets it: its files, and what it refuses or leaves alone."""

import csv
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from command_line import assert_refused, contents
from synthetic import helix, moved, pdb, with_b_factors, write

import resblock
from resblock.cli.directory import written_whole
from resblock.report.tables import PAIR_COLUMNS

EXAMPLE = Path(resblock.__file__).parent / "example"
EDGE_CASES = Path(__file__).parent / "edge_cases"
SEQUENCE = "MKALEKWFHRDELVQKIS"


def test_the_example_end_to_end(run, tmp_path):
    out = tmp_path / "deep" / "out"
    status, text, err = run("predict", "--example", "--out", out)
    assert (status, err) == (0, "")
    assert {p.name for p in out.iterdir()} == {
        "pairs.csv", "residues.csv", "patches.csv", "receptor.pdb", "ligand.cif", "view.pml", "view.cxc",
        "summary.json", "log_odds.safetensors", "report.html", "view.mvsj",
    }  # fmt: skip
    with (out / "pairs.csv").open() as file:
        rows = list(csv.reader(file))
    assert tuple(rows[0]) == PAIR_COLUMNS
    assert [row[0] for row in rows[1:]] == [str(k) for k in range(1, len(rows))]
    scores = [float(row[1]) for row in rows[1:]]
    assert scores == sorted(scores, reverse=True)
    for rank in range(1, 11):
        assert f"{scores[rank - 1]:.4f}" in text
    assert "receptor: receptor.pdb, model 1 of 1, chain A (33 residues)\n" in text
    for stage in ("loading", "reading", "features", "scoring", "ranking", "writing"):
        assert stage in text
    assert [p.name for p in out.parent.iterdir()] == ["out"]


def test_top_limits_the_table_on_disk(run, tmp_path):
    status, text, _ = run("predict", "--example", "--out", tmp_path / "out", "--top", "3")
    assert status == 0
    assert len((tmp_path / "out" / "pairs.csv").read_text().splitlines()) == 4
    assert "3 of 1089 pairs" in text


def test_the_same_files_every_time(run, tmp_path):
    for name in ("one", "two"):
        assert run("predict", "--example", "--out", tmp_path / name)[0] == 0
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_chains_of_either_partner(run, tmp_path):
    two = EDGE_CASES / "two_chains.pdb"
    chosen = ("--receptor-chains", "A", "--ligand-chains", "B")
    status, _, _ = run("predict", two, two, "--out", tmp_path / "out", *chosen)
    assert status == 0
    with (tmp_path / "out" / "pairs.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {(row["receptor_chain"], row["ligand_chain"]) for row in rows} == {("A", "B")}
    assert_refused(run("predict", two, two, "--out", tmp_path / "o", "--ligand-chains", "A,X"), two, "X", "A (", "B (")


def test_remarks_go_to_stderr(run, tmp_path):
    status, _, err = run(
        "predict", EDGE_CASES / "unknown_residues.pdb", EXAMPLE / "ligand.cif", "--out", tmp_path / "o"
    )
    assert status == 0
    assert err.startswith("note: ")
    assert "XYZ" in err


REFUSED = {
    "alpha_trace.pdb": "C-alpha",
    "empty.pdb": "empty",
    "header_only.cif": "",
    "letters_in_coordinates.pdb": "1.2O4",
    "letters_in_residue_number.pdb": "1O",
    "nan.pdb": "is not a number",
    "not_a_structure.pdb": "",
    "not_text.pdb": "",
    "one_residue.pdb": "only one protein residue",
    "placeholder.pdb": "9999",
    "truncated.cif": "",
    "truncated.pdb": "",
    "truncated.pdb.gz": "gzip",
    "twin_atoms.pdb": "lies on atom",
    "waters_only.pdb": "no protein residues",
    "missing.pdb": "no such file",
    ".": "directory",
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("side", ["receptor", "ligand"])
def test_a_bad_structure_is_refused_in_one_line(run, tmp_path, name, side):
    bad, good = EDGE_CASES / name, EXAMPLE / "ligand.cif"
    pair = (bad, good) if side == "receptor" else (good, bad)
    assert_refused(run("predict", *pair, "--out", tmp_path / "out"), bad, REFUSED[name])
    assert list(tmp_path.iterdir()) == []


def test_too_many_atoms_are_refused(run, tmp_path, monkeypatch):
    monkeypatch.setattr("resblock.structure.read.MAX_ATOMS", 100)
    receptor = write(tmp_path / "in" / "receptor.pdb", helix(SEQUENCE))
    assert_refused(run("predict", receptor, receptor, "--out", tmp_path / "out"), receptor, "more than the 100")
    assert not (tmp_path / "out").exists()


def test_too_many_pairs_are_refused(run, tmp_path, monkeypatch):
    monkeypatch.setattr("resblock.prediction.pipeline.MAX_PAIRS", 1000)
    result = run("predict", "--example", "--out", tmp_path / "out")
    assert_refused(result, "receptor.pdb", "ligand.cif", "1089 pairs", "more than the 1000")
    assert list(tmp_path.iterdir()) == []


def test_bad_weights_are_refused(run, tmp_path):
    weights = tmp_path / "weights.safetensors"
    weights.write_text("none")
    result = run("predict", "--example", "--out", tmp_path / "out", "--weights", weights)
    assert_refused(result, weights, "no usable weights")
    resblock.ResAttnLSTM(num_layers=2).save(weights)
    assert_refused(run("predict", "--example", "--out", tmp_path / "out", "--weights", weights), weights)
    assert [p.name for p in tmp_path.iterdir()] == [weights.name]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["predict"], ["--out"]),
        (["predict", "--out", "o"], ["--example"]),
        (["predict", "a.pdb", "--out", "o"], ["two structures"]),
        (["predict", "a.pdb", "b.pdb", "--example", "--out", "o"], ["takes no files"]),
        (["predict", "a.pdb", "b.pdb", "--out", "o"], ["a.pdb", "no such file"]),
        (["predict", "--example", "--out", "o", "--device", "tpu"], ["tpu", "auto, cpu, cuda"]),
        (["predict", "--example", "--out", "o", "--top", "0"], ["--top"]),
        (["predict", "--example", "--out", "o", "--top", "many"], ["--top"]),
        (["predict", "--example", "--out", "o", "--bogus"], ["--bogus"]),
        (["bogus"], ["bogus"]),
        (["evaluate", "nowhere"], ["nowhere", "resblock prepare"]),
        (["evaluate", "nowhere", "--split", "nolist"], ["nolist"]),
        (["train", "nowhere", "--out", "o"], ["nowhere"]),
        (
            ["train", "nowhere", "--out", "o", "--preset", "best"],
            ["best", "paper, windows, residues, neighbours, chain"],
        ),
        (["train", "nowhere", "--out", "o", "--set", "model.depth=3"], ["model.depth"]),
        (["prepare", "nowhere", "--out", "o"], ["nowhere"]),
        (["prepare", "nowhere", "--out", "o", "--only", "nolist"], ["nolist"]),
    ],
)
def test_wrong_arguments_are_refused(run, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    assert_refused(run(*arguments), *words)
    assert list(tmp_path.iterdir()) == []


# The directory of the results


def test_an_earlier_prediction_is_replaced(run, tmp_path):
    out = tmp_path / "out"
    assert run("predict", "--example", "--out", out, "--top", "5")[0] == 0
    before = contents(out)
    assert run("predict", "--example", "--out", out)[0] == 0
    assert len((out / "pairs.csv").read_text()) > len(before["pairs.csv"])
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_a_directory_is_exchanged_in_one_step(tmp_path, monkeypatch):
    """There is no moment at which a killed process leaves nothing in its place."""
    out = tmp_path / "out"
    out.mkdir()
    (out / "old").touch()
    monkeypatch.setattr("resblock.cli.directory.os.rename", None)
    with written_whole(out) as new:
        (new / "new").touch()
    assert [p.name for p in out.iterdir()] == ["new"]
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_a_directory_is_replaced_where_none_can_be_exchanged(tmp_path, monkeypatch):
    monkeypatch.setattr("resblock.cli.directory._exchanged", lambda one, other: False)
    (tmp_path / "out").mkdir()
    with written_whole(tmp_path / "out") as new:
        (new / "new").touch()
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["new"]
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_an_empty_directory_is_used(run, tmp_path):
    (tmp_path / "out").mkdir()
    assert run("predict", "--example", "--out", tmp_path / "out")[0] == 0


def test_what_someone_else_wrote_stays(run, tmp_path):
    out = tmp_path / "out"
    assert run("predict", "--example", "--out", out)[0] == 0
    (out / "notes.txt").write_text("mine")
    before = contents(tmp_path)
    assert_refused(run("predict", "--example", "--out", out), out, "notes.txt")
    assert contents(tmp_path) == before


def test_the_users_own_structures_stay(run, tmp_path):
    receptor = write(tmp_path / "receptor.pdb", helix(SEQUENCE))
    before = contents(tmp_path)
    assert_refused(run("predict", receptor, EXAMPLE / "ligand.cif", "--out", tmp_path), tmp_path)
    # Not even where an earlier prediction lies, whose structures could be the input.
    out = tmp_path / "out"
    assert run("predict", "--example", "--out", out)[0] == 0
    assert_refused(run("predict", out / "receptor.pdb", out / "ligand.cif", "--out", out), "receptor.pdb")
    assert {name: content for name, content in contents(tmp_path).items() if "/" not in name} == before


def test_a_file_in_the_way_stays(run, tmp_path):
    (tmp_path / "out").write_text("mine")
    assert_refused(run("predict", "--example", "--out", tmp_path / "out"), "no directory")
    assert_refused(run("predict", "--example", "--out", tmp_path / "out" / "in"), tmp_path / "out")
    assert contents(tmp_path) == {"out": b"mine"}


@pytest.mark.parametrize(
    ("error", "status"),
    [(KeyboardInterrupt(), 130), (OSError(28, "No space left on device"), 2), (ArithmeticError(), 1)],
)
def test_nothing_is_left_when_writing_fails(run, tmp_path, monkeypatch, error, status):
    def fail(*arguments):
        raise error

    assert run("predict", "--example", "--out", tmp_path / "out")[0] == 0
    before = contents(tmp_path)
    monkeypatch.setattr("resblock.report.files.write_chimerax_script", fail)
    for out in ("out", "other"):
        found, _, err = run("predict", "--example", "--out", tmp_path / out)
        assert found == status
        assert len(err.splitlines()) == 1
    assert contents(tmp_path) == before


# What is left beside the pairs


@pytest.fixture
def two(tmp_path):
    """A file of two chains that touch."""
    return write(tmp_path / "two.pdb", helix(SEQUENCE) + moved(helix(SEQUENCE[::-1], chain="B"), shift=(9.0, 0.0, 0.0)))


@pytest.fixture
def predicted(tmp_path):
    """A predicted structure whose first three residues are hardly placed."""
    (tmp_path / "predicted.pdb").write_text(
        "TITLE     ALPHAFOLD MONOMER PREDICTION\n" + with_b_factors(pdb(helix(SEQUENCE)), [35.5] * 3 + [91.0] * 15)
    )
    return tmp_path / "predicted.pdb"


def test_confidence_is_kept_beside_the_result(run, predicted, tmp_path):
    ligand = write(tmp_path / "ligand.pdb", helix(SEQUENCE[::-1], chain="L"))
    out = tmp_path / "out"
    status, _, err = run("predict", predicted, ligand, "--out", out)
    assert status == 0
    assert "3 residues with pLDDT under 50" in err
    with (out / "residues.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["plddt"] for row in rows] == ["35.5"] * 3 + ["91"] * 15 + [""] * 18
    assert [row["residue"] for row in rows if row["partner"] == "ligand"] == [str(k) for k in range(1, 19)]
    best = {}
    with (out / "pairs.csv").open() as file:
        for row in csv.DictReader(file):
            best.setdefault(row["receptor_residue"], row["score"])
    assert all(row["best_score"] == best.get(row["residue"], "0") for row in rows[:18])
    summary = json.loads((out / "summary.json").read_text())
    assert summary["receptor"]["plddt"] == {"mean": 81.75, "below_50": ["A:1", "A:2", "A:3"]}
    assert summary["ligand"]["plddt"] is None


def test_what_is_hardly_placed_can_be_left_out_of_the_candidates(run, predicted, tmp_path):
    ligand = write(tmp_path / "ligand.pdb", helix(SEQUENCE[::-1], chain="L"))
    scores = {}
    for name, options in (("all", ()), ("sure", ("--min-plddt", "50"))):
        assert run("predict", predicted, ligand, "--out", tmp_path / name, *options)[0] == 0
        with (tmp_path / name / "pairs.csv").open() as file:
            scores[name] = {
                (row["receptor_residue"], row["ligand_residue"]): row["score"] for row in csv.DictReader(file)
            }
    assert scores["sure"] == {pair: score for pair, score in scores["all"].items() if int(pair[0]) > 3}
    assert len(scores["sure"]) < len(scores["all"])
    assert_refused(run("predict", predicted, ligand, "--out", tmp_path / "none", "--min-plddt", "95"), predicted, "95")


def test_options_that_change_nothing_are_refused_or_said(run, two, tmp_path):
    out, chosen = tmp_path / "out", ("--receptor-chains", "A", "--ligand-chains", "B")
    assert_refused(run("predict", two, two, "--out", out, "--chain", "A", *chosen), "--chain", "--homodimer")
    assert_refused(run("predict", two, two, "--out", out, "--model", "1", *chosen), two, "one model")
    for value in ("nan", "-1", "101"):
        assert run("predict", two, two, "--out", out, "--min-plddt", value, *chosen)[0] == 2
    assert not out.exists()
    status, _, err = run("predict", two, two, "--out", out, "--min-plddt", "70", *chosen)
    assert status == 0
    assert "--min-plddt leaves nothing out" in err


def test_the_summary_says_what_was_read(run, two, tmp_path):
    ligand = write(tmp_path / "ligand.pdb", helix(SEQUENCE[::-1], chain="L"))
    assert run("predict", two, ligand, "--receptor-chains", "A", "--top", "5", "--out", tmp_path / "out")[0] == 0
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    pairs, answer = summary.pop("pairs"), summary.pop("answer")
    marked = {role: (summary[role].pop("marked"), summary[role].pop("patches")) for role in ("receptor", "ligand")}
    for residues, patches in marked.values():
        assert len(residues) == 4  # a quarter of 18
        assert sorted(one for patch in patches for one in patch["residues"]) == sorted(residues)
    assert answer[0].endswith("dimers without a relative in training.")
    assert re.search(r"4 of the receptor, about \d of them in the interface; 4 of the ligand", answer[1])
    assert summary.pop("expectations")["dimers"] == 44
    assert summary == {
        "schema": 1,
        "version": resblock.__version__,
        "command": f"resblock predict {two} {ligand} --receptor-chains A",
        "weights": "default",
        "marking": "the likeliest 20 of each partner, at most a quarter of its surface",
        "receptor": {
            "source": str(two),
            "format": "pdb",
            "read": ["model 1 of 1"],
            "chains": [{"name": "A", "residues": 18, "sequence": ""}],
            "left_out": ["chain B"],
            "notes": [],
            "plddt": None,
        },
        "ligand": {
            "source": str(ligand),
            "format": "pdb",
            "read": ["model 1 of 1"],
            "chains": [{"name": "L", "residues": 18, "sequence": ""}],
            "left_out": [],
            "notes": [],
            "plddt": None,
        },
    }
    assert pairs["in_pairs_csv"] == 5 < pairs["ranked"]


def test_all_pairs_are_in_a_parquet_file(run, two, tmp_path):
    pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    chosen = ("--receptor-chains", "A", "--ligand-chains", "B", "--top", "3")
    assert run("predict", "--complex", two, "--out", tmp_path / "out", "--all-pairs", *chosen)[0] == 0
    assert run("predict", "--complex", two, "--out", tmp_path / "csv", *chosen[:-2])[0] == 0
    with (tmp_path / "csv" / "pairs.csv").open() as file:
        expected = list(csv.DictReader(file))
    table = pq.read_table(tmp_path / "out" / "pairs.parquet").to_pylist()
    assert [{name: str(value) for name, value in row.items() if name != "score"} for row in table] == [
        {name: value for name, value in row.items() if name != "score"} for row in expected
    ]
    np.testing.assert_array_equal([row["score"] for row in table], np.float32([row["score"] for row in expected]))


def test_without_pyarrow_all_pairs_are_refused(run, two, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    chosen = ("--receptor-chains", "A", "--ligand-chains", "B")
    assert_refused(run("predict", two, two, "--out", tmp_path / "out", "--all-pairs", *chosen), "resblock[screen]")
    assert not (tmp_path / "out").exists()
