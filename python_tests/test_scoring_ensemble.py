"""An ensemble scores by the mean of its networks' log-odds, and is made of networks and ensembles alike."""

import numpy as np
import pytest
from made_dimers import made_dimer, made_scorer

from resblock.scoring import EnsembleScorer


@pytest.fixture
def dimer():
    return made_dimer(1)


def odds(scores):
    return np.log(scores.astype(float)) - np.log1p(-scores.astype(float))


def test_the_score_is_the_mean_of_the_log_odds_and_no_other(dimer):
    networks = [made_scorer(dimer, seed) for seed in range(3)]
    for k, network in enumerate(networks):
        network.log_odds_shift.fill_(-5.0 + 2 * k)
    each = [network.score(dimer) for network in networks]
    expected = np.mean([odds(scores) for scores in each], axis=0)
    together = EnsembleScorer(networks).score(dimer)
    np.testing.assert_allclose(odds(together), expected, atol=1e-5)
    assert np.abs(odds(together) - odds(np.mean(each, axis=0))).max() > 0.1, "nor is it the mean probability"
    assert together.dtype == np.float32


def test_an_ensemble_of_ensembles_is_one_of_their_networks(dimer):
    first, second, third = (made_scorer(dimer, seed) for seed in range(3))
    whole = EnsembleScorer.of([EnsembleScorer([first, second]), third])
    assert whole.members == (first, second, third)
    assert whole.feature_set == "paper"
    assert whole.feature_names == first.feature_names


def test_one_network_scores_as_it_does_alone(dimer):
    network = made_scorer(dimer)
    np.testing.assert_allclose(EnsembleScorer([network]).score(dimer), network.score(dimer), rtol=1e-5)
