"""Scores: what they are the mean of, that they repeat, and the files that hold the weights."""

import copy
import dataclasses
import json
import math

import numpy as np
import pytest
import safetensors.torch
import torch
from made_dimers import made_dimer

from resblock import ResAttnLSTM
from resblock.errors import InputError
from resblock.pairs.dataset import PairWindows, standardisation
from resblock.scoring import INCLUDED, LARGEST_DEVIATION, METADATA, WindowScorer, choose_device, load_scorer
from resblock.structure import FEATURE_VERSION
from resblock.training.config import PRESETS
from resblock.training.split import find_list, read_split

# float32 sums in another order: batches of another size, lanes of another vector.
ROUNDING = 1e-6


@pytest.fixture
def dimer():
    return made_dimer(1)


@pytest.fixture
def scorer(dimer):
    torch.manual_seed(2)
    network = ResAttnLSTM(hidden_size=8, num_layers=4)
    return WindowScorer(network, *standardisation([dimer]), dimer.feature_names, {"made": "for a test"})


def swapped(dimer):
    return dataclasses.replace(dimer, receptor=dimer.ligand, ligand=dimer.receptor, contact_area=None, distance=None)


def test_scores_are_probabilities_of_surface_pairs(scorer, dimer):
    scores = scorer.score(dimer)
    assert scores.shape == (dimer.receptor.surface.sum(), dimer.ligand.surface.sum())
    assert scores.dtype == np.float32
    assert ((scores > 0) & (scores < 1)).all()
    assert scores.std() > 0


def test_a_score_is_the_mean_probability_over_both_orders(scorer, dimer):
    windows = PairWindows([dimer], scorer.mean.numpy(), scorer.scale.numpy())
    rows = windows.rows(0, dimer.surface_pairs())
    scorer.network.eval()
    with torch.no_grad():
        both = [scorer.network(*windows.gather(order)).softmax(-1)[:, 1] for order in (rows, rows[:, ::-1])]
    expected = torch.stack(both).mean(0).numpy()
    np.testing.assert_allclose(scorer.score(dimer).reshape(-1), expected, atol=ROUNDING)
    assert (both[0] - both[1]).abs().max() > 1e-3, "the orders must differ for this test to tell anything"


def test_the_shift_multiplies_the_odds(scorer, dimer):
    shifted = copy.deepcopy(scorer)
    shifted.log_odds_shift.fill_(-math.log(20.0))
    windows = PairWindows([dimer], scorer.mean.numpy(), scorer.scale.numpy())
    batch = windows.gather(windows.rows(0, dimer.surface_pairs()))
    for either in (scorer, shifted):
        either.eval()
    with torch.no_grad():
        before, after = scorer._probability(*batch).double(), shifted._probability(*batch).double()
    odds = [p / (1 - p) for p in (before, after)]
    torch.testing.assert_close(odds[0], 20 * odds[1], rtol=1e-4, atol=0)
    assert (shifted.score(dimer) < scorer.score(dimer)).all()


def test_exchanged_partners_have_the_same_scores(scorer, dimer):
    np.testing.assert_allclose(scorer.score(swapped(dimer)).T, scorer.score(dimer), atol=ROUNDING)


def test_the_same_bits_again_and_after_training_mode(scorer, dimer):
    first = scorer.score(dimer)
    scorer.train()
    np.testing.assert_array_equal(scorer.score(dimer), first)
    assert scorer.training


def test_batches_do_not_matter(scorer, dimer):
    whole = scorer.score(dimer)
    scorer.batch_size = 7
    seen = []
    np.testing.assert_allclose(
        scorer.score(dimer, lambda done, total: seen.append((done, total))), whole, atol=ROUNDING
    )
    assert seen[-1] == (whole.size, whole.size)
    assert [done for done, _ in seen[:2]] == [7, 14]


def test_chosen_pairs_score_as_among_all(scorer, dimer):
    pairs = dimer.surface_pairs()
    chosen = np.array([5, 3, 60])
    np.testing.assert_allclose(
        scorer.score_pairs(dimer, pairs[chosen]), scorer.score(dimer).reshape(-1)[chosen], atol=ROUNDING
    )


def test_odd_features_are_cut(scorer, dimer):
    def with_first_feature(deviations):
        features = dimer.receptor.features.copy()
        features[:, 0] = scorer.mean[0] + deviations * scorer.scale[0]
        receptor = dataclasses.replace(dimer.receptor, features=features)
        return scorer.score(dataclasses.replace(dimer, receptor=receptor))

    at_limit = with_first_feature(LARGEST_DEVIATION)
    np.testing.assert_allclose(with_first_feature(1e6), at_limit, atol=ROUNDING)
    assert np.abs(with_first_feature(LARGEST_DEVIATION / 2) - at_limit).max() > 1e-4


def test_other_features_are_refused(scorer, dimer):
    other = dataclasses.replace(dimer, feature_names=("more", *dimer.feature_names))
    with pytest.raises(InputError, match="made: has the features more"):
        scorer.score(other)


def test_a_saved_scorer_is_the_same(scorer, dimer, tmp_path):
    path, again = tmp_path / "weights.safetensors", tmp_path / "again.safetensors"
    scorer.save(path)
    loaded = load_scorer(path)
    np.testing.assert_array_equal(loaded.score(dimer), scorer.score(dimer))
    assert loaded.card == {"made": "for a test"}
    assert not loaded.training
    loaded.save(again)
    assert again.read_bytes() == path.read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["again.safetensors", "weights.safetensors"]


def described(path, tensors, **changes):
    """A weights file with a changed description."""
    with safetensors.safe_open(path, framework="pt") as file:
        description = json.loads(file.metadata()[METADATA]) | changes
    safetensors.torch.save_file(tensors, path, {METADATA: json.dumps(description)})


BROKEN = {
    "missing": lambda path, scorer: path.unlink(),
    "empty": lambda path, scorer: path.write_bytes(b""),
    "text": lambda path, scorer: path.write_text("weights"),
    "truncated": lambda path, scorer: path.write_bytes(path.read_bytes()[:-100]),
    "a directory": lambda path, scorer: (path.unlink(), path.mkdir()),
    "another program's": lambda path, scorer: safetensors.torch.save_file({"a": torch.ones(2)}, path),
    "a bare network's": lambda path, scorer: scorer.network.save(path),
    "metadata no JSON": lambda path, scorer: safetensors.torch.save_file({"a": torch.ones(2)}, path, {METADATA: "{"}),
    "metadata a list": lambda path, scorer: safetensors.torch.save_file({"a": torch.ones(2)}, path, {METADATA: "[]"}),
    "a later version": lambda path, scorer: described(path, scorer.state_dict(), format_version=99),
    "unknown option": lambda path, scorer: described(path, scorer.state_dict(), config={"depth": 3}),
    "other sizes": lambda path, scorer: described(path, scorer.state_dict(), config={"hidden_size": 5}),
    "absurd sizes": lambda path, scorer: described(path, scorer.state_dict(), config={"hidden_size": -5}),
    "no config": lambda path, scorer: described(path, scorer.state_dict(), config=None),
    "a tensor short": lambda path, scorer: described(path, dict(list(scorer.state_dict().items())[:-1])),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_file_that_is_no_scorer_is_refused_in_one_line(how, scorer, tmp_path):
    path = tmp_path / "weights.safetensors"
    scorer.save(path)
    BROKEN[how](path, scorer)
    with pytest.raises(InputError) as refused:
        load_scorer(path)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_the_included_paper_is_the_papers_network():
    scorer = load_scorer("paper")
    assert scorer.feature_set == "paper"
    network = PRESETS["paper"].network
    assert (network.num_layers, network.hidden_size) == (60, 8)
    assert dataclasses.replace(scorer.network.config, input_size=network.input_size) == network
    assert {*scorer.card["complexes"]["train"]} < set(read_split(find_list("all")))


def test_the_included_default_has_learned_from_every_complex():
    scorer = load_scorer()
    assert scorer.feature_set == "extended"
    every = set(read_split(find_list("all")))
    assert len(every) == 175
    for member in scorer.members:
        assert set(member.card["complexes"]["train"]) == every


def test_a_directory_does_not_hide_an_included_set(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "paper").mkdir()
    assert load_scorer("paper").feature_set == "paper"


@pytest.mark.parametrize("name", INCLUDED)
def test_included_weights_know_the_features_of_this_version(name):
    scorer = load_scorer(name)
    for card in scorer.card.get("members", [scorer.card]):
        assert card["feature_version"] == FEATURE_VERSION


def test_format_is_not_that_of_a_bare_network():
    assert WindowScorer.format != "resblock.ResAttnLSTM"


def test_devices():
    assert choose_device("cpu").type == "cpu"
    with pytest.raises(InputError, match="unknown; choose auto, cpu, cuda"):
        choose_device("tpu")
    if not torch.cuda.is_available():
        assert choose_device("auto").type == "cpu"
        with pytest.raises(InputError, match="torch finds no GPU"):
            choose_device("cuda")
