"""A saved prediction: read back, it is what it was, and needs no weights."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from synthetic import helix, moved, write
from test_prediction_marking import TOLD

import resblock
from resblock.errors import InputError
from resblock.models import probability
from resblock.prediction import Prediction
from resblock.prediction.stored import FILE

EXAMPLE = Path(resblock.__file__).parent / "example"
SEQUENCE = "MKALEKWFHRDELVQKIS"


@pytest.fixture(scope="module")
def example():
    return resblock.predict(EXAMPLE / "receptor.pdb", EXAMPLE / "ligand.cif")


def test_a_prediction_read_back_is_the_same(example, tmp_path):
    truth = np.zeros(example.log_odds.shape, dtype=bool)
    truth[3, 5] = True
    made = dataclasses.replace(example, expectations=TOLD, truth=truth, cutoff="residues=5")
    made.save(tmp_path / "one")
    again = Prediction.load(tmp_path / "one")
    again.save(tmp_path / "two")
    for path in sorted((tmp_path / "one").iterdir()):
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes(), path.name
    assert again.pairs() == made.pairs()
    assert again.residues() == made.residues()
    assert again.patches() == made.patches()
    assert again.expectations == TOLD
    assert again.receptor.residues == example.receptor.residues
    assert again.receptor.sequence == example.receptor.sequence


def test_a_diverse_list_is_diverse_again(tmp_path):
    made = resblock.predict(EXAMPLE / "receptor.pdb", EXAMPLE / "ligand.cif", diverse=True)
    made.save(tmp_path)
    plain = resblock.predict(EXAMPLE / "receptor.pdb", EXAMPLE / "ligand.cif")
    assert Prediction.load(tmp_path).pairs(50) == made.pairs(50) != plain.pairs(50)


def test_loading_needs_no_weights(example, tmp_path, monkeypatch):
    example.save(tmp_path)
    monkeypatch.setattr("resblock.models.files.load_ensemble", None)
    assert Prediction.load(tmp_path).pairs(3) == example.pairs(3)


def test_what_is_no_prediction_is_refused(example, tmp_path):
    with pytest.raises(InputError, match="no such directory"):
        Prediction.load(tmp_path / "nowhere")
    with pytest.raises(InputError, match="no such file"):
        Prediction.load(tmp_path)
    (tmp_path / FILE).write_bytes(b"nothing")
    with pytest.raises(InputError, match="no usable prediction"):
        Prediction.load(tmp_path)
    (tmp_path / FILE).write_bytes((EXAMPLE.parent / "weights" / "default.safetensors").read_bytes())
    with pytest.raises(InputError, match=r"holds resblock\.Ensemble, wanted resblock\.Prediction"):
        Prediction.load(tmp_path)


def test_residues_are_calibrated(example):
    """The logarithm of a residue's summed odds, scaled and shifted."""
    made = dataclasses.replace(example, expectations=TOLD)
    odds = np.exp(example.log_odds.astype(np.float64))
    for role, sums, places in zip(("receptor", "ligand"), (odds.sum(1), odds.sum(0)), example.candidates, strict=True):
        expected = probability((0.9 * np.log(sums) - 0.1).astype(np.float32))
        found = np.array([one.probability for one in made.residues(role)])
        np.testing.assert_allclose(found[places], expected, rtol=1e-5)
        ranks = [one.rank for one in made.residues(role) if one.rank is not None]
        assert sorted(ranks) == list(range(1, len(places) + 1))
        best = max(made.residues(role), key=lambda one: one.probability)
        assert best.rank == 1


def test_tables_in_pandas(example):
    pytest.importorskip("pandas")
    assert list(example.to_pandas()["rank"][:3]) == [1, 2, 3]
    assert len(example.to_pandas("residues")) == 66
    assert {"patch", "goes_with"} <= set(example.to_pandas("patches").columns)
    with pytest.raises(InputError, match="choose pairs"):
        example.to_pandas("atoms")


def test_a_notebook_shows_sentences_and_pairs(example):
    html = example._repr_html_()
    assert "A LEU 13" in html
    assert "Residues marked" in html


def test_excluded_residues_are_no_candidates(tmp_path):
    a = write(tmp_path / "a.pdb", helix(SEQUENCE))
    b = write(tmp_path / "b.pdb", moved(helix(SEQUENCE[::-1], chain="B"), shift=(9.0, 0, 0)))
    whole = resblock.predict(a, b)
    less = resblock.predict(a, b, exclude="receptor:A:2-5,ligand:B:7")
    assert {one.residue.number for one in less.residues("receptor") if one.rank is None} == {2, 3, 4, 5}
    assert {one.residue.number for one in less.residues("ligand") if one.rank is None} == {7}
    scores = {(p.receptor, p.ligand): p.score for p in whole.pairs()}
    assert all(scores[p.receptor, p.ligand] == p.score for p in less.pairs())
    for text, words in (
        ("receptor:A:2-99", "no residue 99 in chain A"),
        ("receptor:X:2", "no residue 2 in chain X"),
        ("receptor:A:5-2", "2 comes before 5"),
        ("A:2-5", "partner:chain:first-last"),
        ("receptor:A:1-18", "leaves no surface residue"),
    ):
        with pytest.raises(InputError, match=words):
            resblock.predict(a, b, exclude=text)
