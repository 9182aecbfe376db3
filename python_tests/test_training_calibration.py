"""Calibration: that it is found, that it is applied, and that the order of pairs stays; and reliability."""

import json

import numpy as np
import pytest
from made_complexes import made_complex, made_model
from sklearn.linear_model import LogisticRegression

from resblock.errors import InputError
from resblock.evaluation.reliability import reliability
from resblock.models import Calibration, Ensemble, load_ensemble, probability, save_ensemble
from resblock.training.calibration import fit_calibration
from resblock.training.cross_validation import read_calibration

# float32 log-odds of up to about 5, scaled: their rounding.
ROUNDING = 2e-6


def drawn(count=200_000, seed=3):
    """Log-odds and labels of which they are true."""
    generator = np.random.default_rng(seed)
    exact = generator.normal(-3, 1.5, count).astype(np.float32)
    return exact, generator.random(count) < 1 / (1 + np.exp(-exact))


def test_a_distortion_is_found_and_undone():
    exact, labels = drawn()
    distorted = np.float32(1.8) * exact + np.float32(0.7)
    found = fit_calibration(distorted, labels)
    # A few standard errors of 200,000 draws.
    assert found.scale == pytest.approx(1 / 1.8, rel=0.03)
    assert found.shift == pytest.approx(-0.7 / 1.8, abs=0.05)
    again = fit_calibration(found(distorted), labels)
    assert (again.scale, again.shift) == pytest.approx((1, 0), abs=1e-4)


def test_reliability_counts_all_pairs_and_agrees_where_probabilities_are_right():
    exact, labels = drawn()
    rows = reliability(probability(exact), labels)
    assert sum(row.pairs for row in rows) == len(exact)
    assert sum(row.positive_share * row.pairs for row in rows) == pytest.approx(labels.sum())
    for row in rows:
        assert row.low <= row.mean_probability <= row.high
        standard_error = np.sqrt(row.mean_probability / row.pairs)
        assert row.positive_share == pytest.approx(row.mean_probability, abs=4 * standard_error)


def test_reliability_by_hand():
    """A probability on a limit belongs above it."""
    probabilities = np.array([0.0, 2e-5, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 0.05, 0.2, 1.0])
    labels = np.array([False, True, False, False, True, True, False, False, True, True])
    rows = reliability(probabilities, labels)
    assert [(row.low, row.high, row.pairs, row.positive_share) for row in rows] == [
        (0.0, 1e-5, 1, 0.0), (1e-5, 1e-4, 1, 1.0), (1e-4, 1e-3, 1, 0.0), (1e-3, 3e-3, 2, 0.5),
        (3e-3, 1e-2, 1, 1.0), (1e-2, 3e-2, 1, 0.0), (3e-2, 1e-1, 1, 0.0), (1e-1, 1.0, 2, 1.0),
    ]  # fmt: skip
    means = [row.mean_probability for row in rows]
    assert means == pytest.approx([0.0, 2e-5, 5e-4, 1.5e-3, 5e-3, 0.01, 0.05, 0.6])
    assert [row.pairs for row in reliability(probabilities[:2], labels[:2])] == [1, 1], "empty ranges are left out"


@pytest.mark.parametrize("labels", [[True, True], [False, False], [False, True]])
def test_few_pairs_make_no_probability_sure(labels):
    log_odds = np.float32([-2.2, -1.4])
    assert ((probability(fit_calibration(log_odds, np.array(labels))(log_odds)) - 0.5) ** 2 < 0.15).all()


def test_the_calibration_is_that_of_logistic_regression():
    """Scikit-learn's, without a penalty, on labels taken for probabilities as Platt has it."""
    exact, labels = drawn(3000)
    log_odds = np.float32(0.6) * exact - np.float32(0.4)
    positives = labels.sum()
    high, low = (positives + 1) / (positives + 2), 1 / (len(labels) - positives + 2)
    share = np.where(labels, high, low)
    model = LogisticRegression(C=1e12, tol=1e-12, solver="newton-cholesky")
    weights = np.concatenate([share, 1 - share])
    model.fit(np.tile(log_odds, 2)[:, None], np.repeat([1, 0], len(labels)), sample_weight=weights)
    found = fit_calibration(log_odds, labels)
    # The search ends where a step changes the mean loss, of a curvature of about 0.05, by less than 1e-9.
    assert found.scale == pytest.approx(model.coef_[0, 0], abs=4e-4)
    assert found.shift == pytest.approx(model.intercept_[0], abs=4e-4)


def test_a_calibration_scales_and_then_shifts():
    log_odds = np.float32([[-2.0, 0.0, 30.0]])
    np.testing.assert_array_equal(Calibration(2.0, -1.0)(log_odds), np.float32([[-5.0, -1.0, 59.0]]))
    assert Calibration(2.0, -1.0)(log_odds).dtype == np.float32
    np.testing.assert_array_equal(Calibration()(log_odds), log_odds)


def test_probabilities_of_log_odds():
    np.testing.assert_allclose(probability(np.float32([[-1.0, 0.0, 2.0]])), [[0.26894143, 0.5, 0.88079706]], rtol=1e-6)
    assert probability(np.float32([-200.0, 200.0])).tolist() == [0.0, 1.0]
    assert probability(np.float32([1.0])).dtype == np.float32


def test_the_log_odds_of_an_ensemble_are_calibrated_again_and_again(tmp_path):
    complex = made_complex(1)
    ensemble = Ensemble([made_model("residues", complex, seed) for seed in (2, 3)])
    before = ensemble.complex_log_odds(complex)
    ensemble.calibrate(Calibration(0.5, -1.0))
    np.testing.assert_allclose(ensemble.complex_log_odds(complex), 0.5 * before - 1.0, atol=ROUNDING)
    ensemble.calibrate(Calibration(2.0, 0.25))
    np.testing.assert_allclose(ensemble.complex_log_odds(complex), before - 1.75, atol=ROUNDING)
    assert ensemble.card["calibration"] == {"scale": 2.0, "shift": 0.25}
    save_ensemble(tmp_path / "weights", ensemble)
    loaded = load_ensemble(tmp_path / "weights")
    np.testing.assert_array_equal(loaded.complex_log_odds(complex), ensemble.complex_log_odds(complex))


def test_metrics_that_are_none_are_refused(tmp_path):
    path = tmp_path / "metrics.json"
    with pytest.raises(InputError, match="no such file"):
        read_calibration(path, "ensemble")
    for text in ("no json", "[1]", json.dumps([{"model": "ensemble"}])):
        path.write_text(text)
        with pytest.raises(InputError, match="no metrics"):
            read_calibration(path, "ensemble")
    path.write_text(json.dumps([{"model": "one", "calibration": {"scale": 0.5, "shift": 1}}]))
    assert read_calibration(path, "one") == (Calibration(0.5, 1), None)
    with pytest.raises(InputError, match="no model 'ensemble'; it has one"):
        read_calibration(path, "ensemble")
