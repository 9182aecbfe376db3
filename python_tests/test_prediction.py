"""Predictions: the order of pairs, and that the placement of the partners tells nothing."""

import dataclasses
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from made_complexes import made_complex
from synthetic import random_rotation

from resblock.models import INCLUDED, load_ensemble, probability
from resblock.pairs import Complex
from resblock.prediction import Ranking, pipeline, predict
from resblock.structure import PartnerFeatures, read_partner

EXAMPLE = Path(pipeline.__file__).parents[1] / "example"

#: The largest change of a probability that a rotation and a shift may cause.
INVARIANCE = 1e-4


@pytest.fixture(scope="module", params=INCLUDED)
def ensemble(request):
    return load_ensemble(request.param)


@pytest.fixture(scope="module")
def example(ensemble):
    return predict(EXAMPLE / "receptor.pdb", EXAMPLE / "ligand.cif", ensemble)


# The ranking


def ranking_of(complex, log_odds, diverse=False):
    residues, candidates = zip(*((p.residues, p.surface_residues) for p in complex.partners), strict=True)
    return Ranking(residues, candidates, log_odds, complex.surface_centres if diverse else None)


def test_a_diverse_ranking_leaves_a_place_before_it_comes_back():
    complex = made_complex(1)
    rows = complex.receptor.surface_residues
    centres = np.zeros((len(complex.receptor), 3), dtype=np.float32)
    centres[rows[3:]] = 1000.0
    apart = dataclasses.replace(complex, receptor=dataclasses.replace(complex.receptor, centres=centres))
    log_odds = np.full(complex.surface_shape, -5.0, dtype=np.float32)
    log_odds[0, 0], log_odds[1, 0], log_odds[4, 0] = -0.8, -0.9, -1.0
    by_score, diverse = (
        [(pair.receptor, pair.score) for pair in ranking_of(apart, log_odds, chosen)] for chosen in (False, True)
    )
    residues = complex.receptor.residues
    assert [residue for residue, _ in by_score[:3]] == [residues[rows[k]] for k in (0, 1, 4)]
    assert [residue for residue, _ in diverse[:3]] == [residues[rows[k]] for k in (0, 4, 1)]
    assert sorted(diverse, key=str) == sorted(by_score, key=str)


def test_ranking_is_by_log_odds_and_then_in_the_order_of_the_files():
    complex = made_complex(1)
    log_odds = np.full(complex.surface_shape, -9.0, dtype=np.float32)
    log_odds[2, 3] = log_odds[1, 4] = log_odds[1, 5] = 0.0
    log_odds[0, 0] = -1.0
    ranking = ranking_of(complex, log_odds)
    receptor, ligand = (partner.surface_residues for partner in complex.partners)
    first = [(pair.receptor.number - 1, pair.ligand.number - 1) for pair in ranking[:4]]
    assert first == [(receptor[r], ligand[c]) for r, c in ((1, 4), (1, 5), (2, 3), (0, 0))]
    assert [pair.rank for pair in ranking] == list(range(1, log_odds.size + 1))
    assert ranking[-1].rank == len(ranking) == log_odds.size
    assert [ranking[k].score for k in (0, 3, 4)] == pytest.approx([0.5, 1 / (1 + np.e), 1 / (1 + np.exp(9.0))])
    with pytest.raises(IndexError):
        ranking[log_odds.size]


def test_pairs_too_unlikely_for_a_probability_are_ranked_all_the_same():
    complex = made_complex(1)
    log_odds = np.linspace(-300, -200, complex.surface_pairs().shape[0], dtype=np.float32)
    ranking = ranking_of(complex, log_odds.reshape(complex.surface_shape))
    receptor, ligand = (partner.residues[partner.surface_residues[-1]] for partner in complex.partners)
    assert (ranking[0].receptor, ranking[0].ligand) == (receptor, ligand)
    assert ranking[0].score == 0.0


def test_scores_of_pairs_and_residues_agree(example):
    best_receptor, best_ligand = (
        np.float32([one.best_score for one in example.residues(role)]) for role in ("receptor", "ligand")
    )
    first = example.ranking[0]
    assert first.score == pytest.approx(probability(example.log_odds).max())
    receptor, ligand = example.receptor.residues, example.ligand.residues
    assert best_receptor[receptor.index(first.receptor)] == np.float32(first.score)
    assert best_ligand[ligand.index(first.ligand)] == np.float32(first.score)
    for pair in example.ranking[::97]:
        assert best_receptor[receptor.index(pair.receptor)] >= np.float32(pair.score)
    buried = np.setdiff1d(np.arange(len(receptor)), example.candidates[0])
    np.testing.assert_array_equal(best_receptor[buried], 0)
    assert {one.rank for one in example.residues("receptor") if one.index in buried} <= {None}


def test_the_example_is_ranked_whole_and_timed(example):
    assert len(example.ranking) == example.log_odds.size == len(example.pairs())
    assert list(example.seconds) == ["loading", "reading", "features", "scoring", "ranking"]
    assert example.receptor.residues[0].chain == "A"


def test_chains_are_chosen(ensemble):
    edge_case = Path(__file__).parent / "edge_cases" / "two_chains.pdb"
    found = predict(edge_case, edge_case, ensemble, receptor_chains=["B"], ligand_chains=["A"])
    assert found.receptor.chains == ("B",)
    assert found.ligand.chains == ("A",)


def test_two_processes_find_the_same(example, ensemble, monkeypatch, cache):
    monkeypatch.setattr(pipeline, "WORTH_A_PROCESS", 1)
    found = predict(EXAMPLE / "receptor.pdb", EXAMPLE / "ligand.cif", ensemble, processes=2)
    np.testing.assert_array_equal(found.log_odds, example.log_odds)


def test_one_process_does_where_no_second_is_to_be_had(example, ensemble, monkeypatch, cache):
    def refused(*arguments, **options):
        raise OSError("no more processes")

    monkeypatch.setattr(pipeline, "WORTH_A_PROCESS", 1)
    monkeypatch.setattr(pipeline, "worker", refused)
    found = predict(EXAMPLE / "receptor.pdb", EXAMPLE / "ligand.cif", ensemble, processes=2)
    np.testing.assert_array_equal(found.log_odds, example.log_odds)


# Placement


def scores_of(ensemble, *partners):
    complex = Complex("pair", *(PartnerFeatures.of(partner, ensemble.feature_set) for partner in partners))
    return probability(ensemble.complex_log_odds(complex))


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


def test_placement_of_the_example_does_not_matter(ensemble, example):
    moved = scores_of(ensemble, placed_elsewhere(example.receptor, 1), placed_elsewhere(example.ligand, 2))
    assert_same_scores_and_ranks(probability(example.log_odds), moved)


@pytest.mark.parametrize("decimals", [3, 5])
@pytest.mark.parametrize("code", ["1AY7", "1GL1", "1S1Q", "7CEI"])
def test_placement_of_partners_does_not_matter(code, decimals, db5, ensemble):
    partners = [read_partner(db5 / code / f"{side}_unbound.pdb.gz") for side in ("receptor", "ligand")]
    scores = scores_of(ensemble, *partners)
    seed = sum(map(ord, code))
    moved = scores_of(ensemble, *(placed_elsewhere(partner, seed + k, decimals) for k, partner in enumerate(partners)))
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
from made_complexes import made_complex
from resblock.models import Ensemble, load_ensemble
from resblock.prediction import Ranking

complex = made_complex(1, sizes=(2000, 2000))
everything = np.ones(2000, dtype=np.bool_)
receptor, ligand = (dataclasses.replace(partner, surface=everything) for partner in complex.partners)
complex = dataclasses.replace(complex, receptor=receptor, ligand=ligand)
one = Ensemble(load_ensemble().models[:1])  # models come one after the other: more take time, not memory
candidates = complex.receptor.surface_residues, complex.ligand.surface_residues
ranking = Ranking((receptor.residues, ligand.residues), candidates, one.complex_log_odds(complex))
assert len(ranking) == 2000 * 2000 and ranking[0].score >= ranking[-1].score
"""


def test_all_pairs_of_two_thousand_residues_each_stay_below_one_gib(tmp_path):
    assert peak_memory(TWO_THOUSAND, tmp_path, Path(__file__).parent) < 1024**3
