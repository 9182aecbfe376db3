"""The order that lists likely pairs apart from each other, against a slow writing of its definition."""

from dataclasses import replace

import numpy as np
import pytest
from made_dimers import made_dimer

from resblock.scoring import diverse_order


@pytest.fixture
def dimer():
    """Made residues on a random walk: some near each other, some not."""
    made = made_dimer(3, sizes=(30, 24))
    generator = np.random.default_rng(7)

    def walk(partner):
        return replace(
            partner, centres=np.cumsum(generator.normal(size=(len(partner), 3)) * 3, axis=0, dtype=np.float32)
        )

    return replace(made, receptor=walk(made.receptor), ligand=walk(made.ligand))


def slow_order(dimer, scores):
    """Pair by pair, as the function's documentation has it."""
    receptor, ligand = (side.centres[side.surface].astype(float) for side in (dimer.receptor, dimer.ligand))
    left = np.log(scores.astype(float)) - np.log1p(-scores.astype(float))
    order = []
    for _ in range(min(300, scores.size)):
        row, column = np.unravel_index(np.argmax(left), left.shape)
        order.append(row * scores.shape[1] + column)
        for a in range(scores.shape[0]):
            for b in range(scores.shape[1]):
                apart = ((receptor[a] - receptor[row]) ** 2).sum(), ((ligand[b] - ligand[column]) ** 2).sum()
                left[a, b] -= 2.0 ** -(apart[0] / 25.0) * 2.0 ** -(apart[1] / 25.0)
        left[row, column] = -np.inf
    rest = sorted((k for k in range(scores.size) if k not in set(order)), key=lambda k: -scores.flat[k])
    return [*order, *rest]


def test_the_order_is_as_defined(dimer):
    shape = dimer.receptor.surface.sum(), dimer.ligand.surface.sum()
    scores = np.random.default_rng(1).beta(1, 20, size=shape).astype(np.float32)
    assert scores.size > 300, "pairs must be left for the second part of the list"
    order = diverse_order(dimer, scores)
    assert order.tolist() == slow_order(dimer, scores)
    assert order.tolist() != np.argsort(-scores.reshape(-1), kind="stable").tolist()


def test_of_equal_scores_the_earlier_pairs_follow_in_order(dimer):
    shape = dimer.receptor.surface.sum(), dimer.ligand.surface.sum()
    scores = np.full(shape, 0.01, dtype=np.float32)
    rest = diverse_order(dimer, scores)[300:]
    assert (np.diff(rest) > 0).all()


def test_a_small_table_is_listed_whole():
    dimer = made_dimer(1)
    scores = np.random.default_rng(2).random(
        (dimer.receptor.surface.sum(), dimer.ligand.surface.sum()), dtype=np.float32
    )
    assert sorted(diverse_order(dimer, scores)) == list(range(scores.size))
