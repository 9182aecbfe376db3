"""`resblock sweep`: what it trains and writes, how it goes on after an interruption, and what it refuses."""

import csv

import pytest
from command_line import assert_refused, contents, run_without
from made_complexes import save_complexes

from resblock.evaluation import evaluate
from resblock.evaluation.splits import part_of
from resblock.models import load_ensemble
from resblock.pairs import load_complexes
from resblock.sweep.experiment import Experiment

SMALL = ("--set", "optimisation.epochs=1", "--set", "data.validation_pairs=40")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    return save_complexes(tmp_path_factory.mktemp("prepared"), 6)


def test_a_sweep_trains_ranks_and_goes_on(prepared, tmp_path, run, monkeypatch):
    out = tmp_path / "out"
    command = ("sweep", prepared, "--out", out, "--layers", "2,4", "--units", "4", *SMALL)
    with monkeypatch.context() as patch:
        patch.setattr(Experiment, "trained", interrupted_at_second())
        status, _, err = run(*command)
        assert status == 130
    assert err.count("validation AUROC") == 1
    status, printed, err = run(*command)
    assert status == 0, err
    assert "1 of 2 trials are done" in err
    assert "The best on the validation dimers is num_layers" in printed
    with open(out / "by_num_layers.csv") as file:
        heading, *rows = csv.reader(file)
    assert heading == ["dimer", "num_layers 2", "num_layers 4"]
    (weights,) = (out / "runs").glob("*num-layers-4*/weights.safetensors")
    codes = part_of(weights.parent / "split.tsv", "train")
    rest = [one for one in load_complexes(prepared) if one.code in {row[0] for row in rows}]
    assert rest
    assert not set(codes) & {one.code for one in rest}
    for result in evaluate(load_ensemble(weights), rest):
        assert float(next(row[2] for row in rows if row[0] == result.code)) == pytest.approx(result.accuracy_order)
    before = contents(out)
    status, _, err = run(*command)
    assert status == 0
    assert "2 of 2 trials are done" in err
    assert "training" not in err
    assert contents(out) == before


def interrupted_at_second():
    trained, calls = Experiment.trained, []

    def train(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return trained(*arguments)

    return train


def test_a_drawn_sweep(prepared, tmp_path, run):
    options = ("--learning-rate", "1e-4:1e-1", "--layers", "2", "--set", "model.hidden_size=4", *SMALL)
    status, printed, err = run("sweep", prepared, "--out", tmp_path, *options, "--sampler", "tpe", "--trials", "2")
    assert status == 0, err
    assert "2 trials, drawn by the tree-structured Parzen estimator" in printed
    assert not list(tmp_path.glob("*.svg"))
    assert len((tmp_path / "settings.csv").read_text().splitlines()) == 3


def test_each_kind_of_model_has_its_own_negatives_and_features(prepared, tmp_path, run):
    options = ("--preset", "residues", "--negatives", "5,50", "--set", "model.features=paper", "--dropout", "0.1")
    status, printed, err = run("sweep", prepared, "--out", tmp_path, *options, *SMALL)
    assert status == 0, err
    assert "negatives_per_complex" in printed
    (run_directory, _) = sorted(path for path in (tmp_path / "runs").iterdir() if path.is_dir())
    config = (run_directory / "config.toml").read_text()
    assert 'features = "paper"' in config
    assert "dropout = 0.1" in config


@pytest.mark.parametrize(("module", "options"), [("matplotlib", ()), ("psycopg", ("--storage", "postgresql://a/b"))])
def test_a_missing_extra_is_named(module, options, prepared, tmp_path):
    refused = run_without(module, "sweep", prepared, "--out", tmp_path / "out", "--layers", "2", *options)
    assert_refused(refused, f"{module} is not installed; run: pip install 'resblock[study]'")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), ["nothing to vary"]),
        (("--layers", "2", "--vary", "model.num_layers=4"), ["varied twice"]),
        (("--layers", "2:4"), ["model.num_layers", "a grid has no ranges"]),
        (("--layers", "2", "--sampler", "random"), ["sampler 'random'"]),
        (("--units", "2", "--preset", "chain"), ["field model.hidden_size is unknown"]),
        (("--layers", "2", "--sampler", "tpe", "--seeds", "1,2"), ["seeds 1, 2"]),
        (("--window", "3", "--preset", "chain"), ["field model.window is unknown"]),
        (("--layers", "2", "--split", "paper_test"), ["part validation"]),
        (("--layers", "2", "--seeds", "one"), ["seeds 'one'"]),
    ],
)
def test_what_cannot_be_swept_is_refused(options, words, prepared, tmp_path, run):
    assert_refused(run("sweep", prepared, "--out", tmp_path / "out", *options), *words)
    assert not (tmp_path / "out" / "runs").exists()
