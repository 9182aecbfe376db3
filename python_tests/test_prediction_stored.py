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
from resblock.pairs.labels import contact_areas
from resblock.prediction import Prediction
from resblock.prediction.stored import FILE
from resblock.structure import read_partner

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
    """The mean log-odds of a residue's ten best pairs, as a share of its partner's, scaled and shifted."""
    made = dataclasses.replace(example, expectations=TOLD)
    best = np.sort(example.log_odds, axis=1)[:, -10:].mean(axis=1), np.sort(example.log_odds, axis=0)[-10:].mean(axis=0)
    for role, means, places in zip(("receptor", "ligand"), best, example.candidates, strict=True):
        share = means - np.log(np.exp(means.astype(np.float64)).sum())
        expected = probability((0.9 * share - 0.1).astype(np.float32))
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
    assert "of them in the interface" in html


def test_weights_without_tables_promise_nothing(example):
    silent = dataclasses.replace(example, expectations=None)
    assert "in the interface" not in silent._repr_html_()
    assert "without a relative" not in silent._repr_html_()
    with pytest.raises(InputError, match="resblock calibrate"):
        silent.with_cutoff("precision=0.3")


def test_what_is_true_comes_from_the_complex(tmp_path):
    a, b = helix(SEQUENCE), moved(helix(SEQUENCE[::-1], chain="B"), shift=(9.0, 0, 0))
    both, first = write(tmp_path / "both.pdb", a + b), write(tmp_path / "a.pdb", a)
    second = write(tmp_path / "b.pdb", moved(b, shift=(50.0, 0, 0)))
    found = resblock.predict(first, second).with_truth(both)
    bound = read_partner(both, ["A"]), read_partner(both, ["B"])
    areas = contact_areas(*bound)[np.ix_(*found.candidates)]
    np.testing.assert_array_equal(found.truth, areas > 0)
    assert 0 < found.truth.sum() < found.truth.size
    assert [pair.touches for pair in found.pairs()].count(True) == found.truth.sum()
    assert {one.index for one in found.residues("receptor") if one.in_interface} == set(
        found.candidates[0][found.truth.any(axis=1)].tolist()
    )
    assert "In the known complex" in found._repr_html_()
    with pytest.raises(InputError, match="share a chain"):
        resblock.predict(first, second).with_truth(both, ["A"], ["A"])
    with pytest.raises(InputError, match="X"):
        resblock.predict(first, second).with_truth(both, ["A"], ["X"])


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
