"""A further kind of model is one class and one name: this one is trained, stored, combined and evaluated like any."""

import dataclasses
from typing import NamedTuple

import numpy as np
import pytest
import torch
from made_complexes import made_model, save_complexes

from resblock.models import Batch, Encoding, Ensemble, Examples, Model, ModelConfig, load_ensemble, save_ensemble
from resblock.models import files as model_files
from resblock.models.examples import pair_weights
from resblock.pairs import load_complexes
from resblock.training import config as training_config
from resblock.training.run import train


@dataclasses.dataclass(frozen=True)
class SumConfig(ModelConfig):
    bias: bool = True


@dataclasses.dataclass(frozen=True)
class SumEncoding(Encoding):
    values: torch.Tensor


class Pairs(NamedTuple):
    first: torch.Tensor
    second: torch.Tensor


class SumExamples(Examples):
    """All surface pairs of a complex in a batch."""

    def __init__(self, model, complexes, drawing):
        super().__init__(drawing)
        self.model, self.complexes = model, complexes

    @property
    def batches(self):
        return len(self.complexes)

    @property
    def positive_share(self):
        return float(np.mean(np.concatenate([one.labels() for one in self.complexes])))

    def __iter__(self):
        for complex in self.complexes:
            rows, columns = complex.surface_pairs().T
            first, second = (torch.from_numpy(self.model.scaling.standardised(p)) for p in complex.partners)
            labels = complex.labels()
            weights = torch.from_numpy(pair_weights(labels, self.model.config.positive_weight))
            yield Batch((Pairs(first[rows], second[columns]),), torch.from_numpy(labels), weights)


class SumModel(Model[SumEncoding]):
    """Each residue has a value, and log-odds are the sum of two."""

    kind = "sum"
    version = 1
    Config = SumConfig

    def __init__(self, config, scaling, card=None, calibration=None):
        super().__init__(config, scaling, card, calibration)
        self.value = torch.nn.Linear(len(scaling.names), 1, config.bias)

    def examples(self, complexes, drawing):
        return SumExamples(self, complexes, drawing)

    def forward(self, pairs):
        return (self.value(pairs.first) + self.value(pairs.second))[:, 0]

    def encoded(self, partner):
        return SumEncoding(
            partner.surface_residues, self.value(torch.from_numpy(self.scaling.standardised(partner)))[:, 0]
        )

    def scored(self, receptor, ligand, pairs):
        return self.calibrated(receptor.values[pairs[:, 0]] + ligand.values[pairs[:, 1]])


@pytest.fixture
def kinds(monkeypatch):
    for module in (model_files, training_config):
        monkeypatch.setattr(module, "KINDS", {**model_files.KINDS, SumModel.kind: SumModel})


def test_a_third_kind_of_model(kinds, tmp_path):
    data, split = save_complexes(tmp_path / "data", 6), tmp_path / "split"
    split.write_text("D0 train\nD1 train\nD2 train\nD3 train\nD4 validation\nD5 test\n")
    settings = ("model.kind=sum", "optimisation.epochs=30", "optimisation.learning_rate=0.05")
    config = training_config.resolve_config("paper", None, settings)
    outcome = train(data, tmp_path / "run", config, split)
    assert outcome.metrics["mean_auroc"] > 0.9
    trained = load_ensemble(outcome.weights)
    assert isinstance(trained.models[0], SumModel)
    complex = load_complexes(data, ["D5"])[0]
    both = Ensemble.of([trained, Ensemble([made_model("residues", complex)])])
    save_ensemble(tmp_path / "both", both)
    np.testing.assert_array_equal(
        load_ensemble(tmp_path / "both").complex_log_odds(complex), both.complex_log_odds(complex)
    )
