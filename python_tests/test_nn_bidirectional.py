"""The stack that reads both ways."""

import pytest
import torch

from resblock import ResidualLSTM
from resblock.nn.steps import PaddedSteps

# float32 sums in another order.
ROUNDING = 2e-6


def both_ways(**options):
    torch.manual_seed(1)
    return ResidualLSTM(5, 4, 4, bidirectional=True, **options)


def test_both_directions_are_stacks_of_their_own():
    lstm = both_ways()
    x, lengths = torch.randn(6, 3, 5), torch.tensor([6, 2, 4])
    output, (h_n, c_n) = lstm(x, lengths=lengths)
    assert output.shape == (6, 3, 8)
    assert h_n.shape == c_n.shape == (8, 3, 4)
    ahead = ResidualLSTM(5, 4, 4)
    ahead.load_state_dict({k: v for k, v in lstm.state_dict().items() if not k.endswith("_reverse")})
    reverse = ResidualLSTM(5, 4, 4)
    reverse.load_state_dict(
        {k.removesuffix("_reverse"): v for k, v in lstm.state_dict().items() if k.endswith("_reverse")}
    )
    first, (h_first, _) = ahead(x, lengths=lengths)
    torch.testing.assert_close(output[..., :4], first)
    torch.testing.assert_close(h_n[::2], h_first)
    for b, length in enumerate(lengths.tolist()):
        second, (_, c_second) = reverse(x[:length, b].flip(0))
        torch.testing.assert_close(output[:length, b, 4:], second.flip(0), rtol=0, atol=ROUNDING)
        torch.testing.assert_close(c_n[1::2, b], c_second, rtol=0, atol=ROUNDING)
        assert (output[length:, b] == 0).all()


@pytest.mark.parametrize("options", [{}, {"bias": False, "batch_first": True}])
def test_one_layer_is_that_of_torch_with_its_states(options):
    theirs = torch.nn.LSTM(5, 4, bidirectional=True, **options)
    ours = ResidualLSTM.from_torch(theirs)
    x, state = torch.randn(7, 7, 5), (torch.randn(2, 7, 4), torch.randn(2, 7, 4))
    for again in (ours, ResidualLSTM.from_torch(ours.to_torch())):
        output, states = again(x, hx=state)
        expected, expected_states = theirs(x, hx=state)
        for a, e in zip((output, *states), (expected, *expected_states), strict=True):
            torch.testing.assert_close(a, e, rtol=0, atol=ROUNDING)


def test_the_last_states_of_the_last_layer_are_both_ends_of_its_output():
    lstm = ResidualLSTM(5, 4, 3, bidirectional=True)
    output, (h_n, _) = lstm(torch.randn(6, 3, 5))
    torch.testing.assert_close(torch.cat((h_n[-2], h_n[-1]), 1), torch.cat((output[-1, :, :4], output[0, :, 4:]), 1))


def test_states_go_on_from_states():
    """The forward direction of two halves is that of the whole; so is the backward direction from the other end."""
    lstm, x = both_ways(), torch.randn(6, 3, 5)
    whole = lstm(x)[1]
    first = lstm(x[:2])[1]
    ahead = lstm(x[2:], first)[1]
    torch.testing.assert_close(ahead[0][::2], whole[0][::2], rtol=0, atol=ROUNDING)
    back = lstm(x[:2], lstm(x[2:])[1])[1]
    torch.testing.assert_close(back[1][1::2], whole[1][1::2], rtol=0, atol=ROUNDING)


def test_states_of_both_directions_go_in_and_out():
    lstm = both_ways(batch_first=True)
    x = torch.randn(2, 6, 5)
    zeros = torch.zeros(8, 2, 4)
    torch.testing.assert_close(lstm(x, (zeros, zeros))[0], lstm(x)[0])
    with pytest.raises(ValueError, match="h_0 has 4 layers, expected 8"):
        lstm(x, (zeros[:4], zeros[:4]))


def test_gradients_reach_both_directions():
    lstm = both_ways()
    lstm(torch.randn(6, 3, 5))[0].sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in lstm.parameters())


def test_torch_has_no_two_directions_of_several_layers_that_meet_once():
    with pytest.raises(ValueError, match="bidirectional"):
        both_ways(peephole=False, residual=False).to_torch()


def test_reversing_twice_is_nothing():
    x, lengths = torch.randn(6, 3, 5), torch.tensor([6, 2, 4])
    steps = PaddedSteps(lengths)
    back = steps.reversed(x)
    torch.testing.assert_close(back[:2, 1], x[:2, 1].flip(0))
    torch.testing.assert_close(back[2:, 1], x[2:, 1])
    torch.testing.assert_close(steps.reversed(back), x)
