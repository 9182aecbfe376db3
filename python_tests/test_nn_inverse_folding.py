"""Inverse folding: what the network sees, and what it must not see."""

import numpy as np
import pytest
import torch
from synthetic import random_rotation

from resblock.nn import Chains, InverseFolding
from resblock.nn.inverse_folding import FURTHEST, NO_NEIGHBOUR, OTHER_CHAIN, TYPES, frames, ideal_beta


def made_chains(seed, size=20, neighbours=6, lengths=None):
    """Chains on a random walk with bonds of the right length."""
    generator = torch.Generator().manual_seed(seed)
    steps = torch.nn.functional.normalize(torch.randn(3 * size, 3, generator=generator), dim=-1) * 1.4
    backbone = steps.cumsum(0).view(size, 3, 3)
    oxygen = backbone[:, 2:] + torch.randn(size, 1, 3, generator=generator)
    atoms = torch.cat([backbone, oxygen], dim=1)
    nearest = torch.cdist(atoms[:, 1], atoms[:, 1]).argsort(1)[:, :neighbours]
    lengths = torch.tensor(lengths or [size])
    chain = torch.repeat_interleave(torch.arange(len(lengths)), lengths)
    separation = (nearest - torch.arange(size)[:, None]).clamp(-FURTHEST, FURTHEST) + FURTHEST
    return Chains(
        atoms=atoms,
        complete=torch.ones(size, dtype=torch.bool),
        neighbours=nearest,
        separations=torch.where(chain[nearest] == chain[:, None], separation, OTHER_CHAIN),
        types=torch.randint(TYPES, (size,), generator=generator),
        lengths=lengths,
    )


def network(lstm_layers=0, **options):
    torch.manual_seed(3)
    return InverseFolding(16, 8, lstm_layers=lstm_layers, **options).eval()


@pytest.mark.parametrize("lstm_layers", [0, 2])
def test_nothing_changes_when_a_partner_is_turned_and_shifted(lstm_layers):
    chains, net = made_chains(1), network(lstm_layers)
    rotation = torch.from_numpy(random_rotation(np.random.default_rng(1))).float()
    turned = chains._replace(atoms=chains.atoms @ rotation + torch.tensor([30.0, -7.0, 2.0]))
    for here, there in zip(net(chains), net(turned), strict=True):
        torch.testing.assert_close(here, there, atol=2e-4, rtol=1e-3)
    mirrored = chains._replace(atoms=chains.atoms * torch.tensor([1.0, 1.0, -1.0]))
    assert (net(chains)[0] - net(mirrored)[0]).abs().max() > 1e-3, "hands can be told apart"


@pytest.mark.parametrize("lstm_layers", [0, 2])
def test_a_type_is_seen_where_it_is_shown_alone(lstm_layers):
    chains, net = made_chains(1), network(lstm_layers)
    other = chains._replace(types=(chains.types + 1) % TYPES)
    torch.testing.assert_close(net(chains)[0], net(other)[0], atol=0, rtol=0)
    shown = torch.zeros(20, dtype=torch.bool)
    shown[4] = True
    told = net(chains, shown)[0]
    assert (told - net(chains)[0]).abs().max() > 1e-3
    assert (told - net(other, shown)[0]).abs().max() > 1e-3
    hidden = other._replace(types=torch.where(shown, chains.types, other.types))
    torch.testing.assert_close(told, net(hidden, shown)[0], atol=0, rtol=0)


@pytest.mark.parametrize("lstm_layers", [0, 2])
def test_partners_together_are_as_each_alone(lstm_layers):
    several, net = [made_chains(1, 20, lengths=[12, 8]), made_chains(2, 9), made_chains(3, 15)], network(lstm_layers)
    joined = Chains.joined(several)
    assert joined.lengths.tolist() == [12, 8, 9, 15]
    for together, alone in zip(net(joined), zip(*map(net, several), strict=True), strict=True):
        torch.testing.assert_close(together, torch.cat(alone), atol=1e-5, rtol=1e-4)


def test_the_lstm_reads_each_chain_by_itself():
    chains = made_chains(1, 20, lengths=[12, 8])
    alone = chains._replace(neighbours=torch.full((20, 6), -1), separations=torch.full((20, 6), NO_NEIGHBOUR))
    net = network(lstm_layers=2)
    shown = torch.zeros(20, dtype=torch.bool)
    shown[3] = True
    changed = (net(alone, shown)[0] - net(alone)[0]).abs().amax(1) > 0
    assert changed[:12].all(), "a residue's type reaches its whole chain"
    assert not changed[12:].any()
    assert (network()(alone, shown)[0] - network()(alone)[0]).abs().amax(1).nonzero().flatten().tolist() == [3]


def test_what_is_not_known_of_a_backbone_is_not_looked_at():
    chains, net = made_chains(1), network(lstm_layers=2)
    complete = torch.ones(20, dtype=torch.bool)
    complete[7] = False
    neighbours = torch.where(chains.neighbours == 7, -1, chains.neighbours)
    neighbours[7] = -1
    separations = torch.where(neighbours < 0, NO_NEIGHBOUR, chains.separations)
    cut = chains._replace(complete=complete, neighbours=neighbours, separations=separations)
    atoms = chains.atoms.clone()
    atoms[7] = torch.nan
    elsewhere = cut._replace(atoms=atoms)
    for here, there in zip(net(cut), net(elsewhere), strict=True):
        torch.testing.assert_close(here, there, atol=0, rtol=0)
        assert torch.isfinite(there).all()
    assert not elsewhere.predictable[7]
    assert elsewhere.predictable.sum() == 19


def test_no_neighbour_at_all():
    one = made_chains(1, 1, neighbours=4)
    padded = one._replace(
        neighbours=torch.tensor([[0, -1, -1, -1]]), separations=torch.tensor([[FURTHEST, *[NO_NEIGHBOUR] * 3]])
    )
    for output in network(lstm_layers=1)(padded):
        assert torch.isfinite(output).all()


def test_frames_and_the_ideal_beta():
    chains = made_chains(4)
    axes = frames(chains.atoms)
    torch.testing.assert_close(axes.mT @ axes, torch.eye(3).expand(20, 3, 3), atol=1e-5, rtol=0)
    torch.testing.assert_close(torch.linalg.det(axes), torch.ones(20), atol=1e-5, rtol=0)
    # An L-amino acid with standard bonds: the distance from CA to CB is 1.53 Angstrom.
    backbone = torch.tensor([[[1.458, 0.0, 0.0], [0.0, 0.0, 0.0], [-0.551, 1.4198, 0.0], [-1.7, 1.5, 0.5]]])
    beta = ideal_beta(backbone)
    assert float(beta.norm()) == pytest.approx(1.53, abs=0.02)
    for atom in (0, 2):
        angle = torch.nn.functional.cosine_similarity(beta[0], backbone[0, atom], dim=0)
        assert float(angle) == pytest.approx(np.cos(np.deg2rad(110.5)), abs=0.03)


def test_torsions_are_those_of_the_structure_side():
    from resblock.structure.backbone import Backbone, torsions

    chains, net = made_chains(5, 20, lengths=[12, 8]), network()
    linked = np.ones(20, dtype=np.bool_)
    linked[[0, 12]] = False
    phi, psi = torsions(Backbone(chains.atoms.double().numpy(), linked))
    nodes = net.geometry(chains)[1].numpy()
    for angle, columns in ((phi, slice(0, 2)), (psi, slice(2, 4))):
        expected = np.nan_to_num(np.column_stack([np.sin(angle), np.cos(angle)]))
        np.testing.assert_allclose(nodes[:, columns], expected, atol=1e-4)
    assert nodes[:, 4].tolist() == [0.0, *[1.0] * 11, 0.0, *[1.0] * 7]
    assert nodes[:, 5].tolist() == [*[1.0] * 11, 0.0, *[1.0] * 7, 0.0]


def test_every_parameter_is_trained():
    chains = made_chains(1)
    net = network(lstm_layers=2).train()
    shown = torch.rand(20) < 0.5
    logits, _ = net(chains, shown)
    torch.nn.functional.cross_entropy(logits, chains.types).backward()
    idle = [name for name, weight in net.named_parameters() if weight.grad is None or not weight.grad.abs().any()]
    assert idle == []
