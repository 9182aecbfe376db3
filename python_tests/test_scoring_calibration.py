"""Corrections of scores: that they are found, that they are applied, and that the order of pairs stays."""

import json

import numpy as np
import pytest
from made_dimers import made_dimer, made_scorer
from resblock.scoring import EnsembleScorer, load_scorer
from resblock.scoring.calibration import Calibration, fit_calibration, log_odds, reliability

from resblock.errors import InputError
from resblock.training.cross_validation import read_calibration

# float32 probabilities of up to about 5 in log-odds, scaled: their rounding.
ROUNDING = 2e-5


def drawn(count=200_000, seed=3):
    """Labels with known probabilities."""
    generator = np.random.default_rng(seed)
    exact = generator.normal(-3, 1.5, count)
    return exact, generator.random(count) < 1 / (1 + np.exp(-exact))


def test_a_distortion_is_found_and_undone():
    exact, labels = drawn()
    distorted = np.float32(1 / (1 + np.exp(-(1.8 * exact + 0.7))))
    found = fit_calibration(distorted, labels)
    # A few standard errors of 200,000 draws.
    assert found.scale == pytest.approx(1 / 1.8, rel=0.03)
    assert found.shift == pytest.approx(-0.7 / 1.8, abs=0.05)
    again = fit_calibration(found(distorted), labels)
    assert (again.scale, again.shift) == pytest.approx((1, 0), abs=1e-4)


def test_reliability_counts_all_pairs_and_agrees_where_scores_are_right():
    exact, labels = drawn()
    scores = np.float32(1 / (1 + np.exp(-exact)))
    rows = reliability(scores, labels)
    assert sum(row.pairs for row in rows) == len(scores)
    assert sum(row.true_share * row.pairs for row in rows) == pytest.approx(labels.sum())
    for row in rows:
        assert row.low <= row.mean_score <= row.high
        standard_error = np.sqrt(row.mean_score / row.pairs)
        assert row.true_share == pytest.approx(row.mean_score, abs=4 * standard_error)


@pytest.mark.parametrize("labels", [[True, True], [False, False], [False, True]])
def test_few_pairs_make_no_score_sure(labels):
    scores = np.float32([0.1, 0.2])
    assert ((fit_calibration(scores, np.array(labels))(scores) - 0.5) ** 2 < 0.15).all()


def test_the_log_odds_of_a_scorer_are_corrected_again_and_again(tmp_path):
    dimer = made_dimer(1)
    scorer = EnsembleScorer([made_scorer(dimer, seed) for seed in (2, 3)])
    before = scorer.score(dimer)
    scorer.calibrate(Calibration(0.5, -1.0))
    scorer.calibrate(Calibration(2.0, 0.25))
    np.testing.assert_allclose(log_odds(scorer.score(dimer)), log_odds(before) - 1.75, atol=ROUNDING)
    scorer.save(tmp_path / "weights")
    np.testing.assert_array_equal(load_scorer(tmp_path / "weights").score(dimer), scorer.score(dimer))


def test_figures_that_are_none_are_refused(tmp_path):
    path = tmp_path / "figures.json"
    with pytest.raises(InputError, match="cannot be read"):
        read_calibration(path, "average")
    for text in ("no json", "[1]", json.dumps([{"model": "average"}])):
        path.write_text(text)
        with pytest.raises(InputError, match="no figures"):
            read_calibration(path, "average")
    path.write_text(json.dumps([{"model": "one", "calibration": {"scale": 0.5, "shift": 1}}]))
    assert read_calibration(path, "one") == Calibration(0.5, 1)
    with pytest.raises(InputError, match="no model 'average'; it has one"):
        read_calibration(path, "average")
