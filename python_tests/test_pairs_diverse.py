"""The order that lists likely pairs apart from each other, against a slow writing of its definition."""

from dataclasses import replace

import numpy as np
import pytest
from made_complexes import made_complex

from resblock.pairs.diverse import diverse_order


@pytest.fixture
def complex():
    """Made residues on a random walk: some near each other, some not."""
    made = made_complex(3, sizes=(30, 24))
    generator = np.random.default_rng(7)

    def walk(partner):
        return replace(
            partner, centres=np.cumsum(generator.normal(size=(len(partner), 3)) * 3, axis=0, dtype=np.float32)
        )

    return replace(made, receptor=walk(made.receptor), ligand=walk(made.ligand))


def slow_order(complex, log_odds):
    """Pair by pair, as the function's documentation has it."""
    receptor, ligand = (side.centres[side.surface].astype(float) for side in complex.partners)
    left = log_odds.astype(float)
    order = []
    for _ in range(min(300, log_odds.size)):
        row, column = np.unravel_index(np.argmax(left), left.shape)
        order.append(row * log_odds.shape[1] + column)
        for a in range(log_odds.shape[0]):
            for b in range(log_odds.shape[1]):
                apart = ((receptor[a] - receptor[row]) ** 2).sum(), ((ligand[b] - ligand[column]) ** 2).sum()
                left[a, b] -= 2.0 ** -(apart[0] / 25.0) * 2.0 ** -(apart[1] / 25.0)
        left[row, column] = -np.inf
    rest = sorted((k for k in range(log_odds.size) if k not in set(order)), key=lambda k: -log_odds.flat[k])
    return [*order, *rest]


def test_the_order_is_as_defined(complex):
    log_odds = np.random.default_rng(1).normal(-3, 1, size=complex.surface_shape).astype(np.float32)
    assert log_odds.size > 300, "pairs must be left for the second part of the list"
    order = diverse_order(*complex.surface_centres, log_odds)
    assert order.tolist() == slow_order(complex, log_odds)
    assert order.tolist() != np.argsort(-log_odds.reshape(-1), kind="stable").tolist()


def test_of_equal_log_odds_the_earlier_pairs_follow_in_order(complex):
    log_odds = np.full(complex.surface_shape, -4.5, dtype=np.float32)
    rest = diverse_order(*complex.surface_centres, log_odds)[300:]
    assert (np.diff(rest) > 0).all()


def test_a_small_table_is_listed_whole():
    complex = made_complex(1)
    log_odds = np.random.default_rng(2).random(complex.surface_shape, dtype=np.float32)
    assert sorted(diverse_order(*complex.surface_centres, log_odds)) == list(range(log_odds.size))
