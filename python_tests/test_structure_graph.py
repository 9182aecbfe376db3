"""The nearest residues of each residue, and what a network is told of them."""

from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from synthetic import random_rotation

from resblock.structure.graph import EDGE_SIZE, nearest_residues


class Spread(NamedTuple):
    """Residues that have places and sides."""

    centres: NDArray[np.float32]
    sides: NDArray[np.float32]
    linked: NDArray[np.bool_]


@pytest.fixture
def spread():
    generator = np.random.default_rng(3)
    sides = generator.normal(size=(30, 3))
    linked = np.ones(30, dtype=np.bool_)
    linked[[0, 15]] = False
    return Spread(
        (generator.normal(size=(30, 3)) * 8).astype(np.float32),
        (sides / np.linalg.norm(sides, axis=1, keepdims=True)).astype(np.float32),
        linked,
    )


def test_neighbours_are_the_nearest(spread):
    neighbours, edges = nearest_residues(*spread, 5)
    assert neighbours.shape == (30, 5)
    assert edges.shape == (30, 5, EDGE_SIZE)
    distance = np.linalg.norm(spread.centres[:, None] - spread.centres, axis=-1)
    np.fill_diagonal(distance, np.inf)
    np.testing.assert_array_equal(neighbours, np.argsort(distance, axis=1)[:, :5])
    np.testing.assert_allclose(edges[..., 6] * 10.0, np.take_along_axis(distance, neighbours, 1), rtol=1e-5)


def test_neighbours_along_the_chain_are_marked(spread):
    neighbours, edges = nearest_residues(*spread, 29)
    for k in (3, 14, 15):  # a chain begins anew at residue 15
        marked = sorted(neighbours[k][edges[k, :, -2] == 1].tolist())
        assert marked == {3: [2, 4], 14: [13], 15: [16]}[k]


def test_edges_do_not_see_the_placement(spread):
    rotation = random_rotation(np.random.default_rng(1))
    turned = spread._replace(
        centres=(spread.centres @ rotation + 7).astype(np.float32),
        sides=(spread.sides @ rotation).astype(np.float32),
    )
    for one, other in zip(nearest_residues(*spread), nearest_residues(*turned), strict=True):
        np.testing.assert_allclose(one, other, atol=2e-5)  # float32 coordinates


def test_missing_neighbours_are_marked(spread):
    neighbours, edges = nearest_residues(*spread, 40)
    assert (neighbours[:, 29:] == -1).all()
    assert (edges[:, 29:] == 0).all()
    assert (neighbours[:, :29] >= 0).all()


def slow_edge(partner, a, b):
    """What a network is told of residue b as a neighbour of a, number by number."""
    centres, sides = partner.centres.astype(float), partner.sides.astype(float)

    def normal(k):
        weights = [min(max(0.5 + (14.0 - np.linalg.norm(centres[k] - x)) / 2.0, 0.0), 1.0) for x in centres]
        offset = centres[k] - np.average(centres, axis=0, weights=weights)
        return offset / np.sqrt(offset @ offset + 1.0)

    distance = np.linalg.norm(centres[b] - centres[a])
    way = (centres[b] - centres[a]) / distance
    same_piece = all(partner.linked[min(a, b) + 1 : max(a, b) + 1])
    return [
        *(np.exp(-(((distance - bump) / 2.0) ** 2)) for bump in (4, 6, 8, 10, 12, 15)),
        distance / 10.0,
        way @ sides[a],
        way @ sides[b],
        sides[a] @ sides[b],
        way @ normal(a),
        normal(a) @ normal(b),
        float(same_piece and abs(a - b) == 1),
        float(same_piece and abs(a - b) == 2),
    ]


def test_edges_are_as_defined(spread):
    neighbours, edges = nearest_residues(*spread)
    assert neighbours.shape == (30, 16)
    for a in range(30):
        for k, b in enumerate(neighbours[a]):
            np.testing.assert_allclose(edges[a, k], slow_edge(spread, a, b), atol=1e-5)


def test_of_residues_equally_near_the_earlier_comes_first(spread):
    line = np.column_stack([4.0 * np.arange(30), np.zeros(30), np.zeros(30)]).astype(np.float32)
    neighbours, _ = nearest_residues(*spread._replace(centres=line), 4)
    assert neighbours[10].tolist() == [9, 11, 8, 12]
    assert neighbours[0].tolist() == [1, 2, 3, 4]


def test_residues_in_one_place_have_edges(spread):
    centres = spread.centres.copy()
    centres[1] = centres[0]
    neighbours, edges = nearest_residues(*spread._replace(centres=centres), 3)
    assert neighbours[0, 0] == 1
    assert np.isfinite(edges).all()
    assert edges[0, 0, 7:9].tolist() == [0.0, 0.0]
