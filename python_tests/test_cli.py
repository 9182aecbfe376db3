"""The commands besides predict as a user meets them: files, tables, exit codes, one line where something is wrong."""

import inspect
import json
import os
import subprocess
import sys
from dataclasses import replace
from importlib.metadata import PackageNotFoundError

import pytest
from command_line import assert_refused, run_without
from made_complexes import made_complex, save_complexes
from synthetic import helix, moved, write

import resblock
from resblock.cli import app, main
from resblock.cli.train import train as train_command
from resblock.errors import InputError
from resblock.models import INCLUDED, load_ensemble
from resblock.pairs import save_complex
from resblock.pairs.expectations import Expectations
from resblock.training.config import PRESETS, resolve_config

SEQUENCE = "MKALEKWFHRDELVQKIS"
SMALL = ("model.size=4", "optimisation.epochs=1", "model.negatives_per_complex=9")


# prepare, train, evaluate


@pytest.fixture(scope="module")
def benchmark_dir(tmp_path_factory):
    directory = tmp_path_factory.mktemp("benchmark")
    receptor, ligand = helix(SEQUENCE), moved(helix(SEQUENCE[::-1], chain="B"), shift=(8.0, 0.0, 0.0))
    for code in ("1AAA", "1BBB"):
        for state in ("bound", "unbound"):
            write(directory / code / f"receptor_{state}.pdb", receptor)
            write(directory / code / f"ligand_{state}.pdb", ligand)
    calcium = replace(
        ligand[0], name="CA", residue="CA", number=99, element="CA", record="HETATM", xyz=(0.0, 40.0, 0.0)
    )
    write(directory / "1AAA" / "ligand_bound.pdb", (*ligand, calcium))
    write(directory / "1BBB" / "receptor_unbound.pdb", [atom for atom in receptor if atom.name != "CZ3"])
    (directory / "1CCC").mkdir()
    (directory / "1CCC" / "receptor_unbound.pdb").write_text("none")
    return directory


def test_prepare(run, tmp_path, benchmark_dir):
    out = tmp_path / "prepared"
    status, text, err = run("prepare", benchmark_dir, "--out", out, "--jobs", "1")
    assert status == 1, "one of three failed"
    assert "3 complexes: 2 prepared, 0 unchanged, 1 failed" in text
    assert "1CCC: failed: " in err
    assert "1BBB: note: " in err
    assert sorted(p.name for p in out.iterdir()) == ["1AAA.npz", "1BBB.npz", "prepare.log", "prepared.tsv"]
    log = (out / "prepare.log").read_text().splitlines()
    assert "1AAA: ligand_bound: ligand_bound.pdb, model 1 of 1, chain B (18 residues); left out: 1 CA" in log
    assert set(err.splitlines()) < set(log)
    only = tmp_path / "list"
    only.write_text("1AAA\n")
    status, text, _ = run("prepare", benchmark_dir, "--out", out, "--only", only)
    assert status == 0
    assert "1 complexes: 0 prepared, 1 unchanged, 0 failed" in text
    assert (out / "prepare.log").read_text().splitlines() == [*log, "1AAA: unchanged"]


def test_prepare_makes_other_forms_and_parts(run, tmp_path, benchmark_dir):
    (tmp_path / "index.tsv").write_text("code\tkind\tcluster30\n1AAA\tgeneral\t1BBB\n")
    (tmp_path / "only").write_text("1AAA\n")
    options = "--bound", "--interfaces", "--noise", "0.1", "--copies", "1", "--seed", "2"
    given = "--index", tmp_path / "index.tsv", "--only", tmp_path / "only", "--jobs", "1", *options
    status, text, _ = run("prepare", benchmark_dir, "--out", tmp_path / "out", *given)
    assert status == 0
    assert "3 complexes: 3 prepared" in text
    assert "general: 3\n" in text
    codes = {path.stem for path in (tmp_path / "out").glob("*.npz")}
    assert codes == {"1AAA", "1AAA.bound", "1AAA.copy1"}
    status, _, err = run("prepare", benchmark_dir, "--out", tmp_path / "out", "--index", tmp_path / "index.tsv")
    assert (status, err) == (2, "error: 1BBB: is not in the index; add a line for it, or leave --index out\n")
    status, _, err = run("prepare", benchmark_dir, "--out", tmp_path / "out", "--copies", "1")
    assert status == 2
    assert "--noise 0 --copies 1" in err


def test_prepare_fails_where_nothing_could_be_prepared(run, tmp_path, benchmark_dir):
    only = tmp_path / "list"
    only.write_text("1CCC\n")
    assert run("prepare", benchmark_dir, "--out", tmp_path / "out", "--only", only)[0] == 2


def test_variants_are_not_ranked_unless_listed(run, tmp_path):
    data = save_complexes(tmp_path / "data", 2)
    variant = replace(made_complex(3, "D0.bound"), origin="D0")
    save_complex(data / "D0.bound.npz", variant)
    (tmp_path / "list").write_text("D0.bound\n")
    for given, codes in (((), ["D0", "D1"]), (("--split", tmp_path / "list"), ["D0.bound"])):
        status, _, _ = run("evaluate", data, *given, "--metrics", tmp_path / "metrics.json")
        assert status == 0
        assert [one["code"] for one in json.loads((tmp_path / "metrics.json").read_text())["complexes"]] == codes


def test_train_and_evaluate(run, tmp_path):
    data, out, report = save_complexes(tmp_path / "data"), tmp_path / "run", tmp_path / "metrics.json"
    config = tmp_path / "config.toml"
    config.write_text("[model]\nhidden_size = 4\n[optimisation]\nepochs = 2\nbatch_size = 50\n")
    arguments = ("train", data, "--out", out, "--preset", "windows", "--config", config)
    status, text, _ = run(*arguments, "--set", "optimisation.seed=3")
    assert status == 0
    assert "median AUROC" in text
    assert "hidden_size = 4" in (out / "config.toml").read_text()
    assert "seed = 3" in (out / "config.toml").read_text()
    assert "nothing to do" in run(*arguments, "--set", "optimisation.seed=3")[1]
    assert_refused(run(*arguments), out, "optimisation.seed = 3 (asked for: 1)")

    status, text, _ = run(
        "evaluate", data, "--weights", out / "weights.safetensors", "--split", out / "split.tsv",
        "--part", "validation", "--metrics", report,
    )  # fmt: skip
    assert status == 0
    metrics = json.loads(report.read_text())
    assert metrics["summary"]["complexes"] == len(metrics["complexes"]) == 1
    assert set(metrics["complexes"][0]) == {
        "code", "pairs", "positives", "rfpp", "accuracy_order", "expected_random_rfpp", "auroc", "precision_top_l5",
    }  # fmt: skip
    assert f"{metrics['complexes'][0]['auroc']:.3f}" in text
    assert metrics["complexes"][0]["code"] in text
    assert not metrics["diverse"]
    status, text, _ = run("evaluate", data, "--weights", out / "weights.safetensors", "--diverse", "--metrics", report)
    assert "diversified" in text
    assert json.loads(report.read_text())["diverse"]


def test_one_preparation_serves_every_model(run, tmp_path, benchmark_dir):
    """What `prepare` writes without options, `evaluate` and `train` take without options."""
    prepared = tmp_path / "prepared"
    assert run("prepare", benchmark_dir, "--out", prepared, "--jobs", "1")[0] == 1, "one complex has no files"
    for name in INCLUDED:
        status, text, _ = run("evaluate", prepared, "--weights", name)
        assert status == 0
        assert "1AAA" in text
    assert run("evaluate", prepared)[0] == 0


def test_features_are_chosen(run, tmp_path):
    data, split = save_complexes(tmp_path / "data", 3), tmp_path / "split"
    split.write_text("D0 train\nD1 train\n")
    arguments = ("train", data, "--out", tmp_path / "run", "--split", split, "--set")
    assert_refused(run(*arguments, "model.features=all"), "features 'all'", "paper, extended")
    assert not (tmp_path / "run").exists()


def test_ensemble(run, tmp_path):
    data, split, out = save_complexes(tmp_path / "data", 3), tmp_path / "split", tmp_path / "ensemble.safetensors"
    split.write_text("D0 train\nD1 train\n")
    small = [("--set", setting) for setting in SMALL]
    files = []
    for preset in ("residues", "neighbours"):
        files.append(tmp_path / preset / "weights.safetensors")
        given = ("--preset", preset, "--split", split, *sum(small, ()))
        assert run("train", data, "--out", tmp_path / preset, *given)[0] == 0
    assert "2 models" in run("ensemble", *files, "--out", out)[1]
    status, text, _ = run("evaluate", data, "--weights", out)
    assert status == 0
    assert "D2" in text
    assert_refused(run("ensemble", files[0], "--out", out), files[0], "nothing to combine it with")


def test_cross_validate(run, tmp_path):
    data, folds, related = save_complexes(tmp_path / "data", 4), tmp_path / "folds", tmp_path / "homologues"
    folds.write_text("D0 1\nD1 2\n")
    status, text, _ = run("homologues", data, "--out", related)
    assert status == 0
    assert "0 of 4 complexes have a homologue" in text
    small = [("--set", setting) for setting in SMALL]
    arguments = ("--folds", folds, "--homologues", related, *sum(small, ()))
    presets = ("--preset", "residues", "--preset", "chain")
    status, text, _ = run("cross-validate", data, "--out", tmp_path / "cv", *presets, *arguments)
    assert status == 0
    for row in ("residues, seed 1", "chain, seed 1", "ensemble", "All dimers", "homologue"):
        assert row in text
    weights, metrics = tmp_path / "cv/chain/seed-1/fold-1/weights.safetensors", tmp_path / "cv/metrics.json"
    correct = ("calibrate", weights, "--metrics", metrics, "--out", tmp_path / "corrected", "--row")
    status, text, _ = run(*correct, "chain, seed 1")
    assert status == 0
    assert "log-odds x" in text
    row = next(row for row in json.loads(metrics.read_text()) if row["model"] == "chain, seed 1")
    card = load_ensemble(tmp_path / "corrected").card
    assert card["calibration"] == row["calibration"]
    assert Expectations.of(card["expectations"]) == Expectations.of(row["expectations"])
    assert "precision" in text
    assert_refused(run(*correct, "chain"), metrics, "has no model 'chain'")
    refused = run("cross-validate", data, "--out", tmp_path / "cv", *presets, "--seeds", "1,1")
    assert_refused(refused, "seeds '1,1'", "different whole numbers")


def test_a_bad_configuration_leaves_nothing(run, tmp_path):
    data, config = save_complexes(tmp_path / "data", 3), tmp_path / "config.toml"
    config.write_text("[model]\ndropout = 2.0\n")
    assert_refused(run("train", data, "--out", tmp_path / "run", "--config", config), config, "model.dropout is 2.0")
    assert not (tmp_path / "run").exists()


def test_a_missing_extra_says_what_to_install(tmp_path):
    refused = run_without("lightning", "train", tmp_path, "--out", tmp_path / "run")
    assert_refused(refused, "lightning", "pip install 'resblock[train]'")


# Everything


def test_help_names_every_command_and_nothing_asks_for_it(run):
    status, text, _ = run()
    assert status == 0
    for command in app.registered_commands:
        name = command.callback.__name__.replace("_", "-")
        assert name in text
        assert run(name, "--help")[0] == 0


def test_options_have_the_defaults_of_the_package():
    preset = inspect.signature(train_command).parameters["preset"]
    assert preset.default == inspect.signature(resolve_config).parameters["preset"].default
    help_text = preset.annotation.partition("help=")[2]
    for name in PRESETS:
        assert name in help_text


def test_doctor(run):
    status, text, _ = run("doctor")
    assert status == 0
    for word in (
        resblock.__version__,
        resblock.ops.instruction_set(),
        "CUDA schedules",
        os.environ["RESBLOCK_CACHE"][:20],
    ):
        assert word in text


def test_doctor_shows_brackets_as_they_are(run, monkeypatch):
    """Rich takes words in brackets for styles: in what to install, and in a path."""

    def absent(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(sys.modules["resblock.cli.doctor"], "version", absent)  # the package has the function's name
    monkeypatch.setenv("RESBLOCK_CACHE", "/c/[red]/x")
    text = run("doctor")[1]
    assert "resblock[train]" in text
    assert "/c/[red]/x" in text


def test_debug_lets_the_error_through():
    with pytest.raises(InputError, match="no such file"):
        main(["predict", "no.pdb", "no.pdb", "--out", "o", "--debug"])


@pytest.mark.parametrize(
    ("set_by_the_user", "spins"),
    [({}, "1000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "ACTIVE"}, None)],
)
def test_waiting_threads_sleep_soon(set_by_the_user: dict[str, str], spins: str | None) -> None:
    # Commands load torch when they need it: OpenMP reads its settings then.
    code = (
        "import atexit, os, sys; from resblock.cli import main; assert 'torch' not in sys.modules; "
        "atexit.register(lambda: print(os.environ.get('GOMP_SPINCOUNT'))); main(['--help'])"
    )
    variables = {name: value for name, value in os.environ.items() if name not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    done = subprocess.run(
        [sys.executable, "-c", code], env=variables | set_by_the_user, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == str(spins)
