import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from resblock.pairs.dataset import (
    Closest,
    PairWindows,
    Random,
    TrainingPairs,
    pair_weights,
    standardisation,
    surface_batches,
)
from torch.utils.data import DataLoader

from resblock.errors import InputError
from resblock.pairs import Dimer, DimerPartner
from resblock.structure import PAPER_FEATURES, Residue
from resblock.structure.scales import NEUTRAL_PKA


def partner(generator, size, chain="A"):
    features = generator.normal(size=(size, 9)).astype(np.float32)
    features[::3, 7:] = np.nan
    linked = generator.random(size) < 0.8
    linked[0] = False
    return DimerPartner(
        residues=tuple(Residue(chain, k + 1, "", "ALA", "ALA") for k in range(size)),
        features=features,
        linked=linked,
        surface=generator.random(size) < 0.85,
        centres=generator.normal(size=(size, 3)).astype(np.float32),
        sides=np.zeros((size, 3), dtype=np.float32),
    )


def dimer(seed, receptor=30, ligand=21):
    generator = np.random.default_rng(seed)
    distance = generator.uniform(2, 60, (receptor, ligand)).astype(np.float32)
    distance[4] = np.nan
    return Dimer(
        code=f"D{seed}",
        receptor=partner(generator, receptor),
        ligand=partner(generator, ligand, "B"),
        feature_names=PAPER_FEATURES,
        contact_area=np.where(distance < 4, 5.0, 0.0).astype(np.float32),
        distance=distance,
    )


@pytest.fixture
def dimers():
    return [dimer(seed) for seed in range(3)]


def slow_window(one, a, b, swapped, mean, scale):
    """A window written out from its definition."""
    first, second = (one.ligand, one.receptor) if swapped else (one.receptor, one.ligand)
    i, j = (b, a) if swapped else (a, b)

    def reach(side, k):
        before = [k - 1] if k > 0 and side.linked[k] else []
        after = [k + 1] if k + 1 < len(side) and side.linked[k + 1] else []
        return [*before, k, *after]

    def row(side, k):
        return (np.nan_to_num(side.features[k], nan=NEUTRAL_PKA) - mean) / scale

    return np.array(
        [np.concatenate([row(first, x), row(second, y)]) for x in reach(first, i) for y in reach(second, j)]
    )


@pytest.mark.parametrize("swapped", [False, True])
def test_windows(dimers, swapped):
    mean, scale = standardisation(dimers)
    windows = PairWindows(dimers, mean, scale)
    for k, one in enumerate(dimers):
        pairs = one.surface_pairs()
        rows = windows.rows(k, pairs)
        got, lengths = windows.gather(rows[:, ::-1] if swapped else rows)
        assert got.shape == (9, len(pairs), 18)
        assert (got.dtype, lengths.dtype) == (torch.float32, torch.int64)
        for p in range(0, len(pairs), 17):
            expected = slow_window(one, *pairs[p], swapped, mean, scale)
            assert lengths[p] == len(expected)
            np.testing.assert_allclose(got[: lengths[p], p].numpy(), expected, atol=1e-5)
            assert (got[lengths[p] :, p] == 0).all()


def test_standardisation_is_over_surface_residues(dimers):
    mean, scale = standardisation(dimers)
    sides = [side for one in dimers for side in (one.receptor, one.ligand)]
    rows = np.concatenate([np.nan_to_num(s.features[s.surface], nan=7.0) for s in sides])
    np.testing.assert_allclose(mean, rows.mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(scale, rows.std(axis=0), atol=1e-5)


def test_a_constant_feature_is_not_divided_by_zero(dimers):
    def constant(side):
        return replace(side, features=np.ones_like(side.features))

    same = [replace(d, receptor=constant(d.receptor), ligand=constant(d.ligand)) for d in dimers]
    np.testing.assert_array_equal(standardisation(same)[1], np.ones(9))


def test_other_features_are_refused(dimers):
    with pytest.raises(InputError, match="D1: its features differ"):
        standardisation([dimers[0], replace(dimers[1], feature_names=("IC",))])
    with pytest.raises(InputError, match="none given"):
        PairWindows([])


@pytest.mark.parametrize("batch_size", [1, 7, 100, 10_000])
def test_surface_batches_are_all_surface_pairs_in_order(dimers, batch_size):
    batches = list(surface_batches(dimers[0], batch_size))
    assert max(map(len, batches)) <= batch_size
    np.testing.assert_array_equal(np.concatenate(batches), dimers[0].surface_pairs())


def test_closest(dimers):
    one = dimers[0]
    pairs, labels = Closest(multiple=3)(one, np.random.default_rng(0))
    surface = np.ix_(one.receptor.surface, one.ligand.surface)
    truth = one.contact_area[surface] > 0
    assert labels.sum() == truth.sum()
    np.testing.assert_array_equal(labels, one.contact_area[tuple(pairs.T)] > 0)
    assert one.receptor.surface[pairs[:, 0]].all()
    assert one.ligand.surface[pairs[:, 1]].all()
    assert len({tuple(pair) for pair in pairs.tolist()}) == len(pairs)
    kept = {tuple(pair) for pair in pairs.tolist()}
    known = np.sort(one.distance[surface][np.isfinite(one.distance[surface])])
    nearest = known[3 * truth.sum() - 1]
    close = np.zeros(one.distance.shape, dtype=bool)
    close[surface] = one.distance[surface] <= nearest
    assert {tuple(pair) for pair in np.argwhere(close).tolist()} <= kept
    # Every other pair lies within one residue of a close one.
    for a, b in kept:
        assert close[max(a - 1, 0) : a + 2, max(b - 1, 0) : b + 2].any()


def test_random(dimers):
    one = dimers[0]
    draw = lambda seed: Random(2.5)(one, np.random.default_rng(seed))  # noqa: E731
    pairs, labels = draw(0)
    true = int(one.labels().sum())
    assert labels.sum() == true
    assert len(labels) == true + round(2.5 * true)
    np.testing.assert_array_equal(labels, one.contact_area[tuple(pairs.T)] > 0)
    assert len({tuple(pair) for pair in pairs.tolist()}) == len(pairs)
    np.testing.assert_array_equal(draw(0)[0], pairs)
    assert not np.array_equal(draw(1)[0], pairs)


def test_more_negatives_than_there_are(dimers):
    pairs, _ = Random(1e6)(dimers[0], np.random.default_rng(0))
    assert len(pairs) == len(dimers[0].surface_pairs())


@pytest.mark.parametrize("selection", [Closest(2), Random(3)])
def test_epochs(dimers, selection):
    training = TrainingPairs(dimers, selection, 16, seed=1)
    rows, labels = training.draw(0)
    again, _ = TrainingPairs(dimers, selection, 99, seed=1).draw(0)
    np.testing.assert_array_equal(rows, again)
    assert not np.array_equal(training.draw(1)[0], rows)
    assert not np.array_equal(TrainingPairs(dimers, selection, 16, seed=2).draw(0)[0], rows)
    batches = list(DataLoader(training, batch_size=None))
    np.testing.assert_array_equal(torch.cat([batch.labels for batch in batches]).numpy(), labels)
    assert all(batch.windows.shape[1] == len(batch.labels) <= 16 for batch in batches)
    assert all((batch.weights == 1 / len(batch.labels)).all() for batch in batches)


def test_weights_of_true_pairs():
    true = np.array([True, False, False, True, False])
    np.testing.assert_allclose(pair_weights(true, 0.0), 0.2)
    np.testing.assert_allclose(pair_weights(true, 0.4), [0.2, 0.2, 0.2, 0.2, 0.2])
    np.testing.assert_allclose(pair_weights(true, 0.7), [0.35, 0.1, 0.1, 0.35, 0.1], rtol=1e-6)
    np.testing.assert_allclose(pair_weights(true[1:3], 0.7), 0.5)
    assert len(pair_weights(true[:0], 0.7)) == 0


def test_both_orders_are_shown(dimers):
    rows, _ = TrainingPairs(dimers, Random(10), 16).draw(0)
    receptor_first = (rows[:, 0] < rows[:, 1]).mean()
    assert 0.4 < receptor_first < 0.6


def test_ranks_share_an_epoch(dimers):
    def labels(rank, world_size):
        training = TrainingPairs(dimers, Random(5), 16, rank=rank, world_size=world_size)
        return [batch.labels for batch in training]

    whole = labels(0, 1)
    parts = [labels(rank, 3) for rank in range(3)]
    assert {len(part) for part in parts} == {len(whole) // 3}
    for k, part in enumerate(parts):
        for mine, expected in zip(part, whole[k::3], strict=False):
            assert torch.equal(mine, expected)


def test_memory_of_a_large_dimer_stays_small():
    """2,000 x 2,000 residues: 4 million windows of 648 bytes are 2.6 GB if made at once."""
    program = """
        import resource
        from dataclasses import replace
        import numpy as np
        from test_pairs_dataset import partner
        from resblock.pairs import Dimer
        from resblock.pairs.dataset import PairWindows, surface_batches
        from resblock.structure import PAPER_FEATURES
        generator = np.random.default_rng(0)
        sides = [partner(generator, 2000) for _ in range(2)]
        sides = [replace(side, surface=np.ones(2000, dtype=bool)) for side in sides]
        dimer = Dimer("BIG", *sides, PAPER_FEATURES)
        windows = PairWindows([dimer])
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        total = 0
        for pairs in surface_batches(dimer, 65536):
            total += len(pairs)
            if total < 700_000:
                windows.gather(windows.rows(0, pairs))
        assert total == 4_000_000
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parent,
    )
    assert int(done.stdout) < 300_000  # kilobytes
