"""The model that encodes residue by residue: what its encoder sees, and the pairs it is trained on."""

import dataclasses

import numpy as np
import pytest
import torch
from made_complexes import made_complex, made_model

from resblock.errors import InputError
from resblock.models import Drawing
from resblock.models.residues import ResidueExamples, ResidueModelConfig, Residues
from resblock.structure.graph import nearest_residues


@pytest.fixture
def complex():
    return made_complex(4)


@pytest.fixture
def model(complex):
    return made_model("residues", complex)


@pytest.mark.parametrize(
    ("name", "allowed", "refused"),
    [
        ("size", (2, 64), (-2, 0, 3)),
        ("encoder", ("", "attention", "mean lstm"), ("lstm, mean", "gru")),
        ("lstm_layers", (1, 2), (0, -1)),
        ("pair_size", (2, 3), (1, 0)),
        ("input_dropout", (0.0, 0.999), (1.0, -0.001)),
        ("dropout", (0.0, 0.999), (1.0, -0.001)),
        ("negatives_per_complex", (1, 2000), (0, -1)),
        ("positive_weight", (0.0, 0.999), (1.0, -0.001)),
    ],
)
def test_values_that_mean_nothing_are_refused(name, allowed, refused):
    for value in allowed:
        ResidueModelConfig(**{name: value}).check()
    for value in refused:
        with pytest.raises(InputError, match=f"^model.{name} is {value}; it must be "):
            ResidueModelConfig(**{name: value}).check()


def test_partners_stand_one_after_the_other(model):
    complexes = [made_complex(1, "A"), made_complex(2, "B", (7, 5))]
    parts = [model.residues(partner) for one in complexes[::-1] for partner in one.partners]
    residues, starts = Residues.joined(parts)
    assert starts.tolist() == [0, 7, 12, 26]
    assert residues.lengths.tolist() == [7, 5, 14, 9]
    np.testing.assert_array_equal(residues.features[26:], model.scaling.standardised(complexes[0].ligand))
    rows = residues.neighbours[26:]
    assert ((rows == -1) | ((rows >= 26) & (rows < 35))).all()
    assert (rows >= 26).any()


def test_an_encoding_is_that_of_the_partner_alone(model, complex):
    """Several partners are encoded together in training, and each by itself afterwards."""
    model.eval()
    parts = [model.residues(partner) for partner in complex.partners]
    with torch.no_grad():
        together = model.encoder(*Residues.joined(parts)[0])
    alone = torch.cat([model.encode(partner).residues for partner in complex.partners])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-5)


def test_neighbours_are_looked_for_only_where_a_block_asks(complex):
    assert model_residues(complex, "lstm").neighbours.shape == (14, 0)
    assert model_residues(complex, "mean").neighbours.shape == (14, 16)


def model_residues(complex, encoder):
    return made_model("residues", complex, encoder=encoder).residues(complex.receptor)


def test_places_matter_through_neighbours_only(complex):
    moved = dataclasses.replace(complex.receptor, centres=complex.receptor.centres[::-1].copy())
    for encoder, same in (("", True), ("lstm", True), ("attention", False)):
        model = made_model("residues", complex, encoder=encoder).eval()
        first, second = model.encode(complex.receptor).residues, model.encode(moved).residues
        assert torch.equal(first, second) == same


def test_batches_hold_all_positives_and_weigh_complexes_alike():
    complexes = [made_complex(k, f"D{k}") for k in range(5)]
    model = made_model("residues", complexes[0], negatives_per_complex=20)
    examples = ResidueExamples(model, complexes, Drawing(2))
    batches = list(examples)
    assert len(batches) == examples.batches == 3
    assert sum(int(batch.labels.sum()) for batch in batches) == sum(int(one.labels().sum()) for one in complexes)
    for batch in batches:
        pairs = batch.inputs[1].numpy()
        ends = np.cumsum(batch.inputs[0].lengths.numpy())
        # The receptor of each complex is the first of its two chains.
        complex_of = np.searchsorted(ends, pairs[0], side="right") // 2
        weights = np.bincount(complex_of, batch.weights.numpy())
        np.testing.assert_allclose(weights, 1.0 / len(weights), rtol=1e-5)


def test_labels_are_those_of_the_pairs(model, complex):
    (batch,) = ResidueExamples(model, [complex], Drawing(4))
    rows, columns = batch.inputs[1].numpy() - np.array([[0], [len(complex.receptor)]])
    np.testing.assert_array_equal(complex.contact_area[rows, columns] > 0, batch.labels.numpy())
    assert complex.receptor.surface[rows].all()
    assert complex.ligand.surface[columns].all()


def test_the_share_of_positives_is_by_number_unless_a_weight_is_given(complex):
    by_number = made_model("residues", complex, positive_weight=0.0, negatives_per_complex=60)
    examples = ResidueExamples(by_number, [complex], Drawing(4))
    (batch,) = examples
    assert examples.positive_share == pytest.approx(float(batch.labels.float().mean()))
    assert ResidueExamples(made_model("residues", complex), [complex], Drawing(4)).positive_share == 0.5


def test_a_complex_without_positives_is_left_out(model, complex):
    without = dataclasses.replace(complex, contact_area=np.zeros_like(complex.contact_area))
    assert ResidueExamples(model, [without, made_complex(2)], Drawing(4)).batches == 1
    assert list(ResidueExamples(model, [without], Drawing(4))) == []


def test_two_chains_of_a_partner_have_lengths_of_their_own(model, complex):
    renamed = tuple(
        dataclasses.replace(r, chain="H" if k < 5 else "L") for k, r in enumerate(complex.receptor.residues)
    )
    assert model.residues(dataclasses.replace(complex.receptor, residues=renamed)).lengths.tolist() == [5, 9]


def test_negatives_are_drawn_with_replacement_and_weigh_by_number(complex):
    by_number = made_model("residues", complex, positive_weight=0.0, negatives_per_complex=200)
    (batch,) = ResidueExamples(by_number, [complex, made_complex(2)], Drawing(2))
    first = int(complex.labels().sum())
    sizes = sorted(int(one.labels().sum()) for one in (complex, made_complex(2)))
    assert batch.labels.shape == (2 * 200 + sum(sizes),)
    labels = batch.labels[: first + 200] if first == sizes[0] else batch.labels
    assert labels[:first].all()
    negatives = batch.inputs[1].T[~batch.labels]
    assert len({tuple(pair) for pair in negatives.tolist()}) < 400, "of fewer than 200 pairs each, some come again"
    assert batch.weights[: first + 200].sum().item() == pytest.approx(0.5)


def test_the_last_batch_holds_what_is_left():
    complexes = [made_complex(k) for k in range(5)]
    examples = ResidueExamples(made_model("residues", complexes[0]), complexes, Drawing(2))
    assert [len(batch.inputs[0].lengths) for batch in examples] == [4, 4, 2]


def test_joined_neighbours_and_edges_are_those_of_each_partner(model):
    partners = [partner for one in (made_complex(1), made_complex(2, sizes=(7, 20))) for partner in one.partners]
    residues, starts = Residues.joined([model.residues(partner) for partner in partners])
    for partner, start in zip(partners, starts, strict=True):
        neighbours, edges = nearest_residues(partner.centres, partner.sides, partner.linked)
        here = slice(start, start + len(partner))
        np.testing.assert_array_equal(residues.neighbours[here], np.where(neighbours < 0, -1, neighbours + start))
        np.testing.assert_array_equal(residues.edges[here], edges)


def test_log_odds_in_training_are_those_of_the_pairs():
    """Each pair of a batch of several complexes is scored as the complex by itself scores it."""
    complexes = [made_complex(4), made_complex(2, "B", (7, 5)), made_complex(3, "C", (11, 6))]
    model = made_model("residues", complexes[0]).eval()
    (batch,) = ResidueExamples(model, complexes, Drawing(3))
    with torch.no_grad():
        found = model.calibrated(model(*batch.inputs)).numpy()
    lengths, rows = batch.inputs[0].lengths.numpy(), batch.inputs[1].numpy()
    starts = np.cumsum([0, *lengths])[:-1].reshape(-1, 2)
    place = np.searchsorted(starts[:, 0], rows[0], side="right") - 1
    for k, (start, length) in enumerate(zip(starts, lengths[::2], strict=True)):
        one = next(c for c in complexes if len(c.receptor) == length)
        expected = np.full((len(one.receptor), len(one.ligand)), np.nan, np.float32)
        pairs = one.surface_pairs()
        expected[tuple(pairs.T)] = model.pair_log_odds(*map(model.encode, one.partners), pairs)
        receptor, ligand = rows[:, place == k] - start[:, None]
        np.testing.assert_allclose(found[place == k], expected[receptor, ligand], rtol=0, atol=1e-5)
