"""What to expect of lists, from log-odds and labels of which it is known."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from resblock.models import interface_log_odds, probability
from resblock.training.expectations import _rank_correlation, cutoffs, fit_expectations


def drawn(seed, count=30, shape=(40, 30)):
    """Dimers whose contacts happen as often as their log-odds say."""
    generator = np.random.default_rng(seed)
    tables = [generator.normal(-4, 1.2, shape).astype(np.float32) for _ in range(count)]
    return tables, [generator.random(shape) < probability(table) for table in tables]


def test_residues_are_calibrated_to_what_happens():
    tables, labels = drawn(1)
    told = fit_expectations(tables, labels, [True] * len(tables))
    again, contacts = drawn(2)
    found = np.concatenate([np.concatenate(interface_log_odds(table)) for table in again])
    inside = np.concatenate([np.concatenate([c.any(axis=1), c.any(axis=0)]) for c in contacts])
    probabilities = probability((told.residue_scale * found + told.residue_shift).astype(np.float32))
    assert probabilities.mean() == pytest.approx(inside.mean(), abs=0.03)
    sure = probabilities > np.median(probabilities)
    assert probabilities[sure].mean() == pytest.approx(inside[sure].mean(), abs=0.04)


def test_cutoffs_by_hand():
    probabilities = np.linspace(1, 0.01, 100).astype(np.float32)
    labels = np.zeros(100, dtype=bool)
    labels[:45] = labels[60:65] = True
    rows = cutoffs(probabilities, labels)
    assert [row.precision for row in rows] == sorted((row.precision for row in rows), reverse=True)
    first = rows[0]
    # At least fifty are marked: 45 of 50 touch.
    assert first.precision == pytest.approx(0.9)
    assert first.recall == pytest.approx(0.9)
    assert first.probability == probabilities[49]
    assert rows[-1].recall == 1.0
    for row in rows:
        marked = probabilities >= np.float32(row.probability)
        assert labels[marked].mean() == pytest.approx(row.precision)
        assert labels[marked].sum() / labels.sum() == pytest.approx(row.recall)


def test_equal_probabilities_are_marked_together():
    probabilities = np.float32([0.9] * 60 + [0.5] * 100)
    labels = np.array([True] * 60 + [False] * 100)
    assert {row.probability for row in cutoffs(probabilities, labels)} == {np.float32(0.9), np.float32(0.5)}


def test_only_dimers_without_a_homologue_tell_what_to_expect():
    tables, labels = drawn(3, count=6)
    labels[0][:] = False
    labels[0].reshape(-1)[tables[0].argmax()] = True
    for k in range(1, 6):
        labels[k].reshape(-1)[tables[k].reshape(-1).argsort()[-20:]] = False
    told = fit_expectations(tables, labels, [True] + [False] * 5)
    assert told.dimers == 1
    assert told.first_pairs == dict.fromkeys((1, 5, 10, 20, 50, 100), 1.0)
    told = fit_expectations(tables, labels, [False] + [True] * 5)
    assert told.first_pairs[10] == told.first_pairs[20] == 0.0
    assert fit_expectations(tables, labels, [False] * 6) is None


def test_the_rank_correlation_is_that_of_scipy():
    generator = np.random.default_rng(4)
    first, second = generator.integers(0, 8, 40).astype(float), generator.normal(size=40)
    assert _rank_correlation(first, second) == pytest.approx(spearmanr(first, second).statistic)
    assert _rank_correlation(np.ones(5), second[:5]) == 0.0


def test_a_height_that_tells_has_an_interval_above_zero():
    generator = np.random.default_rng(5)
    tables, labels = [], []
    for k in range(25):
        table = generator.normal(-5, 1, (20, 20)).astype(np.float32)
        label = generator.random((20, 20)) < 0.05
        table[label] += k / 5
        tables.append(table)
        labels.append(label)
    told = fit_expectations(tables, labels, [True] * 25)
    assert told.height_auroc > 0.7
    assert 0 < told.height_interval[0] < told.height_auroc < told.height_interval[1]
    assert len(told.heights) == 11
    assert list(told.heights) == sorted(told.heights)
