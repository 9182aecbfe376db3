import numpy as np
import pytest

from resblock.structure.geometry import pairs_within


@pytest.mark.parametrize("shape", [(30, 30, 30), (200, 1, 1), (1, 1, 200), (1, 0, 1)])
@pytest.mark.parametrize("distance", [0.3, 1.0, 7.0, 500.0])
def test_pairs_are_those_of_the_whole_table(shape, distance):
    points = np.random.default_rng(1).random((300, 3)) * shape - 11.0
    table = np.linalg.norm(points[:, None] - points, axis=2)
    expected = [(i, j) for i in range(300) for j in range(i + 1, 300) if table[i, j] <= distance]
    found = pairs_within(points, distance)
    assert found.dtype == np.int64
    assert list(map(tuple, found.tolist())) == expected


def test_the_limit_itself_and_points_at_one_place_are_within():
    points = np.array([[0.0, 0.0, 0.0], [2.0, 0.0, 0.0], [0.0, 0.0, 0.0], [4.5, 0.0, 0.0]])
    assert pairs_within(points, 2.0).tolist() == [[0, 1], [0, 2], [1, 2]]


@pytest.mark.parametrize("count", [0, 1])
def test_no_two_points_are_no_pair(count):
    assert pairs_within(np.zeros((count, 3)), 1.0).shape == (0, 2)
