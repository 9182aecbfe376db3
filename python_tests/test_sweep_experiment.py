"""Training runs that a search and the parts of the study share."""

import threading

import numpy as np
import pytest
from made_complexes import save_complexes

from resblock.sweep.experiment import Experiment
from resblock.training.config import resolve_config

SMALL = ("optimisation.epochs=1", "data.validation_pairs=40")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    return save_complexes(tmp_path_factory.mktemp("prepared"), 4)


def experiment_of(prepared, tmp_path):
    split = {"D0": "train", "D1": "train", "D2": "validation", "D3": "test"}
    return Experiment(data=prepared, out=tmp_path, runs=tmp_path / "runs", split=split, seeds=(1,))


def runs_of(experiment):
    return sorted(path for path in experiment.runs.iterdir() if path.is_dir())


def test_a_model_is_trained_once_whatever_its_name(prepared, tmp_path):
    experiment = experiment_of(prepared, tmp_path)
    config = resolve_config("windows", None, (*SMALL, "model.hidden_size=4"))
    first = experiment.trained("windows", config, 3)
    (run,) = runs_of(experiment)
    assert run.name.startswith("windows-seed-3-")
    stamp = (run / "weights.safetensors").stat().st_mtime_ns
    again = experiment.trained("another name", config, 3)
    assert (run / "weights.safetensors").stat().st_mtime_ns == stamp
    assert runs_of(experiment) == [run]
    (test,) = experiment.complexes("test")
    assert np.array_equal(first.complex_log_odds(test), again.complex_log_odds(test))


@pytest.mark.parametrize("change", ["model.hidden_size=6", "model.features=extended", "optimisation.seed=4"])
def test_another_configuration_is_another_run(prepared, tmp_path, change):
    experiment = experiment_of(prepared, tmp_path)
    settings = (*SMALL, "model.hidden_size=4", "model.num_layers=2")
    experiment.trained("windows", resolve_config("windows", None, settings), 3)
    changed = resolve_config("windows", None, (*settings, change))
    experiment.trained("windows", changed, changed.optimisation.seed if "seed" in change else 3)
    assert len(runs_of(experiment)) == 2


def test_two_that_want_one_run_take_turns(prepared, tmp_path):
    experiment = experiment_of(prepared, tmp_path)
    config = resolve_config("windows", None, (*SMALL, "model.hidden_size=4", "model.num_layers=2"))
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(experiment.trained("windows", config, 1))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 2
    assert len(runs_of(experiment)) == 1
