"""Gradient norms by layer: measured rightly, gone without shortcuts, and the part as a whole."""

from __future__ import annotations

import csv
import dataclasses

import numpy as np
import pytest
import torch
from made_complexes import made_complex, save_complexes

from resblock.errors import InputError
from resblock.models import Batch, Scaling
from resblock.models.windows import WindowModel, WindowModelConfig
from resblock.pairs.selection import Closest
from resblock.structure import PAPER_FEATURES
from resblock.study import gradients
from resblock.study.gradient_norms import CURVE_STEPS, Plan, blind_loss, layer_norms, train
from resblock.study.part import Study
from resblock.training.config import TrainingConfig


def model_of(**options: object) -> WindowModel:
    torch.manual_seed(2)
    scaling = Scaling(PAPER_FEATURES, np.zeros(9, np.float32), np.ones(9, np.float32))
    return WindowModel(WindowModelConfig(input_dropout=0.0, dropout=0.0, **options), scaling)


def batch(pairs: int = 20) -> Batch:
    generator = torch.Generator().manual_seed(4)
    labels = torch.randint(2, (pairs,), generator=generator, dtype=torch.bool)
    windows = torch.randn(9, pairs, 18, generator=generator)
    return Batch((windows, torch.full((pairs,), 9)), labels, torch.full((pairs,), 1 / pairs))


def test_norms_are_those_of_torchs_own_gradients() -> None:
    model = model_of(num_layers=3, peephole=False, residual=False, attention=False)
    (windows, _), labels, _ = batch()
    norms = layer_norms(model, batch())
    lstm, head = model.network.lstm.to_torch().double(), model.network.head.double()
    torch.nn.functional.cross_entropy(head(lstm(windows.double())[0][-1]), labels.long()).backward()
    for layer, norm in enumerate(norms):
        # torch has two biases, which get the same gradient.
        named = (getattr(lstm, f"{name}_l{layer}").grad for name in ("weight_ih", "weight_hh", "bias_ih"))
        assert norm == pytest.approx(float(sum(gradient.square().sum() for gradient in named)) ** 0.5, rel=1e-7)


def test_tiny_gradients_are_not_lost() -> None:
    norms = layer_norms(model_of(num_layers=150, residual=False), batch(4))
    assert 0 < norms[0] < 1e-90


def test_looking_changes_nothing() -> None:
    model = model_of(num_layers=4)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    layer_norms(model, batch())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize("peephole", [True, False])
def test_shortcuts_keep_the_first_layers_gradient(peephole: bool) -> None:
    """Measured at 20 layers: 0.2 with, 1e-13 without."""
    ratios = []
    for residual in (True, False):
        norms = layer_norms(model_of(num_layers=20, residual=residual, peephole=peephole), batch())
        assert len(norms) == 20
        ratios.append(norms[0] / norms[-1])
    assert ratios[0] > 1e-2
    assert 0 < ratios[1] < 1e-8


def test_training_lowers_the_loss_and_is_repeatable() -> None:
    dimers = [made_complex(k, f"D{k}") for k in range(4)]
    config = TrainingConfig().updated(
        {
            "model": {"num_layers": 2, "input_dropout": 0.0, "dropout": 0.0},
            "optimisation": {"learning_rate": 0.01},
        }
    )
    plan = Plan((2,), 5 * CURVE_STEPS, (0, 30))
    found = [train(config.seeded(3), plan, dimers, torch.device("cpu")) for _ in range(2)]
    assert found[0] == found[1]
    norms, losses = found[0]
    assert list(norms) == [0, 30]
    assert len(losses) == 5
    assert losses[-1] < 0.8 * losses[0]
    assert norms[0] != norms[30]


def test_the_blind_loss_is_that_of_the_best_constant() -> None:
    dimers = [made_complex(k, f"D{k}") for k in range(4)]
    labels = np.concatenate([Closest()(dimer, np.random.default_rng(0))[1] for dimer in dimers])
    shares = np.linspace(0.001, 0.999, 999)[:, None]
    losses = -np.where(labels, np.log(shares), np.log(1 - shares)).mean(axis=1)
    assert blind_loss(dimers) == pytest.approx(losses.min(), abs=1e-5)


@pytest.fixture
def study(tmp_path):
    data = save_complexes(tmp_path / "data", 4)
    out = tmp_path / "gradients"
    out.mkdir()
    split = {f"D{k}": "train" if k < 3 else "test" for k in range(4)}
    return Study(data=data, out=out, runs=tmp_path / "runs", split=split, seeds=(1,), quick=True, device="cpu")


def test_the_part_is_whole_and_not_computed_twice(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = Plan((2, 20), CURVE_STEPS, (0, CURVE_STEPS))
    monkeypatch.setattr(gradients, "QUICK", plan)
    said: list[str] = []
    study = dataclasses.replace(study, progress=said.append)
    result = gradients.run(study)
    assert len(said) == len(plan.depths) * len(gradients.VARIANTS) * len(study.seeds)
    (table,) = result.tables
    assert [row[:3] for row in table.rows[:2]] == [(2, "yes", "yes"), (2, "yes", "no")]
    assert all(len(row) == len(table.columns) for row in table.rows)
    by = {row[:3]: row for row in table.rows}
    # Two layers have no shortcut.
    assert by[2, "yes", "yes"][3:] == by[2, "no", "yes"][3:]
    assert "Of 20 layers without shortcuts, 0 have a gradient" in result.text
    assert by[20, "no", "yes"][3] < 1e-8 < 1e-2 < by[20, "yes", "yes"][3]
    with (study.out / "gradients_by_layer.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == sum(plan.depths) * len(gradients.VARIANTS) * len(study.seeds) * len(plan.seen_at)
    assert all(path.with_suffix(".png").stat().st_size for path in result.figures)
    figures = [path.read_bytes() for path in result.figures]
    said.clear()
    assert gradients.run(study) == result
    assert not said
    assert [path.read_bytes() for path in result.figures] == figures


def test_nothing_to_train_on_is_refused(study: Study) -> None:
    with pytest.raises(InputError, match="no training complex"):
        gradients.run(dataclasses.replace(study, split={"D3": "test"}))
