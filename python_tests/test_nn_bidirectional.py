"""The stack that reads both ways."""

import pytest
import torch

from resblock import ResidualLSTM
from resblock.nn.lstm import reversed_in_time
from resblock.nn.onnx import to_onnx

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
    ahead.load_state_dict({k: v for k, v in lstm.state_dict().items() if not k.startswith("reverse.")})
    first, (h_first, _) = ahead(x, lengths=lengths)
    torch.testing.assert_close(output[..., :4], first)
    torch.testing.assert_close(h_n[:4], h_first)
    for b, length in enumerate(lengths.tolist()):
        second, (_, c_second) = lstm.reverse(x[:length, b].flip(0))
        torch.testing.assert_close(output[:length, b, 4:], second.flip(0), rtol=0, atol=ROUNDING)
        torch.testing.assert_close(c_n[4:, b], c_second, rtol=0, atol=ROUNDING)
        assert (output[length:, b] == 0).all()


def test_one_layer_is_that_of_torch():
    theirs = torch.nn.LSTM(5, 4, bidirectional=True)
    ours = ResidualLSTM(5, 4, bidirectional=True, peephole=False)
    with torch.no_grad():
        for stack, suffix in ((ours, ""), (ours.reverse, "_reverse")):
            stack.weight_ih_first.copy_(getattr(theirs, f"weight_ih_l0{suffix}"))
            stack.weight_hh[0].copy_(getattr(theirs, f"weight_hh_l0{suffix}"))
            stack.bias[0].copy_(getattr(theirs, f"bias_ih_l0{suffix}") + getattr(theirs, f"bias_hh_l0{suffix}"))
    x = torch.randn(7, 2, 5)
    torch.testing.assert_close(ours(x)[0], theirs(x)[0], rtol=0, atol=ROUNDING)


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
    assert sum(1 for _ in lstm.parameters()) == 10
    assert (lstm.reverse.bias[:, 4:8] == 1).all()


def test_what_has_no_two_directions_refuses():
    with pytest.raises(ValueError, match="bidirectional"):
        to_onnx(both_ways())
    with pytest.raises(ValueError, match="bidirectional"):
        both_ways(peephole=False, residual=False).to_torch()


def test_reversing_twice_is_nothing():
    x, lengths = torch.randn(6, 3, 5), torch.tensor([6, 2, 4])
    back = reversed_in_time(x, lengths)
    torch.testing.assert_close(back[:2, 1], x[:2, 1].flip(0))
    torch.testing.assert_close(back[2:, 1], x[2:, 1])
    torch.testing.assert_close(reversed_in_time(back, lengths), x)
