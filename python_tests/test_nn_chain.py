"""The residue encoder and the pair head, and the stack that reads both ways."""

import pytest
import torch

from resblock import ResidualLSTM
from resblock.errors import InputError
from resblock.nn import ChainNetwork, ChainNetworkConfig
from resblock.nn.encoder import ChainLSTM, NeighbourAttention, PartnerAttention
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


# Residues


def network(encoder="attention lstm mean", **options):
    torch.manual_seed(3)
    return ChainNetwork(ChainNetworkConfig(input_size=6, edge_size=3, size=8, encoder=encoder, **options)).eval()


def residues(count=12, seed=0):
    generator = torch.Generator().manual_seed(seed)
    neighbours = torch.randint(count, (count, 4), generator=generator)
    neighbours[0, 2:] = -1
    edges = torch.randn(count, 4, 3, generator=generator)
    return torch.randn(count, 6, generator=generator), neighbours, edges


@pytest.mark.parametrize("encoder", ["", "mean", "attention attention", "lstm", "attention lstm"])
def test_partners_do_not_see_each_other(encoder):
    model = network(encoder)
    one, two = residues(12), residues(9, seed=1)
    together = model.encode(
        torch.cat([one[0], two[0]]),
        torch.cat([one[1], torch.where(two[1] >= 0, two[1] + 12, -1)]),
        torch.cat([one[2], two[2]]),
        torch.tensor([12, 9]),
        torch.tensor([12, 9]),
    )
    alone = torch.cat([model.encode(*part, *[torch.tensor([len(part[0])])] * 2) for part in (one, two)])
    torch.testing.assert_close(together, alone, rtol=0, atol=ROUNDING)


def test_the_order_of_a_pair_does_not_matter():
    model = network("mean")
    features = residues()
    pairs = torch.tensor([[0, 1, 5], [7, 2, 6]])
    chains, partners = torch.tensor([12]), torch.tensor([5, 7])
    logits = model(*features, chains, partners, pairs)
    assert logits.shape == (3,)
    torch.testing.assert_close(model(*features, chains, partners, pairs.flip(0)), logits, rtol=0, atol=ROUNDING)


def test_a_partner_sees_the_other_one_and_no_other_dimer():
    block = PartnerAttention(8, 0.0).eval()
    x, partners = torch.randn(12, 8), torch.tensor([3, 4, 2, 3])
    changed = x.clone()
    changed[1] += 1.0
    moved = (block(changed, partners) - block(x, partners)).abs().sum(1) > 1e-4
    assert moved.tolist() == [False, True, False, *[True] * 4, *[False] * 5]


def test_exchanged_partners_exchange_what_they_take_in():
    block = PartnerAttention(8, 0.0).eval()
    receptor, ligand = torch.randn(3, 8), torch.randn(5, 8)
    one = block(torch.cat([receptor, ligand]), torch.tensor([3, 5]))
    other = block(torch.cat([ligand, receptor]), torch.tensor([5, 3]))
    torch.testing.assert_close(torch.cat([other[5:], other[:5]]), one, rtol=0, atol=ROUNDING)


def test_absent_neighbours_say_nothing():
    block = NeighbourAttention(8, 3, 0.0, attention=True).eval()
    x = torch.randn(5, 8)
    some = torch.tensor([[1, 2, -1]] * 5)
    edges = torch.randn(5, 3, 3)
    changed = edges.clone()
    changed[:, 2] = 100.0
    torch.testing.assert_close(block(x, some, edges), block(x, some, changed))
    assert block(x, torch.full((5, 3), -1), edges).isfinite().all()


def test_a_chain_is_read_both_ways_and_no_further():
    block = ChainLSTM(8, 1, 0.0).eval()
    x = torch.randn(10, 8)
    changed = x.clone()
    changed[2] += 1.0
    moved = (block(changed, torch.tensor([5, 5])) - block(x, torch.tensor([5, 5]))).abs().sum(1)
    assert (moved[:5] > 0).all()
    assert (moved[5:] == 0).all()


def test_unknown_blocks_and_options_are_refused():
    with pytest.raises(
        InputError, match="encoder block 'transformer' is unknown; the blocks are attention, mean, lstm, partner"
    ):
        network("attention transformer")
    with pytest.raises(InputError, match="option 'depth' is unknown"):
        ChainNetwork.from_config({"depth": 3})
