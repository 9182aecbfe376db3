"""The paper's model: its windows, the pairs it is trained on, and the mean over both orders."""

import dataclasses
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch
from made_complexes import made_complex, made_model
from torch.utils.data import DataLoader

from resblock.errors import InputError
from resblock.models import Drawing
from resblock.models.examples import pair_weights
from resblock.models.windows import WindowExamples, WindowModelConfig, windows_around
from resblock.pairs.selection import Closest
from resblock.structure.scales import NEUTRAL_PKA

# float32 sums in another order: batches of another size, lanes of another vector.
ROUNDING = 1e-6


@pytest.fixture
def complexes():
    return [made_complex(seed, f"D{seed}", (30, 21)) for seed in range(3)]


@pytest.mark.parametrize(
    ("name", "allowed", "refused"),
    [
        ("hidden_size", (1, 64), (0, -1)),
        ("num_layers", (1, 60), (0, -1)),
        ("input_dropout", (0.0, 0.999), (1.0, -0.001)),
        ("dropout", (0.0, 0.999), (1.0, -0.001)),
        ("output_peephole", ("current", "previous"), ("next",)),
        ("window", (1, 3, 5), (-1, 0, 2)),
        ("closest_per_positive", (0.001,), (0.0, -1.0)),
        ("negatives_per_positive", (0.001,), (0.0, -1.0)),
        ("positive_weight", (0.0, 0.999), (1.0, -0.001)),
    ],
)
def test_values_that_mean_nothing_are_refused(name, allowed, refused):
    for value in allowed:
        WindowModelConfig(**{name: value}).check()
    for value in refused:
        with pytest.raises(InputError, match=f"^model.{name} is {value}; it must be "):
            WindowModelConfig(**{name: value}).check()


def slow_window(model, first, second, i, j):
    """A window of residue i of a partner and j of another, written out from its definition."""
    names, mean, scale = model.scaling

    def reach(side, k):
        before = [k - 1] if k > 0 and side.linked[k] else []
        after = [k + 1] if k + 1 < len(side) and side.linked[k + 1] else []
        return [*before, k, *after]

    def row(side, k):
        values = np.nan_to_num([side.features[k, side.feature_names.index(name)] for name in names], nan=NEUTRAL_PKA)
        return np.clip((values - mean) / scale, -6.0, 6.0)

    return np.array(
        [np.concatenate([row(first, x), row(second, y)]) for x in reach(first, i) for y in reach(second, j)]
    )


@pytest.mark.parametrize("swapped", [False, True])
def test_windows(complexes, swapped):
    model = made_model("windows", complexes[0])
    for one in complexes:
        first, second = one.partners[::-1] if swapped else one.partners
        pairs = one.surface_pairs()[:, ::-1] if swapped else one.surface_pairs()
        got, lengths = windows_around(model.encode(first), model.encode(second), pairs)
        assert got.shape == (9, len(pairs), 18)
        assert (got.dtype, lengths.dtype) == (torch.float32, torch.int64)
        for p in range(0, len(pairs), 17):
            expected = slow_window(model, first, second, *pairs[p])
            assert lengths[p] == len(expected)
            np.testing.assert_allclose(got[: lengths[p], p].numpy(), expected, atol=1e-5)
            assert (got[lengths[p] :, p] == 0).all()


def test_wider_windows_hold_more_steps(complexes):
    model = made_model("windows", complexes[0], window=5)
    got, lengths = windows_around(*map(model.encode, complexes[0].partners), complexes[0].surface_pairs())
    assert got.shape[0] == lengths.max() == 25


def test_a_score_is_the_mean_probability_over_both_orders(complexes):
    model, one = made_model("windows", complexes[0]).eval(), complexes[0]
    receptor, ligand = map(model.encode, one.partners)
    pairs = one.surface_pairs()
    with torch.inference_mode():
        both = [
            torch.sigmoid(model.calibrated(model(*windows_around(*order))).double())
            for order in ((receptor, ligand, pairs), (ligand, receptor, pairs[:, ::-1]))
        ]
    expected = torch.logit(torch.stack(both).mean(0)).numpy()
    np.testing.assert_allclose(model.pair_log_odds(receptor, ligand, pairs), expected, rtol=0, atol=ROUNDING)
    assert (both[0] - both[1]).abs().max() > 1e-4, "the orders must differ for this test to tell anything"


def test_log_odds_far_from_even_are_exact(complexes):
    """Probabilities of 1e-30 have no place in float32; their log-odds have."""
    model, one = made_model("windows", complexes[0]).eval(), complexes[0]
    before = model.complex_log_odds(one).astype(np.float64)
    model.log_odds_shift -= 60.0
    np.testing.assert_allclose(model.complex_log_odds(one), before - 60.0, rtol=0, atol=0.02)


@pytest.mark.parametrize(
    "options", [{"closest_per_positive": 2.0}, {"selection": "random", "negatives_per_positive": 3.0}]
)
def test_epochs(complexes, options):
    model = made_model("windows", complexes[0], **options)
    training = WindowExamples(model, complexes, Drawing(16, seed=1))
    rows, labels = training.draw(0)
    again, _ = WindowExamples(model, complexes, Drawing(99, seed=1)).draw(0)
    np.testing.assert_array_equal(rows, again)
    assert not np.array_equal(training.draw(1)[0], rows)
    assert not np.array_equal(WindowExamples(model, complexes, Drawing(16, seed=2)).draw(0)[0], rows)
    training.set_epoch(0)
    found = list(DataLoader(training, batch_size=None))
    np.testing.assert_array_equal(torch.cat([batch.labels for batch in found]).numpy(), labels)
    assert all(batch.inputs[0].shape[1] == len(batch.labels) <= 16 for batch in found)
    assert training.batches == len(found)


def test_windows_of_a_batch_are_those_of_its_pairs(complexes):
    model = made_model("windows", complexes[0])
    training = WindowExamples(model, complexes, Drawing(10_000, seed=1))
    rows, _ = training.draw(0)
    (batch,) = training
    partners = [partner for one in complexes for partner in one.partners]
    starts = np.cumsum([0, *map(len, partners)])
    for p in range(0, len(rows), 101):
        places = [int(np.searchsorted(starts, row, side="right")) - 1 for row in rows[p]]
        residues = [int(row - starts[place]) for row, place in zip(rows[p], places, strict=True)]
        expected = slow_window(model, *(partners[place] for place in places), *residues)
        np.testing.assert_allclose(batch.inputs[0][: len(expected), p].numpy(), expected, atol=1e-5)
        assert batch.inputs[1][p] == len(expected)


def test_random_pairs_are_drawn_afresh_every_epoch_and_closest_ones_once(complexes, monkeypatch):
    def pairs(options, epoch):
        training = WindowExamples(made_model("windows", complexes[0], **options), complexes, Drawing(16, seed=1))
        training.draw(0)
        rows, labels = training.draw(epoch)
        return {tuple(sorted(row)) for row in rows[~labels].tolist()}, {tuple(sorted(r)) for r in rows[labels].tolist()}

    drawn = {"selection": "random", "negatives_per_positive": 3.0}
    first, again = pairs(drawn, 0), pairs(drawn, 1)
    assert first[0] != again[0]
    assert first[1] == again[1], "the positives are all shown in every epoch"
    closest = {"closest_per_positive": 2.0}
    assert pairs(closest, 0) == pairs(closest, 1)
    calls = []
    chosen = Closest.__call__
    monkeypatch.setattr(Closest, "__call__", lambda self, *given: calls.append(1) or chosen(self, *given))
    pairs(closest, 1)
    assert len(calls) == len(complexes)


def test_a_batch_has_the_windows_and_weights_of_its_pairs(complexes):
    model = made_model("windows", complexes[0], positive_weight=0.7)
    training = WindowExamples(model, complexes, Drawing(16, seed=3))
    rows, labels = training.draw(5)
    for k, batch in enumerate(training):
        here = slice(16 * k, 16 * k + 16)
        windows, lengths = windows_around(training._all, training._all, rows[here])
        assert torch.equal(batch.inputs[0], windows)
        assert torch.equal(batch.inputs[1], lengths)
        assert batch.labels.tolist() == labels[here].tolist()
        np.testing.assert_array_equal(batch.weights, pair_weights(labels[here], 0.7))


def test_both_orders_are_shown(complexes):
    model = made_model("windows", complexes[0], selection="random", negatives_per_positive=30.0)
    rows, _ = WindowExamples(model, complexes, Drawing(16)).draw(0)
    assert 0.4 < (rows[:, 0] < rows[:, 1]).mean() < 0.6


def test_positives_only_are_refused(complexes):
    model = made_model("windows", complexes[0], selection="random", negatives_per_positive=0.01)
    with pytest.raises(InputError, match=r"every training pair is positive; raise model\.negatives_per_positive"):
        WindowExamples(model, complexes, Drawing(16))


def test_without_a_positive_there_is_nothing_to_train_on(complexes):
    untouched = [dataclasses.replace(one, contact_area=np.zeros_like(one.contact_area)) for one in complexes]
    model = made_model("windows", complexes[0], positive_weight=0.0)
    for these, share in ((untouched, 0.0), (complexes, None)):
        training = WindowExamples(model, these, Drawing(16))
        assert (training.batches == 0) == (training.positive_share == 0.0) == (share == 0.0)


def test_memory_of_a_large_complex_stays_small():
    """2,000 x 2,000 residues: 4 million windows of 648 bytes are 2.6 GB if made at once."""
    program = """
        import itertools, resource
        from dataclasses import replace
        import numpy as np, torch
        from made_complexes import made_complex, made_model
        small = made_complex(0)
        big = made_complex(0, sizes=(2000, 2000), names=small.receptor.feature_names[:9])
        model = made_model("windows", small, num_layers=1)
        receptor, ligand = map(model.encode, big.partners)
        list(itertools.islice(model.blocks(receptor, ligand), 2))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        count = sum(map(len, itertools.islice(model.blocks(receptor, ligand), 100)))
        assert count == 100 * model.block_size
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parent,
    )
    assert int(done.stdout) < 100_000  # kilobytes


def test_pairs_in_training_are_those_of_their_complex(complexes):
    """Rows of the joined encoding, of which either partner may come first, with the label of the pair."""
    for selection in ("closest", "random"):
        examples = WindowExamples(made_model("windows", complexes[0], selection=selection), complexes, Drawing(8))
        rows, labels = examples.draw(0)
        starts = np.cumsum([0, *(len(partner) for one in complexes for partner in one.partners)])
        side = np.searchsorted(starts, rows, side="right") - 1
        assert (side[:, 0] // 2 == side[:, 1] // 2).all(), "both of one complex"
        assert (side.sum(axis=1) % 2 == 1).all(), "a receptor and a ligand"
        assert 0.3 < (side[:, 0] % 2).mean() < 0.7
        for row, which, label in zip(rows, side, labels, strict=True):
            receptor, ligand = (row - starts[which])[np.argsort(which)]
            assert (complexes[which[0] // 2].contact_area[receptor, ligand] > 0) == label


def test_inputs_in_training_are_the_windows_of_the_pairs(complexes):
    model = made_model("windows", complexes[0])
    examples = WindowExamples(model, complexes, Drawing(64))
    rows, _ = examples.draw(0)
    windows, lengths = zip(*(batch.inputs for batch in examples), strict=True)
    encodings = [model.encode(partner) for one in complexes for partner in one.partners]
    starts = np.cumsum([0, *(len(one.around) for one in encodings)])
    side = np.searchsorted(starts, rows, side="right") - 1
    found, length = torch.cat(windows, dim=1), torch.cat(lengths)
    for k in range(0, len(rows), 37):
        first, second = side[k]
        pair = (rows[k] - starts[side[k]])[None]
        expected, steps = windows_around(encodings[first], encodings[second], pair)
        assert length[k] == steps[0]
        torch.testing.assert_close(found[: steps[0], k], expected[: steps[0], 0], rtol=0, atol=0)
        assert (found[steps[0] :, k] == 0).all()
