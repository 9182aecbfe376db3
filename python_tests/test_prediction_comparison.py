"""A second look at a model of the complex: which of its contacts a prediction ranks high."""

import json

import numpy as np
import pytest
from command_line import assert_refused
from synthetic import helix, moved, write

import resblock
from resblock.errors import InputError
from resblock.evaluation.ranking import auroc
from resblock.prediction.comparison import compare, read_confidence

SEQUENCE = "MKALEKWFHRDELVQKIS"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Two helices apart, side by side, and so far away that they do not touch."""
    directory = tmp_path_factory.mktemp("files")
    first, second = helix(SEQUENCE), helix(SEQUENCE[::-1], chain="B")
    return {
        "receptor": write(directory / "receptor.pdb", first),
        "ligand": write(directory / "ligand.pdb", moved(second, shift=(0.0, 60.0, 0.0))),
        "model": write(directory / "model.pdb", first + moved(second, shift=(9.0, 0.0, 0.0))),
        "apart": write(directory / "apart.pdb", first + moved(second, shift=(90.0, 0.0, 0.0))),
    }


@pytest.fixture(scope="module")
def prediction(files):
    return resblock.predict(files["receptor"], files["ligand"])


def test_the_agreement_is_the_auroc_of_the_models_contacts(prediction, files):
    found = compare(prediction, files["model"])
    truth = prediction.with_truth(files["model"]).truth
    assert found.agreement == auroc(prediction.log_odds.reshape(-1), truth.reshape(-1))
    assert len(found.contacts) == truth.sum() > 0
    assert [pair.rank for pair in found.contacts] == sorted(pair.rank for pair in found.contacts)
    assert all(pair.touches for pair in found.contacts)
    assert found.pairs == prediction.log_odds.size
    assert found.marked == (4, 4)
    inside = [{pair.receptor for pair in found.contacts}, {pair.ligand for pair in found.contacts}]
    marked = [{one.residue for one in prediction.residues(role) if one.marked} for role in ("receptor", "ligand")]
    assert found.marked_inside == tuple(len(a & b) for a, b in zip(inside, marked, strict=True))


def test_a_model_without_contacts_is_refused(prediction, files):
    with pytest.raises(InputError, match="do not touch"):
        compare(prediction, files["apart"])


def test_confidences_of_each_program(tmp_path):
    alphafold = {"iptm": 0.81, "ptm": 0.7, "ranking_score": 0.9, "chain_pair_iptm": [[0.1, 0.2], [0.2, 0.3]]}
    (tmp_path / "summary_confidences.json").write_text(json.dumps(alphafold))
    assert read_confidence(tmp_path / "summary_confidences.json") == {"iptm": 0.81, "ptm": 0.7, "ranking_score": 0.9}
    (tmp_path / "confidence_model_0.json").write_text(json.dumps({"confidence_score": 0.5, "iptm": 0.4}))
    assert read_confidence(tmp_path / "confidence_model_0.json") == {"iptm": 0.4, "confidence_score": 0.5}
    scores = {"aggregate_score": np.array([0.5]), "iptm": np.array([0.25]), "per_chain_ptm": np.ones((1, 2))}
    np.savez(tmp_path / "scores.npz", **scores)
    assert read_confidence(tmp_path / "scores.npz") == {"iptm": 0.25, "aggregate_score": 0.5}


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [("x.json", "[1]", "no confidences"), ("x.json", "{}", "has none"), ("x.npz", "no zip", "no confidences")],
)
def test_what_is_no_confidence_file_is_refused(tmp_path, name, text, words):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=words):
        read_confidence(tmp_path / name)
    with pytest.raises(InputError, match="check the path"):
        read_confidence(tmp_path / "nowhere.json")


def test_from_the_command_line(run, files, tmp_path):
    out = tmp_path / "run"
    assert run("predict", files["receptor"], files["ligand"], "--out", out)[0] == 0
    (tmp_path / "c.json").write_text('{"iptm": 0.81}')
    status, text, _ = run("compare", out, files["model"], "--chains", "A:B", "--confidence", tmp_path / "c.json")
    assert status == 0
    for words in ("Agreement 0.", "contacts", "marked residues", "iptm 0.81"):
        assert words in text
    assert_refused(run("compare", out, files["model"], "--chains", "A"), "--chains 'A'", "H,L:A")
    assert_refused(run("compare", out, tmp_path / "nowhere.cif"), "nowhere.cif", "no such file")
    assert_refused(run("compare", tmp_path, files["model"]), "log_odds.safetensors")
