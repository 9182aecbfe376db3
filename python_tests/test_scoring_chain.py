"""Scorers of the second reading, and several scorers as one."""

import dataclasses
import json

import numpy as np
import pytest
import safetensors.torch
import torch
from made_dimers import made_dimer, made_scorer

from resblock import ResAttnLSTM
from resblock.errors import InputError
from resblock.pairs.dataset import standardisation
from resblock.scoring import METADATA, ChainScorer, EnsembleScorer, WindowScorer, load_scorer
from resblock.scoring.calibration import log_odds

# float32 sums in another order: batches of another size.
ROUNDING = 1e-6


@pytest.fixture
def dimer():
    return made_dimer(1)


def swapped(dimer):
    return dataclasses.replace(dimer, receptor=dimer.ligand, ligand=dimer.receptor, contact_area=None, distance=None)


def test_scores_are_probabilities_whatever_the_batches(dimer):
    scorer = made_scorer(dimer)
    scores = scorer.score(dimer)
    assert scores.shape == (dimer.receptor.surface.sum(), dimer.ligand.surface.sum())
    assert ((scores > 0) & (scores < 0.5)).all()
    assert scores.std() > 0
    scorer.batch_size = 7
    np.testing.assert_allclose(scorer.score(dimer), scores, atol=ROUNDING)
    chosen = np.array([5, 3, 60])
    pairs = dimer.surface_pairs()[chosen]
    np.testing.assert_allclose(scorer.score_pairs(dimer, pairs), scores.reshape(-1)[chosen], atol=ROUNDING)


@pytest.mark.parametrize("encoder", ["attention lstm", "mean partner"])
def test_exchanged_partners_have_the_same_scores(dimer, encoder):
    scorer = made_scorer(dimer, encoder=encoder)
    np.testing.assert_allclose(scorer.score(swapped(dimer)).T, scorer.score(dimer), atol=ROUNDING)


def test_the_other_partner_has_no_influence_on_an_encoding(dimer):
    """A ligand's score against one receptor residue stays when the other receptor residues' places change."""
    scorer = made_scorer(dimer, encoder="")
    moved = dataclasses.replace(dimer.receptor, centres=dimer.receptor.centres[::-1].copy())
    np.testing.assert_allclose(scorer.score(dataclasses.replace(dimer, receptor=moved)), scorer.score(dimer))


def test_a_saved_scorer_is_the_same(dimer, tmp_path):
    scorer = made_scorer(dimer)
    scorer.save(tmp_path / "weights.safetensors")
    loaded = load_scorer(tmp_path / "weights.safetensors")
    assert isinstance(loaded, ChainScorer)
    assert loaded.card == {"seed": 2}
    assert loaded.feature_set == "paper"
    np.testing.assert_array_equal(loaded.score(dimer), scorer.score(dimer))


def test_an_average_is_the_mean_of_the_log_odds(dimer, tmp_path):
    torch.manual_seed(1)
    given = (*standardisation([dimer]), dimer.feature_names)
    members = [made_scorer(dimer, 1), made_scorer(dimer, 2, ""), WindowScorer(ResAttnLSTM(num_layers=2), *given)]
    together = EnsembleScorer(members, {"made": "of three"})
    expected = np.mean([log_odds(member.score(dimer)) for member in members], axis=0)
    seen = []
    scores = together.score(dimer, lambda done, total: seen.append((done, total)))
    np.testing.assert_allclose(log_odds(scores), expected, atol=1e-4)
    assert seen[-1] == (3 * scores.size, 3 * scores.size)
    together.save(tmp_path / "weights.safetensors")
    loaded = load_scorer(tmp_path / "weights.safetensors")
    assert isinstance(loaded, EnsembleScorer)
    assert [type(member) for member in loaded.members] == [ChainScorer, ChainScorer, WindowScorer]
    assert loaded.card == {"made": "of three"}
    np.testing.assert_array_equal(loaded.score(dimer), scores)


def test_scorers_of_other_features_are_not_averaged(dimer):
    other = made_scorer(dimer)
    other.feature_names = ("another", *other.feature_names[1:])
    with pytest.raises(InputError, match="different features cannot be averaged"):
        EnsembleScorer([made_scorer(dimer), other])
    with pytest.raises(InputError, match="at least one scorer"):
        EnsembleScorer([])


def described(path, **changes):
    """The same file with a changed description."""
    with safetensors.safe_open(path, framework="pt") as file:
        description = json.loads(file.metadata()[METADATA]) | changes
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    safetensors.torch.save_file(tensors, path, {METADATA: json.dumps(description)})


@pytest.mark.parametrize(
    "changes",
    [{"members": None}, {"members": [{}]}, {"format_version": 9}, {"format": "resblock.Else"}, {"card": []}],
    ids=str,
)
def test_a_damaged_average_is_refused_in_one_line(changes, dimer, tmp_path):
    path = tmp_path / "weights.safetensors"
    EnsembleScorer([made_scorer(dimer, 1), made_scorer(dimer, 2)]).save(path)
    described(path, **changes)
    if changes == {"card": []}:
        assert load_scorer(path).card == {}
        return
    with pytest.raises(InputError, match="no usable weights") as refused:
        load_scorer(path)
    assert "\n" not in str(refused.value)
