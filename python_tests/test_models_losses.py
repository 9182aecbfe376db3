"""Losses of pairs, against their formulas, and what they push upwards."""

import math

import pytest
import torch

from resblock.models.losses import LOSSES, cross_entropy, focal, top


@pytest.fixture
def pairs():
    generator = torch.Generator().manual_seed(1)
    log_odds = torch.randn(50, generator=generator, dtype=torch.float64)
    positive = torch.rand(50, generator=generator) < 0.3
    weights = torch.rand(50, generator=generator, dtype=torch.float64)
    return log_odds, positive, weights / weights.sum()


def test_cross_entropy_of_equal_weights_is_torchs_of_two_classes(pairs):
    log_odds, positive, _ = pairs
    two_classes = torch.stack([torch.zeros_like(log_odds), log_odds], 1)
    expected = torch.nn.functional.cross_entropy(two_classes, positive.long())
    torch.testing.assert_close(cross_entropy(log_odds, positive, torch.full_like(log_odds, 1 / 50)), expected)


def test_the_focal_loss_is_its_formula(pairs):
    log_odds, positive, weights = pairs
    told = torch.where(positive, torch.sigmoid(log_odds), 1 - torch.sigmoid(log_odds))
    torch.testing.assert_close(focal(*pairs), -(weights * (1 - told) ** 2 * torch.log(told)).sum())


def test_the_loss_of_the_top_is_the_chance_of_drawing_a_positive_first(pairs):
    log_odds, positive, weights = pairs
    drawn = weights * torch.exp(log_odds)
    drawn = drawn / drawn.sum()
    expected = -(weights[positive] * torch.log(drawn[positive])).sum() / weights[positive].sum()
    torch.testing.assert_close(top(*pairs), expected)
    one = torch.tensor([True, False, False])
    equal = torch.full((3,), 1 / 3)
    assert float(top(torch.zeros(3), one, equal)) == pytest.approx(math.log(3))
    assert float(top(torch.zeros(3), ~one & one, equal)) == 0


@pytest.mark.parametrize("name", LOSSES)
def test_positives_rise_and_negatives_fall(pairs, name):
    log_odds, positive, weights = pairs
    log_odds.requires_grad_()
    LOSSES[name](log_odds, positive, weights).backward()
    assert (log_odds.grad[positive] < 0).all() or name == "top"
    assert (log_odds.grad[~positive] > 0).all()


def test_the_first_ranks_decide_the_loss_of_the_top():
    log_odds = torch.tensor([0.0, 3.0, -3.0], requires_grad=True)
    top(log_odds, torch.tensor([True, False, False]), torch.full((3,), 1 / 3)).backward()
    assert log_odds.grad[1] > 100 * log_odds.grad[2] > 0


@pytest.mark.parametrize("name", LOSSES)
def test_losses_by_hand(name):
    """Three pairs, one of them positive, written with the logarithm of each probability."""
    log_odds, positive, weights = [0.5, -1.0, 2.0], [True, False, False], [0.5, 0.2, 0.3]
    told = [1 / (1 + math.exp(-x)) if t else 1 / (1 + math.exp(x)) for x, t in zip(log_odds, positive, strict=True)]
    odds = [w * math.exp(x) for w, x in zip(weights, log_odds, strict=True)]
    expected = {
        "cross-entropy": sum(-w * math.log(p) for w, p in zip(weights, told, strict=True)),
        "focal": sum(-w * (1 - p) ** 2 * math.log(p) for w, p in zip(weights, told, strict=True)),
        "top": -math.log(odds[0] / sum(odds)),
    }
    tensors = (torch.tensor(values, dtype=torch.float64) for values in (log_odds, weights))
    given, weighted = tensors
    assert float(LOSSES[name](given, torch.tensor(positive), weighted)) == pytest.approx(expected[name], rel=1e-12)
