"""Predictions: the order of pairs, and that the placement of the partners tells nothing."""

import dataclasses
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from made_dimers import made_dimer
from synthetic import random_rotation

from resblock import prediction as prediction_module
from resblock.pairs import Dimer, DimerPartner
from resblock.prediction import Ranking, predict
from resblock.scoring import INCLUDED, load_scorer
from resblock.structure import feature_names, read_partner

EXAMPLE = Path(prediction_module.__file__).parent / "example"

#: The largest change of a score that a rotation and a shift may cause.
INVARIANCE = 1e-4


@pytest.fixture(scope="module", params=INCLUDED)
def scorer(request):
    return load_scorer(request.param)


@pytest.fixture(scope="module")
def example(scorer):
    return predict(EXAMPLE / "receptor.pdb", EXAMPLE / "ligand.cif", scorer)


# The ranking


def test_a_diverse_ranking_leaves_a_place_before_it_comes_back():
    dimer = made_dimer(1)
    rows, columns = (np.flatnonzero(partner.surface) for partner in (dimer.receptor, dimer.ligand))
    centres = np.zeros((len(dimer.receptor), 3), dtype=np.float32)
    centres[rows[3:]] = 1000.0
    apart = dataclasses.replace(dimer, receptor=dataclasses.replace(dimer.receptor, centres=centres))
    scores = np.full((len(rows), len(columns)), 0.01, dtype=np.float32)
    scores[0, 0], scores[1, 0], scores[4, 0] = 0.30, 0.29, 0.28
    by_score, diverse = ([(pair.receptor, pair.score) for pair in Ranking(apart, scores, d)] for d in (False, True))
    residues = dimer.receptor.residues
    assert [residue for residue, _ in by_score[:3]] == [residues[rows[k]] for k in (0, 1, 4)]
    assert [residue for residue, _ in diverse[:3]] == [residues[rows[k]] for k in (0, 4, 1)]
    assert sorted(diverse, key=str) == sorted(by_score, key=str)


def test_ranking_is_by_score_and_then_in_the_order_of_the_files():
    dimer = made_dimer(1)
    shape = dimer.receptor.surface.sum(), dimer.ligand.surface.sum()
    scores = np.zeros(shape, dtype=np.float32)
    scores[2, 3] = scores[1, 4] = scores[1, 5] = 0.5
    scores[0, 0] = 0.25
    ranking = Ranking(dimer, scores)
    receptor, ligand = np.flatnonzero(dimer.receptor.surface), np.flatnonzero(dimer.ligand.surface)
    first = [(pair.receptor.number - 1, pair.ligand.number - 1) for pair in ranking[:4]]
    assert first == [(receptor[r], ligand[c]) for r, c in ((1, 4), (1, 5), (2, 3), (0, 0))]
    assert [pair.rank for pair in ranking] == list(range(1, scores.size + 1))
    assert ranking[-1].rank == len(ranking) == scores.size
    assert ranking[4].score == 0.0
    with pytest.raises(IndexError):
        ranking[scores.size]


def test_scores_of_pairs_and_residues_agree(example):
    best_receptor, best_ligand = example.best_scores()
    first = example.ranking[0]
    assert first.score == pytest.approx(example.scores.max())
    receptor, ligand = example.receptor.residues, example.ligand.residues
    assert best_receptor[receptor.index(first.receptor)] == np.float32(first.score)
    assert best_ligand[ligand.index(first.ligand)] == np.float32(first.score)
    for pair in example.ranking[::97]:
        assert best_receptor[receptor.index(pair.receptor)] >= np.float32(pair.score)
    np.testing.assert_array_equal(best_receptor[~example.dimer.receptor.surface], 0)


def test_the_example_is_ranked_whole_and_timed(example):
    surface = example.dimer.receptor.surface.sum() * example.dimer.ligand.surface.sum()
    assert len(example.ranking) == surface
    assert list(example.seconds) == ["reading", "features", "scoring", "ranking"]
    assert example.receptor.residues[0].chain == "A"


def test_chains_are_chosen(scorer):
    edge_case = Path(__file__).parent / "edge_cases" / "two_chains.pdb"
    found = predict(edge_case, edge_case, scorer, receptor_chains=["B"], ligand_chains=["A"])
    assert found.receptor.chains == ("B",)
    assert found.ligand.chains == ("A",)


def test_two_processes_find_the_same(example, scorer, monkeypatch, cache):
    monkeypatch.setattr(prediction_module, "WORTH_A_PROCESS", 1)
    found = predict(EXAMPLE / "receptor.pdb", EXAMPLE / "ligand.cif", scorer, processes=2)
    np.testing.assert_array_equal(found.scores, example.scores)


def test_one_process_does_where_no_second_is_to_be_had(example, scorer, monkeypatch, cache):
    def refused(*arguments):
        raise OSError("no more processes")

    monkeypatch.setattr(prediction_module, "WORTH_A_PROCESS", 1)
    monkeypatch.setattr(prediction_module, "ProcessPoolExecutor", refused)
    found = predict(EXAMPLE / "receptor.pdb", EXAMPLE / "ligand.cif", scorer, processes=2)
    np.testing.assert_array_equal(found.scores, example.scores)


# Placement


def scores_of(scorer, receptor, ligand):
    features = scorer.feature_set
    partners = (DimerPartner.from_structure(partner, features) for partner in (receptor, ligand))
    dimer = Dimer("pair", *partners, feature_names(features))
    return dimer, scorer.score(dimer)


def placed_elsewhere(partner, seed, decimals=5):
    """Rotated and shifted, and with the decimals of a file: a PDB file has three."""
    generator = np.random.default_rng(seed)
    xyz = partner.coordinates @ random_rotation(generator) + generator.uniform(-200, 200, 3)
    return dataclasses.replace(partner, coordinates=xyz.round(decimals))


def assert_same_scores_and_ranks(scores, moved):
    np.testing.assert_allclose(moved, scores, rtol=0, atol=INVARIANCE)
    before, after = scores.reshape(-1), moved.reshape(-1)
    # Ordered by the scores before, a later pair may pass an earlier one only if both were as good as equal.
    order = np.argsort(-before, kind="stable")
    best_later = np.maximum.accumulate(after[order][::-1])[::-1]
    passed_by = np.searchsorted(-before[order], -before[order] + INVARIANCE, side="right")
    inside = passed_by < len(order)
    assert (best_later[passed_by[inside]] <= after[order][inside]).all()


def test_the_check_of_ranks_finds_an_exchange():
    scores = np.array([[0.9, 0.5, 0.1]], dtype=np.float32)
    assert_same_scores_and_ranks(scores, scores + np.float32(5e-5))
    with pytest.raises(AssertionError):
        assert_same_scores_and_ranks(scores, scores[:, ::-1])


def test_placement_of_the_example_does_not_matter(scorer, example):
    _, moved = scores_of(scorer, placed_elsewhere(example.receptor, 1), placed_elsewhere(example.ligand, 2))
    assert_same_scores_and_ranks(example.scores, moved)


@pytest.mark.parametrize("decimals", [3, 5])
@pytest.mark.parametrize("code", ["1AY7", "1GL1", "1S1Q", "7CEI"])
def test_placement_of_partners_does_not_matter(code, decimals, db5, scorer):
    partners = [read_partner(db5 / code / f"{side}_unbound.pdb.gz") for side in ("receptor", "ligand")]
    _, scores = scores_of(scorer, *partners)
    seed = sum(map(ord, code))
    _, moved = scores_of(scorer, *(placed_elsewhere(partner, seed + k, decimals) for k, partner in enumerate(partners)))
    assert_same_scores_and_ranks(scores, moved)


# Memory


def peak_memory(code, directory, *arguments):
    """The largest resident memory, in bytes, of a process that runs the code."""
    # Not ru_maxrss, in which a process inherits that of the one that started it.
    tell = "import atexit, pathlib\natexit.register(lambda: print(pathlib.Path('/proc/self/status').read_text()))\n"
    command = [sys.executable, "-c", tell + code, *map(str, arguments)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=240, cwd=directory)
    return int(re.search(r"VmHWM:\s*(\d+) kB", done.stdout)[1]) * 1024


def test_a_large_pair_stays_below_one_gib(db5, tmp_path):
    files = [db5 / "1BKD" / f"{side}_unbound.pdb.gz" for side in ("receptor", "ligand")]
    code = "import sys\nfrom resblock.cli import main\nmain(sys.argv[1:])"
    assert peak_memory(code, tmp_path, "predict", *files, "--out", tmp_path / "out") < 1024**3


TWO_THOUSAND = """
import dataclasses, sys
import numpy as np
sys.path.insert(0, sys.argv[1])
from made_dimers import made_dimer, widened
from resblock.prediction import Ranking
from resblock.scoring import load_scorer

dimer = widened(made_dimer(1, sizes=(2000, 2000)))
everything = np.ones(2000, dtype=np.bool_)
sides = {side: dataclasses.replace(getattr(dimer, side), surface=everything) for side in ("receptor", "ligand")}
dimer = dataclasses.replace(dimer, **sides)
ranking = Ranking(dimer, load_scorer().score(dimer))
assert len(ranking) == 2000 * 2000 and ranking[0].score >= ranking[-1].score
"""


def test_all_pairs_of_two_thousand_residues_each_stay_below_one_gib(tmp_path):
    assert peak_memory(TWO_THOUSAND, tmp_path, Path(__file__).parent) < 1024**3
