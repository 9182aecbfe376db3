"""Where `resblock predict` takes its partners from: files, entries, one file for both, models and assemblies."""

import csv
import gzip
import io

import numpy as np
import pytest
from command_line import assert_refused
from synthetic import helix, moved, pdb, remark_350, write

SEQUENCE = "MKALEKWFHRDELVQKIS"


@pytest.fixture
def two(tmp_path):
    """A file of two chains that touch."""
    return write(tmp_path / "two.pdb", helix(SEQUENCE) + moved(helix(SEQUENCE[::-1], chain="B"), shift=(9.0, 0.0, 0.0)))


def ranked_chains(out):
    with (out / "pairs.csv").open() as file:
        return {(row["receptor_chain"], row["ligand_chain"]) for row in csv.DictReader(file)}


def test_one_chain_is_not_taken_for_both_partners_unless_asked_for(run, two, tmp_path):
    out = tmp_path / "out"
    for chains in ((), ("--receptor-chains", "A,B", "--ligand-chains", "B")):
        assert_refused(run("predict", two, two, "--out", out, *chains), two, "in both partners", "--homodimer")
    copy = tmp_path / "copy.pdb"
    copy.write_text(two.read_text())
    assert_refused(run("predict", two, copy, "--out", out, "--receptor-chains", "B"), copy, "chain B is in both")
    assert not out.exists()
    assert run("predict", two, copy, "--out", out, "--receptor-chains", "A", "--ligand-chains", " B ")[0] == 0


def test_a_homodimer_is_one_structure_with_itself(run, two, tmp_path):
    out = tmp_path / "out"
    assert_refused(run("predict", "--homodimer", two, "--out", out), two, "A, B", "--chain")
    assert run("predict", "--homodimer", two, "--chain", "B", "--out", out)[0] == 0
    assert ranked_chains(out) == {("B", "B")}
    assert_refused(run("predict", two, "--homodimer", two, "--out", out), "--homodimer")


def test_both_partners_out_of_one_file(run, two, tmp_path):
    out = tmp_path / "out"
    assert_refused(run("predict", "--complex", two, "--out", out), "--receptor-chains")
    chosen = ("--receptor-chains", "B", "--ligand-chains", "A")
    status, _, err = run("predict", "--complex", two, "--out", out, *chosen)
    assert status == 0
    assert "note: " in err
    assert "is not used" in err
    assert ranked_chains(out) == {("B", "A")}
    assert_refused(run("predict", two, two, "--complex", two, "--out", out, *chosen), "--complex")


def test_the_standard_input_is_a_structure(run, two, tmp_path, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(gzip.compress(two.read_bytes()))))
    chosen = ("--receptor-chains", "A", "--ligand-chains", "B")
    status, text, _ = run("predict", "-", two, "--out", tmp_path / "out", *chosen)
    assert status == 0
    assert "receptor: standard input, model 1 of 1, chain A (18 residues); left out: chain B" in text
    assert_refused(run("predict", "-", "-", "--out", tmp_path / "other"), "one structure")


def test_models_and_assemblies_are_asked_for(run, tmp_path):
    base = helix(SEQUENCE)
    bent = moved(base, shift=(0.0, 0.0, 1.0))[: len(base) // 2] + base[len(base) // 2 :]
    models = "".join(f"MODEL {k}\n{pdb(atoms)}ENDMDL\n" for k, atoms in enumerate((base, bent), 1)).replace("END\n", "")
    (tmp_path / "models.pdb").write_text(models)
    ligand = write(tmp_path / "ligand.pdb", helix(SEQUENCE[::-1], chain="L"))
    status, text, _ = run("predict", tmp_path / "models.pdb", ligand, "--model", "2", "--out", tmp_path / "out")
    assert status == 0
    assert "model 2 of 2" in text
    assert_refused(
        run("predict", tmp_path / "models.pdb", ligand, "--model", "3", "--out", tmp_path / "out"), "no model 3", "1, 2"
    )
    assert_refused(
        run("predict", ligand, tmp_path / "models.pdb", "--assembly", "1", "--out", tmp_path / "out"), "no assembly"
    )
    turn = np.diag([-1.0, -1.0, 1.0]), (40.0, 0.0, 0.0)
    (tmp_path / "unit.pdb").write_text(remark_350(1, "A", ((np.eye(3), (0.0, 0.0, 0.0)), turn)) + pdb(base))
    status, text, _ = run("predict", tmp_path / "unit.pdb", ligand, "--assembly", "1", "--out", tmp_path / "out")
    assert status == 0
    assert "assembly 1, chains A (18 residues), A-2 (18 residues)" in text
    assert ranked_chains(tmp_path / "out") == {("A", "L"), ("A-2", "L")}
