"""Which pairs a model is trained on: the closest, or any."""

from dataclasses import replace

import numpy as np
import pytest
from made_complexes import made_complex

from resblock.errors import InputError
from resblock.pairs.selection import Closest, Random


@pytest.fixture
def complexes():
    """Some residues of which have no place in the bound complex."""
    made = []
    for seed in range(3):
        generator = np.random.default_rng(seed)
        distance = generator.uniform(2, 60, (30, 21)).astype(np.float32)
        distance[4] = np.nan
        area = np.where(distance < 4, 5.0, 0.0).astype(np.float32)
        made.append(replace(made_complex(seed, f"D{seed}", (30, 21)), contact_area=area, distance=distance))
    return made


def test_closest(complexes):
    one = complexes[0]
    pairs, labels = Closest(multiple=3)(one, np.random.default_rng(0))
    surface = np.ix_(one.receptor.surface, one.ligand.surface)
    truth = one.contact_area[surface] > 0
    assert labels.sum() == truth.sum()
    np.testing.assert_array_equal(labels, one.contact_area[tuple(pairs.T)] > 0)
    assert one.receptor.surface[pairs[:, 0]].all()
    assert one.ligand.surface[pairs[:, 1]].all()
    assert len({tuple(pair) for pair in pairs.tolist()}) == len(pairs)
    chosen = {tuple(pair) for pair in pairs.tolist()}
    known = np.sort(one.distance[surface][np.isfinite(one.distance[surface])])
    nearest = known[3 * truth.sum() - 1]
    close = np.zeros(one.distance.shape, dtype=bool)
    close[surface] = one.distance[surface] <= nearest
    assert {tuple(pair) for pair in np.argwhere(close).tolist()} <= chosen
    # Every other pair lies within one residue of a close one.
    for a, b in chosen:
        assert close[max(a - 1, 0) : a + 2, max(b - 1, 0) : b + 2].any()


def test_random(complexes):
    one = complexes[0]
    draw = lambda seed: Random(2.5)(one, np.random.default_rng(seed))  # noqa: E731
    pairs, labels = draw(0)
    positives = int(one.labels().sum())
    assert labels.sum() == positives
    assert len(labels) == positives + round(2.5 * positives)
    np.testing.assert_array_equal(labels, one.contact_area[tuple(pairs.T)] > 0)
    assert len({tuple(pair) for pair in pairs.tolist()}) == len(pairs)
    np.testing.assert_array_equal(draw(0)[0], pairs)
    assert not np.array_equal(draw(1)[0], pairs)


def test_more_negatives_than_there_are(complexes):
    pairs, _ = Random(1e6)(complexes[0], np.random.default_rng(0))
    assert len(pairs) == len(complexes[0].surface_pairs())


def slow_closest(one, multiple):
    """The selection's definition with sets of pairs."""
    surface = {tuple(pair) for pair in one.surface_pairs().tolist()}
    true = {pair for pair in surface if one.contact_area[pair] > 0}
    known = sorted((pair for pair in surface if np.isfinite(one.distance[pair])), key=lambda p: (one.distance[p], p))
    chosen = set(true)
    for a, b in known[: round(multiple * len(true))]:
        rows, columns = ([k for k in (x - 1, x, x + 1) if 0 <= k < len(side) and side.linked[max(k, x)] | (k == x)]
                         for x, side in ((a, one.receptor), (b, one.ligand)))  # fmt: skip
        chosen |= {(i, j) for i in rows for j in columns} & surface
    return chosen, true


@pytest.mark.parametrize("multiple", [0.5, 3, 1e6])
def test_closest_is_as_defined(complexes, multiple):
    for one in complexes:
        pairs, labels = Closest(multiple)(one, np.random.default_rng(0))
        chosen, true = slow_closest(one, multiple)
        assert [tuple(pair) for pair in pairs.tolist()] == sorted(chosen)
        assert {tuple(pair) for pair in pairs[labels].tolist()} == true


def test_the_papers_multiples():
    assert (Closest().multiple, Random().negatives_per_positive) == (10.0, 20.0)
    assert (Closest.fixed, Random.fixed) == (True, False)


def test_closest_needs_distances(complexes):
    with pytest.raises(InputError, match="D0: no distances"):
        Closest()(replace(complexes[0], distance=None), np.random.default_rng(0))
