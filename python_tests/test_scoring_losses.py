"""Losses of pairs, against their formulas, and what they push upwards."""

import math

import pytest
import torch
from resblock.scoring.losses import LOSSES, cross_entropy, focal, top


@pytest.fixture
def pairs():
    generator = torch.Generator().manual_seed(1)
    log_odds = torch.randn(50, generator=generator, dtype=torch.float64)
    true = torch.rand(50, generator=generator) < 0.3
    weights = torch.rand(50, generator=generator, dtype=torch.float64)
    return log_odds, true, weights / weights.sum()


def test_cross_entropy_of_equal_weights_is_torchs_of_two_classes(pairs):
    log_odds, true, _ = pairs
    two_classes = torch.stack([torch.zeros_like(log_odds), log_odds], 1)
    expected = torch.nn.functional.cross_entropy(two_classes, true.long())
    torch.testing.assert_close(cross_entropy(log_odds, true, torch.full_like(log_odds, 1 / 50)), expected)


def test_the_focal_loss_is_its_formula(pairs):
    log_odds, true, weights = pairs
    told = torch.where(true, torch.sigmoid(log_odds), 1 - torch.sigmoid(log_odds))
    torch.testing.assert_close(focal(*pairs), -(weights * (1 - told) ** 2 * torch.log(told)).sum())


def test_the_loss_of_the_top_is_the_chance_of_drawing_a_true_pair_first(pairs):
    log_odds, true, weights = pairs
    drawn = weights * torch.exp(log_odds)
    drawn = drawn / drawn.sum()
    expected = -(weights[true] * torch.log(drawn[true])).sum() / weights[true].sum()
    torch.testing.assert_close(top(*pairs), expected)
    one = torch.tensor([True, False, False])
    equal = torch.full((3,), 1 / 3)
    assert float(top(torch.zeros(3), one, equal)) == pytest.approx(math.log(3))
    assert float(top(torch.zeros(3), ~one & one, equal)) == 0


@pytest.mark.parametrize("name", LOSSES)
def test_true_pairs_rise_and_others_fall(pairs, name):
    log_odds, true, weights = pairs
    log_odds.requires_grad_()
    LOSSES[name](log_odds, true, weights).backward()
    assert (log_odds.grad[true] < 0).all() or name == "top"
    assert (log_odds.grad[~true] > 0).all()


def test_the_first_ranks_decide_the_loss_of_the_top():
    log_odds = torch.tensor([0.0, 3.0, -3.0], requires_grad=True)
    top(log_odds, torch.tensor([True, False, False]), torch.full((3,), 1 / 3)).backward()
    assert log_odds.grad[1] > 100 * log_odds.grad[2] > 0
