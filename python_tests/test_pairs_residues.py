"""Residues with their neighbours as tensors, and the pairs that a network learns from."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from made_dimers import made_dimer, made_partner
from synthetic import random_rotation

from resblock.pairs.dataset import standardisation
from resblock.pairs.graph import EDGE_SIZE, nearest_residues
from resblock.pairs.residues import ResidueTables, TrainingResidues


@pytest.fixture
def spread():
    """A partner whose residues have places and sides."""
    generator = np.random.default_rng(3)
    partner = made_partner(generator, 30, "A")
    sides = generator.normal(size=(30, 3))
    return replace(
        partner,
        centres=(generator.normal(size=(30, 3)) * 8).astype(np.float32),
        sides=(sides / np.linalg.norm(sides, axis=1, keepdims=True)).astype(np.float32),
    )


def test_neighbours_are_the_nearest(spread):
    neighbours, edges = nearest_residues(spread, 5)
    assert neighbours.shape == (30, 5)
    assert edges.shape == (30, 5, EDGE_SIZE)
    distance = np.linalg.norm(spread.centres[:, None] - spread.centres, axis=-1)
    np.fill_diagonal(distance, np.inf)
    np.testing.assert_array_equal(neighbours, np.argsort(distance, axis=1)[:, :5])
    np.testing.assert_allclose(edges[..., 6] * 10.0, np.take_along_axis(distance, neighbours, 1), rtol=1e-5)


def test_neighbours_along_the_chain_are_marked(spread):
    neighbours, edges = nearest_residues(spread, 29)
    for k in (3, 14, 15):  # a chain begins anew at residue 15
        marked = sorted(neighbours[k][edges[k, :, -2] == 1].tolist())
        assert marked == {3: [2, 4], 14: [13], 15: [16]}[k]


def test_edges_do_not_see_the_placement(spread):
    rotation = random_rotation(np.random.default_rng(1))
    turned = replace(
        spread,
        centres=(spread.centres @ rotation + 7).astype(np.float32),
        sides=(spread.sides @ rotation).astype(np.float32),
    )
    for one, other in zip(nearest_residues(spread), nearest_residues(turned), strict=True):
        np.testing.assert_allclose(one, other, atol=2e-5)  # float32 coordinates


def test_missing_neighbours_are_marked(spread):
    neighbours, edges = nearest_residues(spread, 40)
    assert (neighbours[:, 29:] == -1).all()
    assert (edges[:, 29:] == 0).all()
    assert (neighbours[:, :29] >= 0).all()


def test_tables_put_partners_one_after_the_other():
    dimers = [made_dimer(1, "A"), made_dimer(2, "B", (7, 5))]
    mean, scale = standardisation(dimers)
    residues, starts = ResidueTables(dimers, mean, scale).gather([1, 0])
    assert starts.tolist() == [[0, 7], [12, 26]]
    assert residues.lengths.tolist() == residues.partners.tolist() == [7, 5, 14, 9]
    expected = (np.nan_to_num(dimers[0].ligand.features, nan=7.0) - mean) / scale
    np.testing.assert_allclose(residues.features[26:].numpy(), expected, rtol=1e-5, atol=1e-6)
    rows = residues.neighbours[26:]
    assert ((rows == -1) | ((rows >= 26) & (rows < 35))).all()


def test_batches_hold_all_true_pairs_and_weigh_dimers_alike():
    dimers = [made_dimer(k, f"D{k}") for k in range(5)]
    data = TrainingResidues(dimers, negatives=20, batch_size=2, true_weight=0.5)
    batches = list(data)
    assert len(batches) == data.batches == 3
    assert sum(int(batch.labels.sum()) for batch in batches) == sum(int(d.labels().sum()) for d in dimers)
    for batch in batches:
        assert batch.weights.sum().item() == pytest.approx(1.0)
        assert batch.weights[batch.labels].sum().item() == pytest.approx(0.5)
    assert data.true_share == 0.5


def test_pairs_weigh_alike_unless_true_ones_are_to_weigh_more():
    (batch,) = data = TrainingResidues([made_dimer(1)], negatives=20, batch_size=1)
    assert batch.weights.unique().tolist() == pytest.approx([1 / len(batch.labels)])
    assert data.true_share == pytest.approx(float(batch.labels.float().mean()))


def test_labels_are_those_of_the_pairs():
    dimer = made_dimer(4)
    (batch,) = TrainingResidues([dimer], negatives=60, batch_size=4)
    rows, columns = batch.pairs.numpy() - np.array([[0], [len(dimer.receptor)]])
    np.testing.assert_array_equal(dimer.contact_area[rows, columns] > 0, batch.labels.numpy())
    assert dimer.receptor.surface[rows].all()
    assert dimer.ligand.surface[columns].all()


def test_epochs_repeat_and_differ_and_ranks_share_them():
    dimers = [made_dimer(k, f"D{k}") for k in range(5)]

    def drawn(epoch, **options):
        data = TrainingResidues(dimers, 20, 1, seed=7, **options)
        data.set_epoch(epoch)
        return [batch.pairs for batch in data]

    first = drawn(0)
    assert all(torch.equal(a, b) for a, b in zip(first, drawn(0), strict=True))
    assert not all(a.shape == b.shape and torch.equal(a, b) for a, b in zip(first, drawn(1), strict=True))
    shared = [drawn(0, rank=rank, world_size=2) for rank in (0, 1)]
    assert [len(part) for part in shared] == [2, 2]
    for k in range(4):
        assert torch.equal(shared[k % 2][k // 2], first[k])


def test_a_dimer_without_true_pairs_is_left_out():
    without = replace(made_dimer(1), contact_area=np.zeros((14, 9), dtype=np.float32))
    assert TrainingResidues([without, made_dimer(2)], 10, 4).batches == 1
    assert list(TrainingResidues([without], 10, 4)) == []


def slow_edge(partner, a, b):
    """What a network is told of residue b as a neighbour of a, number by number."""
    centres, sides = partner.centres.astype(float), partner.sides.astype(float)

    def normal(k):
        weights = [min(max(0.5 + (14.0 - np.linalg.norm(centres[k] - x)) / 2.0, 0.0), 1.0) for x in centres]
        offset = centres[k] - np.average(centres, axis=0, weights=weights)
        return offset / np.sqrt(offset @ offset + 1.0)

    distance = np.linalg.norm(centres[b] - centres[a])
    way = (centres[b] - centres[a]) / distance
    same_piece = all(partner.linked[min(a, b) + 1 : max(a, b) + 1])
    return [
        *(np.exp(-(((distance - bump) / 2.0) ** 2)) for bump in (4, 6, 8, 10, 12, 15)),
        distance / 10.0,
        way @ sides[a],
        way @ sides[b],
        sides[a] @ sides[b],
        way @ normal(a),
        normal(a) @ normal(b),
        float(same_piece and abs(a - b) == 1),
        float(same_piece and abs(a - b) == 2),
    ]


def test_edges_are_as_defined(spread):
    neighbours, edges = nearest_residues(spread)
    assert neighbours.shape == (30, 16)
    for a in range(30):
        for k, b in enumerate(neighbours[a]):
            np.testing.assert_allclose(edges[a, k], slow_edge(spread, a, b), atol=1e-5)


def test_of_residues_equally_near_the_earlier_comes_first(spread):
    line = np.column_stack([4.0 * np.arange(30), np.zeros(30), np.zeros(30)]).astype(np.float32)
    neighbours, _ = nearest_residues(replace(spread, centres=line), 4)
    assert neighbours[10].tolist() == [9, 11, 8, 12]
    assert neighbours[0].tolist() == [1, 2, 3, 4]


def test_residues_in_one_place_have_edges(spread):
    centres = spread.centres.copy()
    centres[1] = centres[0]
    neighbours, edges = nearest_residues(replace(spread, centres=centres), 3)
    assert neighbours[0, 0] == 1
    assert np.isfinite(edges).all()
    assert edges[0, 0, 7:9].tolist() == [0.0, 0.0]


def test_two_chains_of_a_partner_have_lengths_of_their_own():
    dimer = made_dimer(1, sizes=(14, 9))
    renamed = tuple(replace(r, chain="H" if k < 5 else "L") for k, r in enumerate(dimer.receptor.residues))
    two = replace(dimer, receptor=replace(dimer.receptor, residues=renamed))
    residues, starts = ResidueTables([two]).gather([0])
    assert residues.lengths.tolist() == [5, 9, 9]
    assert residues.partners.tolist() == [14, 9]
    assert starts.tolist() == [[0, 14]]
    np.testing.assert_array_equal(residues.features[:14], np.nan_to_num(dimer.receptor.features, nan=7.0))


def test_negatives_are_drawn_with_replacement_and_weigh_by_number():
    dimer = made_dimer(1)
    true = int(dimer.labels().sum())
    data = TrainingResidues([dimer, made_dimer(2)], negatives=200, batch_size=2)
    (batch,) = data
    assert batch.labels.shape == (2 * 200 + true + int(made_dimer(2).labels().sum()),)
    first = batch.labels[: true + 200]
    assert first[:true].all()
    assert not first[true:].any()
    assert batch.weights[: true + 200].sum().item() == pytest.approx(0.5)
    others = batch.pairs[:, true : true + 200]
    assert len({tuple(pair) for pair in others.T.tolist()}) < 200, "of fewer than 200 pairs, some come again"


def test_dimers_are_batched_by_the_last_few():
    data = TrainingResidues([made_dimer(k) for k in range(4)], negatives=5, batch_size=2)
    assert data.batches == len(list(data)) == 2
    lopsided = TrainingResidues([made_dimer(k) for k in range(5)], negatives=5, batch_size=2)
    assert [len(batch.residues.partners) for batch in lopsided] == [4, 4, 2]


def test_gathered_neighbours_and_edges_are_those_of_each_partner():
    dimers = [made_dimer(1), made_dimer(2, sizes=(7, 20))]
    residues, starts = ResidueTables(dimers).gather([0, 1])
    partners = [side for dimer in dimers for side in (dimer.receptor, dimer.ligand)]
    for partner, start in zip(partners, starts.flat, strict=True):
        neighbours, edges = nearest_residues(partner)
        here = slice(start, start + len(partner))
        np.testing.assert_array_equal(residues.neighbours[here], np.where(neighbours < 0, -1, neighbours + start))
        np.testing.assert_array_equal(residues.edges[here], edges)
