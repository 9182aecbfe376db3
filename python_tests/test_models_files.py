"""Ensembles and the files that hold them, the included weights, and devices."""

import json

import numpy as np
import pytest
import safetensors.torch
import torch
from made_complexes import made_complex, made_model

from resblock.errors import InputError
from resblock.evaluation.splits import find_list, read_split
from resblock.models import INCLUDED, Ensemble, choose_device, load_ensemble, save_ensemble
from resblock.models.residues import ResidueModel
from resblock.models.windows import WindowModel
from resblock.structure import FEATURE_VERSION
from resblock.training.config import PRESETS


@pytest.fixture(scope="module")
def complex():
    return made_complex(1)


def three(complex):
    """Models of both kinds that see different features."""
    models = [made_model("residues", complex, 1), made_model("residues", complex, 2, encoder="")]
    return [*models, made_model("windows", complex, 3, num_layers=2)]


def test_log_odds_of_an_ensemble_are_the_mean_of_its_models(complex, tmp_path):
    models = three(complex)
    for k, model in enumerate(models):
        model.log_odds_shift.fill_(-5.0 + 2 * k)  # apart, so that no other mean would do
    ensemble = Ensemble(models, {"made": "of three"})
    expected = np.mean([model.complex_log_odds(complex).astype(np.float64) for model in models], axis=0)
    seen = []
    log_odds = ensemble.complex_log_odds(complex, lambda done, total: seen.append((done, total)))
    np.testing.assert_allclose(log_odds, expected, rtol=0, atol=1e-6)
    assert seen[-1] == (log_odds.size, log_odds.size)
    save_ensemble(tmp_path / "weights.safetensors", ensemble)
    loaded = load_ensemble(tmp_path / "weights.safetensors")
    assert [type(model) for model in loaded.models] == [ResidueModel, ResidueModel, WindowModel]
    assert loaded.card == {"made": "of three"}
    assert [model.card for model in loaded.models] == [{"seed": 1}, {"seed": 2}, {"seed": 3}]
    np.testing.assert_array_equal(loaded.complex_log_odds(complex), log_odds)


def test_models_of_an_ensemble_may_see_different_features(complex):
    from resblock.models import Scaling
    from resblock.models.residues import ResidueModelConfig

    wide = ResidueModel(ResidueModelConfig(size=8), Scaling.over([complex], ("patch charges 8", "AESA")))
    ensemble = Ensemble([made_model("windows", complex), wide])
    assert ensemble.feature_names[-1] == "patch charges 8"
    assert len(ensemble.feature_names) == 10
    assert ensemble.feature_set == "extended"
    assert Ensemble([ensemble.models[0]]).feature_set == "paper"
    both = [model.complex_log_odds(complex).astype(np.float64) for model in ensemble.models]
    np.testing.assert_allclose(ensemble.complex_log_odds(complex), np.mean(both, axis=0), rtol=0, atol=1e-6)


def test_an_ensemble_of_ensembles_has_their_models(complex):
    one, two = Ensemble(three(complex)[:1]), Ensemble(three(complex)[1:])
    assert Ensemble.of([one, two]).models == (*one.models, *two.models)
    with pytest.raises(InputError, match="at least one model"):
        Ensemble([])


def changed(path, tensors=None, **changes):
    """Rewrite a file with a changed description; `models` replaces fields of the first model."""
    with safetensors.safe_open(path, framework="pt") as file:
        description = json.loads(file.metadata()["resblock"])
        held = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    if isinstance(changes.get("models"), dict):
        changes["models"] = [description["models"][0] | changes["models"]]
    held = held if tensors is None else {name: tensor for name, tensor in held.items() if name in tensors}
    safetensors.torch.save_file(held, path, {"resblock": json.dumps(description | changes)})


def put(path, name, value, dtype=None):
    """Rewrite a file with one number of a tensor changed, and perhaps its type."""
    with safetensors.safe_open(path, framework="pt") as file:
        metadata = file.metadata()
        held = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    held[name] = held[name].to(dtype)
    held[name].view(-1)[-1] = value
    safetensors.torch.save_file(held, path, metadata)


ONE = {"a": torch.ones(2)}
BROKEN = {
    "missing": lambda path: path.unlink(),
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("weights"),
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-100]),
    "a directory": lambda path: (path.unlink(), path.mkdir()),
    "another program's": lambda path: safetensors.torch.save_file(ONE, path),
    "a bare network's": lambda path: made_model("windows", made_complex(1)).network.save(path),
    "metadata no JSON": lambda path: safetensors.torch.save_file(ONE, path, {"resblock": "{"}),
    "metadata a list": lambda path: safetensors.torch.save_file(ONE, path, {"resblock": "[]"}),
    "a later version": lambda path: changed(path, format_version=99),
    "another format": lambda path: changed(path, format="resblock.Else"),
    "no models": lambda path: changed(path, models=None),
    "an empty model": lambda path: changed(path, models=[{}]),
    "an empty ensemble": lambda path: changed(path, models=[]),
    "an unknown kind": lambda path: changed(path, models={"kind": "transformer"}),
    "a later kind": lambda path: changed(path, models={"version": 99}),
    "an unknown option": lambda path: changed(path, models={"config": {"depth": 3}}),
    "other sizes": lambda path: changed(path, models={"config": {"hidden_size": 5}}),
    "absurd sizes": lambda path: changed(path, models={"config": {"hidden_size": -5}}),
    "no config": lambda path: changed(path, models={"config": None}),
    "a name short": lambda path: changed(path, models={"feature_names": ["IC"]}),
    "a tensor short": lambda path: changed(path, tensors=["0.mean", "0.scale"]),
    "a number that is none": lambda path: put(path, "0.network.lstm.weight_hh", torch.nan),
    "an infinite bias": lambda path: put(path, "0.network.lstm.bias", -torch.inf),
    "an infinite mean": lambda path: put(path, "0.mean", torch.inf),
    "a scale of zero": lambda path: put(path, "0.scale", 0.0),
    "a shift that is none": lambda path: put(path, "0.log_odds_shift", torch.nan),
    "half precision": lambda path: put(path, "0.network.lstm.weight_hh", 0.0, torch.float16),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_file_that_holds_no_ensemble_is_refused_in_one_line(how, complex, tmp_path):
    path = tmp_path / "weights.safetensors"
    save_ensemble(path, Ensemble([made_model("windows", complex)]))
    BROKEN[how](path)
    with pytest.raises(InputError) as refused:
        load_ensemble(path)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_weights_of_the_first_version_are_refused_by_name(tmp_path):
    path = tmp_path / "weights.safetensors"
    description = {"format": "resblock.WindowScorer", "format_version": 3}
    safetensors.torch.save_file(ONE, path, {"resblock": json.dumps(description)})
    with pytest.raises(InputError, match=r"holds resblock\.WindowScorer, wanted resblock\.Ensemble\); give a file"):
        load_ensemble(path)


def test_the_included_paper_is_the_papers_network():
    (model,) = load_ensemble("paper").models
    assert (model.config.num_layers, model.config.hidden_size) == (60, 8)
    assert model.config == PRESETS["paper"].model
    assert {*model.card["complexes"]["train"]} < set(read_split(find_list("all")))


def test_the_included_default_was_trained_on_every_complex():
    ensemble = load_ensemble()
    assert ensemble.feature_set == "extended"
    every = set(read_split(find_list("all")))
    assert len(every) == 175
    for model in ensemble.models:
        assert set(model.card["complexes"]["train"]) == every


def test_a_file_goes_before_an_included_set_of_its_name(complex, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_ensemble(tmp_path / "paper", Ensemble([made_model("windows", complex)], {"made": "here"}))
    assert load_ensemble("paper").card == {"made": "here"}
    with pytest.raises(InputError, match=r"^absent: no such file"):
        load_ensemble("absent")


def test_a_directory_does_not_hide_an_included_set(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "paper").mkdir()
    assert load_ensemble("paper").feature_set == "paper"


@pytest.mark.parametrize("name", INCLUDED)
def test_included_weights_know_the_features_of_this_version(name):
    for model in load_ensemble(name).models:
        assert model.card["feature_version"] == FEATURE_VERSION


def test_devices():
    assert choose_device("cpu").type == "cpu"
    with pytest.raises(InputError, match="unknown; choose auto, cpu, cuda"):
        choose_device("tpu")
    if not torch.cuda.is_available():
        assert choose_device("auto").type == "cpu"
        with pytest.raises(InputError, match="torch finds no GPU"):
            choose_device("cuda")
