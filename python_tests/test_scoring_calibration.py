"""Corrections of scores: that they are found, that they are applied, and that the order of pairs stays."""

import json

import numpy as np
import pytest
from made_dimers import made_dimer, made_scorer
from sklearn.linear_model import LogisticRegression

from resblock.errors import InputError
from resblock.scoring import EnsembleScorer, load_scorer
from resblock.scoring.calibration import Calibration, fit_calibration, log_odds, reliability
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


def test_the_correction_is_that_of_logistic_regression():
    """Scikit-learn's, without a penalty, on labels taken for probabilities as Platt has it."""
    exact, labels = drawn(3000)
    scores = np.float32(1 / (1 + np.exp(-(0.6 * exact - 0.4))))
    true = labels.sum()
    high, low = (true + 1) / (true + 2), 1 / (len(labels) - true + 2)
    share = np.where(labels, high, low)
    inputs = np.tile(log_odds(scores), 2)[:, None]
    model = LogisticRegression(C=1e12, tol=1e-12, solver="newton-cholesky")
    model.fit(inputs, np.repeat([1, 0], len(labels)), sample_weight=np.concatenate([share, 1 - share]))
    found = fit_calibration(scores, labels)
    # The search ends where a step changes the mean loss, of a curvature of about 0.05, by less than 1e-9.
    assert found.scale == pytest.approx(model.coef_[0, 0], abs=4e-4)
    assert found.shift == pytest.approx(model.intercept_[0], abs=4e-4)


def test_a_correction_scales_then_shifts_the_log_odds():
    scores = np.float32([0.1, 0.5, 0.9])
    corrected = Calibration(2.0, -1.0)(scores)
    expected = 1 / (1 + np.exp(-(2.0 * np.log(scores / (1 - scores.astype(float))) - 1.0)))
    np.testing.assert_allclose(corrected, expected, rtol=1e-5)
    assert corrected.dtype == np.float32
    np.testing.assert_allclose(Calibration()(scores), scores, rtol=1e-6)


def test_log_odds_of_sure_scores_are_finite():
    assert log_odds(np.float32([0.0, 0.5, 1.0])) == pytest.approx([np.log(1e-7), 0.0, -np.log(1e-7)], rel=1e-6)
    table = np.float32([[0.2, 0.8]])
    np.testing.assert_allclose(log_odds(table), np.log([[0.25, 4.0]]), rtol=1e-6)
    assert log_odds(table).dtype == np.float64


def test_reliability_by_hand():
    """A score on a limit belongs above it."""
    scores = np.array([0.0, 2e-5, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 0.05, 0.2, 1.0])
    labels = np.array([False, True, False, False, True, True, False, False, True, True])
    rows = reliability(scores, labels)
    assert [(row.low, row.high, row.pairs, row.true_share) for row in rows] == [
        (0.0, 1e-5, 1, 0.0), (1e-5, 1e-4, 1, 1.0), (1e-4, 1e-3, 1, 0.0), (1e-3, 3e-3, 2, 0.5),
        (3e-3, 1e-2, 1, 1.0), (1e-2, 3e-2, 1, 0.0), (3e-2, 1e-1, 1, 0.0), (1e-1, 1.0, 2, 1.0),
    ]  # fmt: skip
    assert [row.mean_score for row in rows] == pytest.approx([0.0, 2e-5, 5e-4, 1.5e-3, 5e-3, 0.01, 0.05, 0.6])
    assert [row.pairs for row in reliability(scores[:2], labels[:2])] == [1, 1], "empty ranges are left out"


def test_a_scorer_is_corrected_in_its_log_odds():
    dimer = made_dimer(1)
    scorer = made_scorer(dimer)
    before = log_odds(scorer.score(dimer))
    scorer.calibrate(Calibration(0.5, -1.0))
    np.testing.assert_allclose(log_odds(scorer.score(dimer)), 0.5 * before - 1.0, atol=ROUNDING)
