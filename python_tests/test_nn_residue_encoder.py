"""The residue encoder and the pair head."""

import pytest
import torch

from resblock.nn import BLOCKS, PairHead, ResidueEncoder
from resblock.nn.encoder_blocks import ChainLSTM, NeighbourAttention

# float32 sums in another order.
ROUNDING = 2e-6


def encoder(*blocks):
    torch.manual_seed(3)
    return ResidueEncoder(6, 3, size=8, blocks=blocks).eval()


def residues(count=12, seed=0):
    generator = torch.Generator().manual_seed(seed)
    neighbours = torch.randint(count, (count, 4), generator=generator)
    neighbours[0, 2:] = -1
    edges = torch.randn(count, 4, 3, generator=generator)
    return torch.randn(count, 6, generator=generator), neighbours, edges


@pytest.mark.parametrize("blocks", [(), ("mean",), ("attention", "attention"), ("lstm",), BLOCKS], ids=str)
def test_partners_do_not_see_each_other(blocks):
    model = encoder(*blocks)
    one, two = residues(12), residues(9, seed=1)
    together = model(
        torch.cat([one[0], two[0]]),
        torch.cat([one[1], torch.where(two[1] >= 0, two[1] + 12, -1)]),
        torch.cat([one[2], two[2]]),
        torch.tensor([12, 9]),
    )
    alone = torch.cat([model(*part, torch.tensor([len(part[0])])) for part in (one, two)])
    torch.testing.assert_close(together, alone, rtol=0, atol=ROUNDING)


def test_the_order_of_a_pair_does_not_matter():
    torch.manual_seed(3)
    head, encoded = PairHead(8, 6, 0.2).eval(), torch.randn(12, 8)
    pairs = torch.tensor([0, 1, 5]), torch.tensor([7, 2, 6])
    logits = head(encoded, encoded, pairs)
    assert logits.shape == (3,)
    torch.testing.assert_close(head(encoded, encoded, pairs[::-1]), logits, rtol=0, atol=ROUNDING)


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
