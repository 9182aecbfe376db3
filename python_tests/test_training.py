"""Batches and runs: what is refused, what repeats, and what survives an interruption."""

import dataclasses
import gc
import json
import math
import shutil
import tempfile
import weakref

import numpy as np
import pytest
import torch
from made_complexes import made_complex, save_complexes

from resblock.errors import InputError
from resblock.evaluation import evaluate
from resblock.evaluation.splits import part_of, read_split
from resblock.models import Ensemble, load_ensemble, save_ensemble
from resblock.pairs import load_complexes
from resblock.pairs.selection import Closest
from resblock.structure import feature_names
from resblock.training.config import TrainingConfig, read_toml, resolve_config
from resblock.training.data import TrainingData, ValidationComplex
from resblock.training.module import Training
from resblock.training.run import new_model, train
from resblock.training.trainer import WholeCheckpoints

SMALL = (
    "model.negatives_per_positive=3",
    "data.validation_pairs=40",
    "model.hidden_size=4",
    "optimisation.epochs=3",
    "optimisation.batch_size=50",
    "optimisation.patience=3",
)


# Batches


def test_validation_pairs_hold_all_positives():
    complex = made_complex(1)
    drawn = ValidationComplex.drawn(complex, 20, seed=3)
    assert drawn.labels.sum() == complex.labels().sum()
    assert len(drawn.labels) == complex.labels().sum() + 20
    assert len(np.unique(drawn.pairs, axis=0)) == len(drawn.pairs)
    assert (complex.contact_area[tuple(drawn.pairs.T)] > 0).tolist() == drawn.labels.tolist()


def training_data(train, validation, config):
    return TrainingData(new_model(config, train), train, validation, config)


def test_complexes_without_contacts_are_refused():
    without = dataclasses.replace(made_complex(1), contact_area=np.zeros((14, 9), dtype=np.float32))
    config = resolve_config("windows", None, SMALL)
    with pytest.raises(InputError, match="no validation complex has a positive"):
        training_data([made_complex(2)], [without], config)
    with pytest.raises(InputError, match="too few positives"):
        training_data([without], [made_complex(2)], config)


# Runs


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    return save_complexes(tmp_path_factory.mktemp("prepared"))


@pytest.fixture(scope="module")
def config():
    return resolve_config("windows", None, SMALL)


@pytest.fixture(scope="module")
def finished(prepared, config, tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "run"
    return run, train(prepared, run, config)


def test_a_run_leaves_what_it_says(finished, prepared, config):
    run, outcome = finished
    assert outcome.weights == run / "weights.safetensors"
    assert not outcome.already_finished
    assert {p.name for p in run.iterdir()} == {
        "checkpoints", "config.toml", "csv", "split.tsv", "tensorboard", "weights.safetensors",
    }  # fmt: skip
    assert TrainingConfig().updated(read_toml(run / "config.toml")) == config
    assert sorted(read_split(run / "split.tsv")) == [f"D{k}" for k in range(8)]
    lines = (run / "csv" / "version_0" / "metrics.csv").read_text().splitlines()
    assert {"training_loss", "validation_auroc"} <= set(lines[0].split(","))
    assert list((run / "tensorboard" / "version_0").glob("events*"))


def test_the_card_holds_the_metrics_of_the_weights(finished, prepared):
    run, outcome = finished
    ensemble = load_ensemble(outcome.weights)
    codes = part_of(run / "split.tsv", "validation")
    assert ensemble.card["complexes"]["validation"] == codes
    assert json.loads(json.dumps(outcome.metrics)) == ensemble.card["validation"]
    results = evaluate(ensemble, load_complexes(prepared, codes))
    assert np.mean([r.auroc for r in results]) == pytest.approx(outcome.metrics["mean_auroc"])


def test_the_same_run_gives_the_same_weights(finished, prepared, config, tmp_path):
    again = train(prepared, tmp_path / "run", config)
    assert again.weights.read_bytes() == finished[1].weights.read_bytes()


def test_another_seed_gives_other_weights(finished, prepared, tmp_path):
    split = finished[0] / "split.tsv"
    other = train(prepared, tmp_path / "run", resolve_config("windows", None, (*SMALL, "optimisation.seed=2")), split)
    assert other.weights.read_bytes() != finished[1].weights.read_bytes()


def test_every_epoch_draws_other_pairs(prepared, config, tmp_path, monkeypatch):
    seen = {}
    step = Training.training_step

    def recorded(module, batch, index):
        seen.setdefault(module.current_epoch, []).append(batch.inputs[0].clone())
        return step(module, batch, index)

    monkeypatch.setattr(Training, "training_step", recorded)
    train(prepared, tmp_path / "run", config)
    first, second, third = (torch.cat(seen[epoch], dim=1) for epoch in range(3))
    assert first.shape == second.shape == third.shape
    assert not torch.equal(first, second)
    assert not torch.equal(second, third)


@pytest.mark.parametrize("when", ["on_train_epoch_start", "on_train_epoch_end"])
def test_an_interrupted_run_goes_on_to_the_same_weights(when, finished, prepared, config, tmp_path, monkeypatch):
    hook = getattr(Training, when)

    def interrupt(module):
        hook(module)
        if module.current_epoch == 1:
            raise KeyboardInterrupt

    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        # A hook of the module's own runs before the callbacks that save.
        patch.setattr(Training, when, interrupt)
        with pytest.raises(KeyboardInterrupt):
            train(prepared, run, config)
    assert (run / "checkpoints" / "last.ckpt").exists()
    assert not (run / "weights.safetensors").exists()
    outcome = train(prepared, run, config)
    assert outcome.weights.read_bytes() == finished[1].weights.read_bytes()


def test_a_run_goes_on_from_where_it_was_killed_before_it_began(finished, prepared, config, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / "split.tsv").write_text("D0\ttr")
    (run / ".config.toml.x1").write_text("[dat")
    assert train(prepared, run, config).weights.read_bytes() == finished[1].weights.read_bytes()


def test_a_damaged_checkpoint_is_refused(finished, prepared, config, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(finished[0], run)
    (run / "weights.safetensors").unlink()
    (run / "checkpoints" / "last.ckpt").write_bytes(b"damaged")
    with pytest.raises(InputError, match=r"last\.ckpt: damaged checkpoint"):
        train(prepared, run, config)


def test_nothing_is_written_before_everything_fits(prepared, config, tmp_path):
    with pytest.raises(InputError, match="device 'tpu' is unknown"):
        train(prepared, tmp_path / "run", config, device="tpu")
    split = tmp_path / "split"
    split.write_text("D0 train\nD9 validation\n")
    with pytest.raises(InputError, match="no prepared complex D9"):
        train(prepared, tmp_path / "run", config, split)
    assert not (tmp_path / "run").exists()


def test_a_finished_run_is_left_alone(finished, prepared, config):
    run, outcome = finished
    before = outcome.weights.stat().st_mtime_ns
    again = train(prepared, run, config)
    assert again.already_finished
    assert again.metrics == json.loads(json.dumps(outcome.metrics))
    assert outcome.weights.stat().st_mtime_ns == before


def test_another_runs_directory_is_refused(finished, prepared, config, tmp_path):
    run, _ = finished
    other = resolve_config("windows", None, (*SMALL, "model.num_layers=3"))
    with pytest.raises(InputError, match=r"holds a run with model.num_layers = 4 \(asked for: 3\)"):
        train(prepared, run, other)
    split = tmp_path / "split"
    split.write_text("D0 train\nD1 validation\n")
    with pytest.raises(InputError, match="another split"):
        train(prepared, run, config, split)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep")
    with pytest.raises(InputError, match="exists and is no training run"):
        train(prepared, tmp_path / "mine", config)
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["notes.txt"]


def test_one_preparation_serves_every_feature_set(prepared, config, tmp_path):
    extended = dataclasses.replace(config, model=dataclasses.replace(config.model, features="extended"))
    outcome = train(prepared, tmp_path / "run", extended)
    assert load_ensemble(outcome.weights).feature_names == feature_names("extended")
    with pytest.raises(InputError, match=r"holds a run with model\.features = 'extended' \(asked for: 'paper'\)"):
        train(prepared, tmp_path / "run", config)


def test_another_kind_of_model_is_another_run(finished, prepared):
    with pytest.raises(InputError, match=r"holds a run with .* = .* \(asked for: "):
        train(prepared, finished[0], resolve_config("residues"))


def test_a_list_decides(prepared, config, tmp_path):
    split = tmp_path / "split"
    split.write_text("D0 train\nD1 train\nD2 validation\nD9 test\n")
    outcome = train(prepared, tmp_path / "run", config, split)
    assert load_ensemble(outcome.weights).card["complexes"] == {"train": ["D0", "D1"], "validation": ["D2"]}
    split.write_text("D0 validation\nD2 test\n")
    with pytest.raises(InputError, match="no complex in the part train"):
        train(prepared, tmp_path / "other", config, split)
    assert not (tmp_path / "other").exists()


def test_learning_is_seen_in_the_ranking(tmp_path):
    settings = (*SMALL[:2], "optimisation.epochs=20", "optimisation.batch_size=20", "optimisation.learning_rate=0.01")
    prepared = save_complexes(tmp_path / "prepared", 16)
    outcome = train(prepared, tmp_path / "run", resolve_config("windows", None, settings))
    # One feature of each residue in the middle decides; by chance it would be 0.5.
    assert outcome.metrics["mean_auroc"] > 0.8


def test_training_stops_early(prepared, tmp_path, monkeypatch):
    monkeypatch.setattr("resblock.training.module.auroc", lambda scores, labels: 0.5)
    settings = (*SMALL, "optimisation.epochs=9", "optimisation.patience=2")
    outcome = train(prepared, tmp_path / "run", resolve_config("windows", None, settings))
    assert load_ensemble(outcome.weights).card["epoch"] == 1
    last = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    assert last["epoch"] == 2


def test_the_papers_selection_trains(prepared, tmp_path):
    settings = ("model.num_layers=4", "model.closest_per_positive=2", "optimisation.epochs=1")
    outcome = train(prepared, tmp_path / "run", resolve_config("paper", None, settings))
    assert outcome.weights.exists()


@pytest.mark.parametrize("window", [1, 5])
def test_windows_of_another_size(window, prepared, tmp_path):
    settings = (*SMALL, "model.num_layers=2", "optimisation.epochs=1", f"model.window={window}")
    outcome = train(prepared, tmp_path / "run", resolve_config("windows", None, settings))
    ensemble = load_ensemble(outcome.weights)
    assert ensemble.models[0].config.window == window
    assert evaluated_auroc(ensemble, prepared) == pytest.approx(outcome.metrics["mean_auroc"])
    save_ensemble(tmp_path / "both", Ensemble.of([ensemble, load_ensemble(outcome.weights)]))
    assert [model.config.window for model in load_ensemble(tmp_path / "both").models] == [window, window]
    complex = made_complex(5)
    log_odds = ensemble.complex_log_odds(complex)
    # The windows of residues without neighbours are of one pair each.
    receptor, ligand = (
        dataclasses.replace(p, backbone=dataclasses.replace(p.backbone, linked=np.zeros_like(p.linked)))
        for p in complex.partners
    )
    bare = ensemble.complex_log_odds(dataclasses.replace(complex, receptor=receptor, ligand=ligand))
    assert np.array_equal(log_odds, bare) == (window == 1)


def evaluated_auroc(ensemble, prepared):
    results = evaluate(ensemble, load_complexes(prepared, ensemble.card["complexes"]["validation"]))
    return np.mean([result.auroc for result in results])


def test_log_odds_are_for_the_share_of_positives_that_surfaces_have():
    complexes = [made_complex(k) for k in (1, 2)]
    data = training_data(complexes, complexes, TrainingConfig())
    drawn = np.concatenate([Closest()(complex, np.random.default_rng(0))[1] for complex in complexes])
    surface = np.concatenate([complex.labels() for complex in complexes])
    odds = [labels.mean() / (1 - labels.mean()) for labels in (surface, drawn)]
    assert odds[0] < odds[1]
    assert data.prior.shift == pytest.approx(math.log(odds[0] / odds[1]))


COMMON = ("data.validation_pairs=40", "optimisation.epochs=1")
FEWER = {"windows": ("model.negatives_per_positive=3",), "residues": ("model.negatives_per_complex=20",)}


@pytest.mark.parametrize("preset", FEWER)
@pytest.mark.parametrize("loss", ["focal", "top"])
def test_other_losses_and_weights_train(preset, loss, prepared, tmp_path):
    fewer = (*COMMON, *FEWER[preset])
    changed = resolve_config(preset, None, (*fewer, f"optimisation.loss={loss}", "model.positive_weight=0.3"))
    outcome = train(prepared, tmp_path / "run", changed)
    plain = train(prepared, tmp_path / "plain", resolve_config(preset, None, fewer))
    complex = load_complexes(prepared)[0]
    first, second = (load_ensemble(one.weights).complex_log_odds(complex) for one in (outcome, plain))
    assert not np.allclose(first, second)


def test_the_weight_of_positives_is_taken_out_of_the_log_odds():
    complexes = [made_complex(k, f"D{k}") for k in range(4)]
    shifts = []
    for weight in (0.2, 0.5):
        config = resolve_config("residues", None, (f"model.positive_weight={weight}",))
        shifts.append(training_data(complexes, [], config).prior.shift)
    assert shifts[0] - shifts[1] == pytest.approx(math.log(0.8 / 0.2))


def test_what_a_run_held_is_let_go(prepared, config, tmp_path, monkeypatch):
    held = []

    def data(*arguments, **options):
        made = TrainingData(*arguments, **options)
        held.append(weakref.ref(made))
        return made

    monkeypatch.setattr("resblock.training.run.TrainingData", data)
    gc.disable()  # what only its next pass would find counts as held
    try:
        train(prepared, tmp_path / "run", config)
        assert [one() for one in held] == [None]
    finally:
        gc.enable()


def test_training_flushes_denormals_and_leaves_the_setting_as_it_was(prepared, config, tmp_path, monkeypatch):
    def is_flushed():
        return (torch.tensor([1e-39]) * 1 == 0).item()

    seen = []
    monkeypatch.setattr(Training, "on_train_epoch_start", lambda module: seen.append(is_flushed()))
    train(prepared, tmp_path / "run", config)
    assert set(seen) == {True}
    assert not is_flushed()


def test_checkpoints_need_no_directory_of_temporary_files(prepared, config, finished, tmp_path, monkeypatch):
    """What another file system holds cannot be put in place in one step."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "absent"))
    assert train(prepared, tmp_path / "run", config).weights.read_bytes() == finished[1].weights.read_bytes()


def test_a_checkpoint_that_cannot_be_written_leaves_the_one_before(tmp_path, monkeypatch):
    path = tmp_path / "last.ckpt"
    WholeCheckpoints().save_checkpoint({"epoch": 1}, path)

    def fail(checkpoint, stream):
        stream.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(OSError, match="No space"):
        WholeCheckpoints().save_checkpoint({"epoch": 2}, path)
    assert torch.load(path) == {"epoch": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["last.ckpt"]
