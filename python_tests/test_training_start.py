"""Training that begins with weights: first on one kind of complexes, then on others."""

import dataclasses

import numpy as np
import pytest
import torch
from made_complexes import made_complex

from resblock.errors import InputError
from resblock.models import load_ensemble
from resblock.pairs import PSEUDO_DIMER, save_complex
from resblock.training.config import resolve_config
from resblock.training.cross_validation import cross_validate
from resblock.training.run import new_model, train

SMALL = (
    "model.negatives_per_complex=30", "data.validation_pairs=40", "model.size=8", "model.pair_size=8",
    "optimisation.epochs=1", "data.variants=true",
)  # fmt: skip
FIRST = resolve_config("residues", None, (*SMALL, 'data.kind_chances="pseudo-dimer=1,*=0"'))
THEN = resolve_config("residues", None, (*SMALL, 'data.kind_chances="pseudo-dimer=0"'))


@pytest.fixture
def data(tmp_path):
    directory = tmp_path / "data"
    directory.mkdir()
    for k in range(6):
        save_complex(directory / f"D{k}.npz", made_complex(k, f"D{k}"))
        part = dataclasses.replace(made_complex(k + 10, f"D{k}.r1-cut1"), origin=f"D{k}", kind=PSEUDO_DIMER)
        save_complex(directory / f"D{k}.r1-cut1.npz", part)
    return directory


@pytest.fixture
def split(tmp_path):
    (tmp_path / "split").write_text("".join(f"D{k} train\n" for k in range(6)))
    return tmp_path / "split"


def parameters(path):
    (model,) = load_ensemble(path).models
    return torch.cat([one.detach().flatten() for one in model.parameters()])


def test_a_run_begins_with_the_weights_of_another(data, split, tmp_path):
    first = train(data, tmp_path / "first", FIRST, split)
    card = load_ensemble(first.weights).card
    assert card["complexes"]["train"] == [f"D{k}.r1-cut1" for k in range(6)]
    assert "start" not in card
    then = train(data, tmp_path / "then", THEN.seeded(5), split, start=first.weights)
    alone = train(data, tmp_path / "alone", THEN.seeded(5), split)
    (begun,) = load_ensemble(then.weights).models
    (before,) = load_ensemble(first.weights).models
    np.testing.assert_array_equal(begun.scaling.mean, before.scaling.mean)
    assert begun.card["start"]["complexes"] == card["complexes"]
    assert begun.card["complexes"]["train"] == [f"D{k}" for k in range(6)]
    distance = [(parameters(path) - parameters(first.weights)).norm() for path in (then.weights, alone.weights)]
    assert 0 < distance[0] < 0.5 * distance[1]


def test_the_calibration_is_not_taken_over(data, split, tmp_path):
    first = train(data, tmp_path / "first", FIRST, split)
    start = load_ensemble(first.weights)
    complexes = [made_complex(k, f"D{k}") for k in range(6)]
    model = new_model(THEN, complexes, start)
    assert (float(model.log_odds_shift), float(model.log_odds_scale)) == (0.0, 1.0)
    assert float(start.models[0].log_odds_shift) != 0.0
    for name, weight in model.named_parameters():
        assert torch.equal(weight, dict(start.models[0].named_parameters())[name])


def test_a_run_with_other_weights_is_another_run(data, split, tmp_path):
    first = train(data, tmp_path / "first", FIRST, split).weights
    other = train(data, tmp_path / "other", FIRST.seeded(7), split).weights
    train(data, tmp_path / "then", THEN, split, start=first)
    assert train(data, tmp_path / "then", THEN, split, start=first).already_finished
    for start in (other, None):
        with pytest.raises(InputError, match="then: holds a run that began with other weights"):
            train(data, tmp_path / "then", THEN, split, start=start)


def test_other_models_and_numbers_are_refused(data, split, tmp_path):
    first = train(data, tmp_path / "first", FIRST, split).weights
    wider = THEN.updated({"model": {"size": 16}})
    with pytest.raises(InputError, match=r"--start: the weights are of .*size=8"):
        train(data, tmp_path / "wider", wider, split, start=first)
    several = THEN.updated({"optimisation": {"ensemble": 2}})
    with pytest.raises(InputError, match="--start: the weights have 1 models, 2 are to be trained"):
        train(data, tmp_path / "several", several, split, start=first)
    two = train(data, tmp_path / "two", FIRST.updated({"optimisation": {"ensemble": 2}}), split).weights
    both = load_ensemble(train(data, tmp_path / "both", several, split, start=two).weights)
    assert len(both.models) == 2


def test_cross_validation_in_two_stages(data, tmp_path):
    (tmp_path / "folds").write_text("D0 1\nD1 1\nD2 2\nD3 2\n")
    # The part of D5 is a homologue of D0, that of D4 of nothing.
    lines = [f"D{k}\nD{k}.r1-cut1\t{'D0' if k == 5 else ''}" for k in range(6)]
    (tmp_path / "homologues").write_text("\n".join(lines) + "\n")
    lists = {"folds_file": tmp_path / "folds", "homologues_file": tmp_path / "homologues"}
    (row,) = cross_validate(data, tmp_path / "first", {"small": FIRST}, [1], **lists)
    cards = {
        fold: load_ensemble(tmp_path / f"first/small/seed-1/fold-{fold}/weights.safetensors").card for fold in (1, 2)
    }
    assert cards[1]["complexes"]["train"] == [f"D{k}.r1-cut1" for k in (2, 3, 4)]
    assert cards[2]["complexes"]["train"] == [f"D{k}.r1-cut1" for k in (0, 1, 4, 5)]
    assert row.without_homologues == {"D0", "D1", "D2", "D3"}
    (then,) = cross_validate(data, tmp_path / "then", {"small": THEN}, [1], **lists, start=tmp_path / "first")
    weights = load_ensemble(tmp_path / "then/small/seed-1/fold-2/weights.safetensors")
    assert weights.card["complexes"]["train"] == ["D0", "D1", "D4", "D5"]
    assert weights.card["start"]["complexes"] == cards[2]["complexes"]
    assert then.without_homologues == {"D0", "D1", "D2", "D3"}
    # Other folds: what a network was trained on at first would be ranked.
    (tmp_path / "folds").write_text("D0 2\nD1 2\nD2 1\nD3 1\n")
    with pytest.raises(InputError, match=r"--start: was trained on D2\.r1-cut1, which is of fold 1"):
        cross_validate(data, tmp_path / "other", {"small": THEN}, [1], **lists, start=tmp_path / "first")


def test_the_command_line_begins_with_weights(run, data, split, tmp_path):
    given = "train", data, "--preset", "residues", "--split", split, *(w for one in SMALL for w in ("--set", one))
    assert run(*given, "--out", tmp_path / "first")[0] == 0
    assert run(*given, "--out", tmp_path / "then", "--start", tmp_path / "first" / "weights.safetensors")[0] == 0
    assert "start" in load_ensemble(tmp_path / "then" / "weights.safetensors").card
