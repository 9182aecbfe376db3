"""What every model must do, whatever its kind: one suite over all of them, and over an ensemble of all."""

import dataclasses

import numpy as np
import pytest
import torch
from made_complexes import made_complex, made_model
from synthetic import random_rotation

from resblock.errors import InputError
from resblock.models import KINDS, Drawing, Ensemble, load_ensemble, probability, save_ensemble
from resblock.models.losses import cross_entropy
from resblock.structure import PartnerFeatures, read_partner
from resblock.training.config import TrainingConfig, resolve_config

# float32 sums in another order: batches of another size, lanes of another vector.
ROUNDING = 2e-5


@pytest.fixture(scope="module")
def complex():
    return made_complex(1)


@pytest.fixture(params=KINDS)
def model(request, complex):
    return made_model(request.param, complex).eval()


@pytest.fixture(params=[*KINDS, "ensemble"])
def scorer(request, complex):
    if request.param == "ensemble":
        return Ensemble([made_model(kind, complex).eval() for kind in KINDS])
    return made_model(request.param, complex).eval()


def test_log_odds_are_those_of_all_surface_pairs(scorer, complex):
    log_odds = scorer.complex_log_odds(complex)
    assert log_odds.shape == complex.surface_shape
    assert log_odds.dtype == np.float32
    assert np.isfinite(log_odds).all()
    assert log_odds.std() > 0
    chosen = np.array([5, 3, 60])
    encodings = map(scorer.encode, complex.partners)
    some = scorer.pair_log_odds(*encodings, complex.surface_pairs()[chosen])
    np.testing.assert_allclose(some, log_odds.reshape(-1)[chosen], atol=ROUNDING)


def test_exchanged_partners_have_transposed_log_odds(scorer, complex):
    swapped = dataclasses.replace(complex, receptor=complex.ligand, ligand=complex.receptor)
    np.testing.assert_allclose(
        scorer.complex_log_odds(swapped).T, scorer.complex_log_odds(complex), rtol=0, atol=ROUNDING
    )


def test_turned_and_shifted_partners_have_the_same_log_odds(scorer, tmp_path):
    example = load_example()
    generator = np.random.default_rng(3)
    turned = [
        dataclasses.replace(partner, coordinates=partner.coordinates @ random_rotation(generator) + [30.0, -7.0, 11.0])
        for partner in example
    ]
    first, second = (
        scorer.log_odds(*(scorer.encode(PartnerFeatures.of(partner)) for partner in partners))
        for partners in (example, turned)
    )
    np.testing.assert_allclose(second, first, rtol=0, atol=1e-3)  # PROPKA rounds coordinates to a few decimals


def load_example():
    from importlib.resources import files

    directory = files("resblock") / "example"
    return [read_partner(str(directory / name)) for name in ("receptor.pdb", "ligand.cif")]


def test_blocks_do_not_matter(scorer, complex, monkeypatch):
    whole = scorer.complex_log_odds(complex)
    monkeypatch.setattr(type(scorer), "block_size", 7)
    seen = []
    again = scorer.complex_log_odds(complex, lambda done, total: seen.append((done, total)))
    np.testing.assert_allclose(again, whole, rtol=0, atol=ROUNDING)
    assert seen[-1] == (whole.size, whole.size)
    assert [done for done, _ in seen[:2]] == [7, 14]


def test_the_best_are_the_first_of_all(scorer, complex, monkeypatch):
    whole = scorer.complex_log_odds(complex)
    receptor, ligand = map(scorer.encode, complex.partners)
    for count in (0, 1, 10, whole.size + 5):
        found = scorer.best(receptor, ligand, count)
        order = np.argsort(-whole.reshape(-1), kind="stable")[:count]
        np.testing.assert_array_equal(found.pairs, complex.surface_pairs()[order])
        np.testing.assert_array_equal(found.log_odds, whole.reshape(-1)[order])
        np.testing.assert_array_equal(found.receptor_maxima, whole.max(axis=1))
        np.testing.assert_array_equal(found.ligand_maxima, whole.max(axis=0))
        np.testing.assert_allclose(found.receptor_sums, probability(whole).sum(axis=1), rtol=1e-5)
        np.testing.assert_allclose(found.ligand_sums, probability(whole).sum(axis=0), rtol=1e-5)
    monkeypatch.setattr(type(scorer), "block_size", 7)
    in_blocks = scorer.best(receptor, ligand, 10)
    np.testing.assert_allclose(in_blocks.log_odds, np.sort(whole, axis=None)[::-1][:10], rtol=0, atol=ROUNDING)
    np.testing.assert_allclose(in_blocks.ligand_sums, probability(whole).sum(axis=0), rtol=1e-4)


def test_of_equal_pairs_the_first_are_the_best(model, complex, monkeypatch):
    monkeypatch.setattr(type(model), "block_size", 7)
    monkeypatch.setattr(type(model), "scored", lambda self, a, b, pairs: torch.zeros(len(pairs)))
    found = model.best(*map(model.encode, complex.partners), 20)
    np.testing.assert_array_equal(found.pairs, complex.surface_pairs()[:20])


def test_the_same_bits_again_and_after_training_mode(model, complex):
    first = model.complex_log_odds(complex)
    model.train()
    np.testing.assert_array_equal(model.complex_log_odds(complex), first)
    assert model.training


def test_a_partner_is_encoded_without_the_other(scorer, complex):
    """The encoding of a receptor serves any ligand."""
    other = made_complex(5, sizes=(11, 8))
    receptor = scorer.encode(complex.receptor)
    scorer.complex_log_odds(other)
    again = scorer.log_odds(receptor, scorer.encode(complex.ligand))
    np.testing.assert_array_equal(again, scorer.complex_log_odds(complex))


def test_columns_are_found_by_name_and_a_missing_one_is_refused(scorer, complex):
    partner, names = complex.receptor, complex.receptor.feature_names
    order = np.random.default_rng(0).permutation(len(names))
    shuffled = dataclasses.replace(
        partner, features=partner.features[:, order], feature_names=tuple(names[k] for k in order)
    )
    moved = dataclasses.replace(complex, receptor=shuffled)
    np.testing.assert_array_equal(scorer.complex_log_odds(moved), scorer.complex_log_odds(complex))
    without = dataclasses.replace(partner, features=partner.features[:, 1:], feature_names=names[1:])
    with pytest.raises(InputError, match=r"A\.pdb: the features have no 'IC', which the model needs"):
        scorer.encode(without)


def test_odd_features_are_cut(scorer, complex):
    first = complex.receptor.features[:, 0]

    def with_first_feature(deviations):
        features = complex.receptor.features.copy()
        both = np.concatenate([first[complex.receptor.surface], complex.ligand.features[complex.ligand.surface, 0]])
        features[:, 0] = both.mean(dtype=np.float64) + deviations * both.std(dtype=np.float64)
        receptor = dataclasses.replace(complex.receptor, features=features)
        return scorer.complex_log_odds(dataclasses.replace(complex, receptor=receptor))

    at_limit = with_first_feature(6.0)
    np.testing.assert_allclose(with_first_feature(1e6), at_limit, rtol=0, atol=ROUNDING)
    assert np.abs(with_first_feature(3.0) - at_limit).max() > 1e-4


def test_a_stored_model_is_the_same(scorer, complex, tmp_path):
    path, again = tmp_path / "weights.safetensors", tmp_path / "again.safetensors"
    ensemble = scorer if isinstance(scorer, Ensemble) else Ensemble([scorer])
    save_ensemble(path, ensemble)
    loaded = load_ensemble(path)
    np.testing.assert_array_equal(loaded.complex_log_odds(complex), ensemble.complex_log_odds(complex))
    assert [model.config for model in loaded.models] == [model.config for model in ensemble.models]
    assert [type(model) for model in loaded.models] == [type(model) for model in ensemble.models]
    assert loaded.card == ensemble.card
    assert not any(model.training for model in loaded.models)
    save_ensemble(again, loaded)
    assert again.read_bytes() == path.read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["again.safetensors", "weights.safetensors"]


def test_a_calibration_corrects_log_odds(scorer, complex):
    from resblock.models import Calibration

    (scorer if isinstance(scorer, Ensemble) else Ensemble([scorer])).calibrate(Calibration(1.0, -20.0))
    shifted = scorer.complex_log_odds(complex)
    (scorer if isinstance(scorer, Ensemble) else Ensemble([scorer])).calibrate(Calibration(1.0, 20.0))
    np.testing.assert_allclose(shifted, scorer.complex_log_odds(complex) - 20.0, rtol=0, atol=0.1)
    assert shifted.max() < -15


@pytest.mark.parametrize("kind", KINDS)
def test_a_configuration_comes_back_from_toml(kind, tmp_path):
    config = TrainingConfig().updated({"model": {"kind": kind, "positive_weight": 0.25, "dropout": 0.125}})
    path = tmp_path / "config.toml"
    path.write_text(config.to_toml())
    assert resolve_config("residues" if kind == "windows" else "paper", path) == config
    assert config.kind is KINDS[kind]
    with pytest.raises(InputError, match=r"field model\.depth is unknown; \[model\] has "):
        config.updated({"model": {"depth": 3}})
    with pytest.raises(InputError, match=r"model\.dropout is 1\.5; it must be from 0 to below 1"):
        config.updated({"model": {"dropout": 1.5}})


@pytest.mark.parametrize(
    ("kind", "name", "least", "refused"),
    [
        ("windows", "hidden_size", 1, 0),
        ("windows", "num_layers", 1, 0),
        ("windows", "window", 1, -1),
        ("windows", "input_dropout", 0.0, -0.5),
        ("windows", "dropout", 0.0, -0.5),
        ("windows", "closest_per_positive", 0.5, 0.0),
        ("windows", "negatives_per_positive", 0.5, 0.0),
        ("windows", "positive_weight", 0.0, -0.5),
        ("residues", "size", 2, 0),
        ("residues", "lstm_layers", 1, 0),
        ("residues", "pair_size", 2, 1),
        ("residues", "input_dropout", 0.0, -0.5),
        ("residues", "dropout", 0.0, -0.5),
        ("residues", "negatives_per_complex", 1, 0),
    ],
)
def test_the_least_value_of_a_field_is_taken_and_less_is_refused(kind, name, least, refused):
    config = TrainingConfig().updated({"model": {"kind": kind}})
    assert getattr(config.updated({"model": {name: least}}).model, name) == least
    with pytest.raises(InputError, match=rf"model\.{name} is "):
        config.updated({"model": {name: refused}})


def test_the_card_of_one_model_is_its_ensembles_and_of_several_none(complex):
    one, other = made_model("residues", complex), made_model("windows", complex)
    one.card, other.card = {"trained on": 1}, {"trained on": 2}
    assert Ensemble([one]).card == {"trained on": 1}
    assert Ensemble([one, other]).card == {}
    assert Ensemble([one, other], {"own": 3}).card == {"own": 3}


# Training


def batches(model, complexes, epoch=0, **drawing):
    examples = model.examples(complexes, Drawing(**{"batch_size": 4, "seed": 7, **drawing}))
    examples.set_epoch(epoch)
    return examples, list(examples)


def test_training_is_repeatable(model, complex):
    def trained():
        torch.manual_seed(3)
        fresh = made_model(model.kind, complex)
        optimiser = torch.optim.SGD(fresh.parameters(), 0.1)
        for epoch in range(2):
            for batch in batches(fresh, [complex, made_complex(2)], epoch, batch_size=16)[1]:
                optimiser.zero_grad()
                fresh.loss(batch, cross_entropy).backward()
                optimiser.step()
        return fresh.state_dict()

    first, second = trained(), trained()
    assert all(torch.equal(first[name], second[name]) for name in first)
    before = made_model(model.kind, complex).state_dict()
    assert not all(torch.equal(first[name], before[name]) for name in first)


def test_a_step_lowers_the_loss(model, complex):
    torch.manual_seed(0)
    (batch, *_) = batches(model, [complex], batch_size=1000)[1]
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)
    losses = []
    for _ in range(20):
        optimiser.zero_grad()
        loss = model.loss(batch, cross_entropy)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]


def test_weights_of_a_batch_are_together_one(model, complex):
    for weight in (0.0, 0.5):
        weighted = made_model(model.kind, complex, positive_weight=weight)
        examples, found = batches(weighted, [complex, made_complex(2)], batch_size=2000)
        for batch in found:
            assert batch.weights.sum().item() == pytest.approx(1.0)
            share = batch.weights[batch.labels].sum().item()
            assert share == pytest.approx(weight or examples.positive_share, rel=0.02)
        assert examples.batches == len(found)
        assert examples.positive_share == pytest.approx(weight or examples.positive_share)


def test_log_odds_of_a_batch_are_those_of_its_pairs(model, complex):
    """Inputs and labels fit together: a model that is right about the first feature has a small loss."""
    encoded = {}
    for batch in batches(model, [complex], batch_size=1000)[1]:
        with torch.no_grad():
            log_odds = model(*batch.inputs)
        encoded.setdefault("labels", []).append(batch.labels)
        assert log_odds.shape == batch.labels.shape
    labels = torch.cat(encoded["labels"])
    assert int(labels.sum()) == int(complex.labels().sum())


def test_epochs_repeat_and_differ_and_processes_share_them(model):
    complexes = [made_complex(k, f"D{k}") for k in range(5)]

    def losses(epoch=0, **drawing):
        """What tells one batch from another."""
        with torch.no_grad():
            found = batches(model, complexes, epoch, **{"batch_size": 1, **drawing})[1]
            return [model.loss(batch, cross_entropy).item() for batch in found]

    first = losses()
    assert losses() == first
    assert losses(epoch=1) != first
    assert losses(seed=8) != first
    shared = [losses(rank=rank, world_size=2) for rank in (0, 1)]
    assert [len(part) for part in shared] == [len(first) // 2] * 2
    assert [shared[k % 2][k // 2] for k in range(2 * len(shared[0]))] == first[: 2 * len(shared[0])]


def test_complexes_without_contacts_are_refused_or_left_out(model, complex):
    unknown = dataclasses.replace(complex, contact_area=None)
    with pytest.raises(InputError, match="made: no contacts known"):
        model.examples([unknown], Drawing(4))
    without = dataclasses.replace(complex, contact_area=np.zeros_like(complex.contact_area))
    assert model.examples([without], Drawing(4)).batches == 0


def test_log_odds_that_are_no_numbers_are_refused(model, complex):
    """Finite weights can be too large for the numbers they make."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(1e38)
    model.eval()
    with pytest.raises(InputError, match="log-odds that are not finite"):
        model.complex_log_odds(complex)
