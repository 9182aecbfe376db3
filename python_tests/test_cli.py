"""The command line as a user meets it: files, tables, exit codes, and one line where something is wrong."""

import csv
import inspect
import json
import os
import sys
from pathlib import Path

import pytest
from made_dimers import save_dimers
from synthetic import helix, moved, write

import resblock
from resblock.cli import app, main
from resblock.cli.train import train as train_command
from resblock.errors import InputError
from resblock.report.tables import PAIR_COLUMNS
from resblock.scoring import load_scorer
from resblock.training.config import PRESETS, resolve_config

EXAMPLE = Path(resblock.__file__).parent / "example"
EDGE_CASES = Path(__file__).parent / "edge_cases"
SEQUENCE = "MKALEKWFHRDELVQKIS"


@pytest.fixture
def run(capsys):
    """Run the command line; gives exit status, standard output and standard error."""

    def run(*arguments):
        with pytest.raises(SystemExit) as left:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return left.value.code, captured.out, captured.err

    return run


def assert_refused(result, *words):
    """Exit status 2, and one line on stderr with these words."""
    status, _, err = result
    assert status == 2
    lines = err.splitlines()
    assert len(lines) == 1, err
    assert lines[0].startswith("error: ")
    for word in words:
        assert str(word) in lines[0]


def contents(directory):
    return {str(p.relative_to(directory)): p.read_bytes() for p in directory.rglob("*") if p.is_file()}


# predict


def test_the_example_end_to_end(run, tmp_path):
    out = tmp_path / "deep" / "out"
    status, text, err = run("predict", "--example", "--out", out)
    assert (status, err) == (0, "")
    assert {p.name for p in out.iterdir()} == {"pairs.csv", "receptor.pdb", "ligand.cif", "view.pml", "view.cxc"}
    with (out / "pairs.csv").open() as file:
        rows = list(csv.reader(file))
    assert tuple(rows[0]) == PAIR_COLUMNS
    assert [row[0] for row in rows[1:]] == [str(k) for k in range(1, len(rows))]
    scores = [float(row[1]) for row in rows[1:]]
    assert scores == sorted(scores, reverse=True)
    for rank in range(1, 11):
        assert f"{scores[rank - 1]:.4f}" in text
    for stage in ("loading", "reading", "features", "scoring", "ranking", "writing"):
        assert stage in text
    assert [p.name for p in out.parent.iterdir()] == ["out"]


def test_top_limits_the_table_on_disk(run, tmp_path):
    status, text, _ = run("predict", "--example", "--out", tmp_path / "out", "--top", "3")
    assert status == 0
    assert len((tmp_path / "out" / "pairs.csv").read_text().splitlines()) == 4
    assert "3 of 1089 pairs" in text


def test_the_same_files_every_time(run, tmp_path):
    for name in ("one", "two"):
        assert run("predict", "--example", "--out", tmp_path / name)[0] == 0
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_chains_of_either_partner(run, tmp_path):
    two = EDGE_CASES / "two_chains.pdb"
    chosen = ("--receptor-chains", "A", "--ligand-chains", "B")
    status, _, _ = run("predict", two, two, "--out", tmp_path / "out", *chosen)
    assert status == 0
    with (tmp_path / "out" / "pairs.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {(row["receptor_chain"], row["ligand_chain"]) for row in rows} == {("A", "B")}
    assert_refused(run("predict", two, two, "--out", tmp_path / "o", "--ligand-chains", "A,X"), two, "X", "A, B")


def test_remarks_go_to_stderr(run, tmp_path):
    status, _, err = run(
        "predict", EDGE_CASES / "unknown_residues.pdb", EXAMPLE / "ligand.cif", "--out", tmp_path / "o"
    )
    assert status == 0
    assert err.startswith("note: ")
    assert "XYZ" in err


REFUSED = {
    "alpha_trace.pdb": "C-alpha",
    "empty.pdb": "empty",
    "header_only.cif": "",
    "letters_in_coordinates.pdb": "1.2O4",
    "letters_in_residue_number.pdb": "1O",
    "nan.pdb": "not numbers",
    "not_a_structure.pdb": "",
    "not_text.pdb": "",
    "one_residue.pdb": "only one protein residue",
    "placeholder.pdb": "9999",
    "truncated.cif": "",
    "truncated.pdb": "",
    "truncated.pdb.gz": "gzip",
    "twin_atoms.pdb": "lies on atom",
    "waters_only.pdb": "no protein residues",
    "missing.pdb": "no such file",
    ".": "directory",
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("side", ["receptor", "ligand"])
def test_a_bad_structure_is_refused_in_one_line(run, tmp_path, name, side):
    bad, good = EDGE_CASES / name, EXAMPLE / "ligand.cif"
    pair = (bad, good) if side == "receptor" else (good, bad)
    assert_refused(run("predict", *pair, "--out", tmp_path / "out"), bad, REFUSED[name])
    assert list(tmp_path.iterdir()) == []


def test_too_many_atoms_are_refused(run, tmp_path, monkeypatch):
    monkeypatch.setattr("resblock.structure.read.MAX_ATOMS", 100)
    receptor = write(tmp_path / "in" / "receptor.pdb", helix(SEQUENCE))
    assert_refused(run("predict", receptor, receptor, "--out", tmp_path / "out"), receptor, "more than the 100")
    assert not (tmp_path / "out").exists()


def test_too_many_pairs_are_refused(run, tmp_path, monkeypatch):
    monkeypatch.setattr("resblock.prediction.MAX_PAIRS", 1000)
    result = run("predict", "--example", "--out", tmp_path / "out")
    assert_refused(result, "receptor.pdb", "ligand.cif", "1089 pairs", "more than the 1000")
    assert list(tmp_path.iterdir()) == []


def test_bad_weights_are_refused(run, tmp_path):
    weights = tmp_path / "weights.safetensors"
    weights.write_text("none")
    result = run("predict", "--example", "--out", tmp_path / "out", "--weights", weights)
    assert_refused(result, weights, "no usable weights")
    resblock.ResAttnLSTM(num_layers=2).save(weights)
    assert_refused(run("predict", "--example", "--out", tmp_path / "out", "--weights", weights), weights)
    assert [p.name for p in tmp_path.iterdir()] == [weights.name]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["predict"], ["--out"]),
        (["predict", "--out", "o"], ["--example"]),
        (["predict", "a.pdb", "--out", "o"], ["two structures"]),
        (["predict", "a.pdb", "b.pdb", "--example", "--out", "o"], ["takes no files"]),
        (["predict", "a.pdb", "b.pdb", "--out", "o"], ["a.pdb", "no such file"]),
        (["predict", "--example", "--out", "o", "--device", "tpu"], ["tpu", "auto, cpu, cuda"]),
        (["predict", "--example", "--out", "o", "--top", "0"], ["--top"]),
        (["predict", "--example", "--out", "o", "--top", "many"], ["--top"]),
        (["predict", "--example", "--out", "o", "--bogus"], ["--bogus"]),
        (["bogus"], ["bogus"]),
        (["evaluate", "nowhere"], ["nowhere", "resblock prepare"]),
        (["evaluate", "nowhere", "--split", "nolist"], ["nolist"]),
        (["train", "nowhere", "--out", "o"], ["nowhere"]),
        (
            ["train", "nowhere", "--out", "o", "--preset", "best"],
            ["best", "paper, windows, residues, neighbours, chain"],
        ),
        (["train", "nowhere", "--out", "o", "--set", "network.depth=3"], ["network.depth"]),
        (["prepare", "nowhere", "--out", "o"], ["nowhere"]),
        (["prepare", "nowhere", "--out", "o", "--only", "nolist"], ["nolist"]),
    ],
)
def test_wrong_arguments_are_refused(run, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    assert_refused(run(*arguments), *words)
    assert list(tmp_path.iterdir()) == []


# The directory of the results


def test_an_earlier_prediction_is_replaced(run, tmp_path):
    out = tmp_path / "out"
    assert run("predict", "--example", "--out", out, "--top", "5")[0] == 0
    before = contents(out)
    assert run("predict", "--example", "--out", out)[0] == 0
    assert len((out / "pairs.csv").read_text()) > len(before["pairs.csv"])
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_an_empty_directory_is_used(run, tmp_path):
    (tmp_path / "out").mkdir()
    assert run("predict", "--example", "--out", tmp_path / "out")[0] == 0


def test_what_someone_else_wrote_stays(run, tmp_path):
    out = tmp_path / "out"
    assert run("predict", "--example", "--out", out)[0] == 0
    (out / "notes.txt").write_text("mine")
    before = contents(tmp_path)
    assert_refused(run("predict", "--example", "--out", out), out, "notes.txt")
    assert contents(tmp_path) == before


def test_the_users_own_structures_stay(run, tmp_path):
    receptor = write(tmp_path / "receptor.pdb", helix(SEQUENCE))
    before = contents(tmp_path)
    assert_refused(run("predict", receptor, EXAMPLE / "ligand.cif", "--out", tmp_path), tmp_path)
    # Not even where an earlier prediction lies, whose structures could be the input.
    out = tmp_path / "out"
    assert run("predict", "--example", "--out", out)[0] == 0
    assert_refused(run("predict", out / "receptor.pdb", out / "ligand.cif", "--out", out), "receptor.pdb")
    assert {name: content for name, content in contents(tmp_path).items() if "/" not in name} == before


def test_a_file_in_the_way_stays(run, tmp_path):
    (tmp_path / "out").write_text("mine")
    assert_refused(run("predict", "--example", "--out", tmp_path / "out"), "no directory")
    assert_refused(run("predict", "--example", "--out", tmp_path / "out" / "in"), tmp_path / "out")
    assert contents(tmp_path) == {"out": b"mine"}


@pytest.mark.parametrize(
    ("error", "status"),
    [(KeyboardInterrupt(), 130), (OSError(28, "No space left on device"), 2), (ArithmeticError(), 1)],
)
def test_nothing_is_left_when_writing_fails(run, tmp_path, monkeypatch, error, status):
    def fail(*arguments):
        raise error

    assert run("predict", "--example", "--out", tmp_path / "out")[0] == 0
    before = contents(tmp_path)
    monkeypatch.setattr("resblock.report.files.write_chimerax_script", fail)
    for out in ("out", "other"):
        found, _, err = run("predict", "--example", "--out", tmp_path / out)
        assert found == status
        assert len(err.splitlines()) == 1
    assert contents(tmp_path) == before


# prepare, train, evaluate


@pytest.fixture(scope="module")
def benchmark_dir(tmp_path_factory):
    directory = tmp_path_factory.mktemp("benchmark")
    receptor, ligand = helix(SEQUENCE), moved(helix(SEQUENCE[::-1], chain="B"), shift=(8.0, 0.0, 0.0))
    for code in ("1AAA", "1BBB"):
        for state in ("bound", "unbound"):
            write(directory / code / f"receptor_{state}.pdb", receptor)
            write(directory / code / f"ligand_{state}.pdb", ligand)
    (directory / "1CCC").mkdir()
    (directory / "1CCC" / "receptor_unbound.pdb").write_text("none")
    return directory


def test_prepare(run, tmp_path, benchmark_dir):
    out = tmp_path / "prepared"
    status, text, err = run("prepare", benchmark_dir, "--out", out, "--jobs", "1")
    assert status == 0
    assert "3 complexes: 2 prepared, 0 unchanged, 1 failed" in text
    assert err.startswith("failed 1CCC: ")
    assert sorted(p.name for p in out.iterdir()) == ["1AAA.npz", "1BBB.npz"]
    only = tmp_path / "list"
    only.write_text("1AAA\n")
    _, text, _ = run("prepare", benchmark_dir, "--out", out, "--only", only)
    assert "1 complexes: 0 prepared, 1 unchanged, 0 failed" in text


def test_prepare_fails_where_nothing_could_be_prepared(run, tmp_path, benchmark_dir):
    only = tmp_path / "list"
    only.write_text("1CCC\n")
    assert run("prepare", benchmark_dir, "--out", tmp_path / "out", "--only", only)[0] == 2


def test_train_and_evaluate(run, tmp_path):
    data, out, report = save_dimers(tmp_path / "data"), tmp_path / "run", tmp_path / "figures.json"
    config = tmp_path / "config.toml"
    config.write_text("[network]\nhidden_size = 4\n[optimisation]\nepochs = 2\nbatch_size = 50\n")
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
        "--part", "validation", "--json", report,
    )  # fmt: skip
    assert status == 0
    figures = json.loads(report.read_text())
    assert figures["summary"]["dimers"] == len(figures["dimers"]) == 1
    assert set(figures["dimers"][0]) == {
        "code", "pairs", "true_pairs", "rfpp", "accuracy_order", "expected_random_rfpp", "auroc", "precision_top_l5",
    }  # fmt: skip
    assert f"{figures['dimers'][0]['auroc']:.3f}" in text
    assert figures["dimers"][0]["code"] in text
    assert not figures["diverse"]
    status, text, _ = run("evaluate", data, "--weights", out / "weights.safetensors", "--diverse", "--json", report)
    assert "diversified" in text
    assert json.loads(report.read_text())["diverse"]


def test_average(run, tmp_path):
    data, split, out = save_dimers(tmp_path / "data", 3), tmp_path / "split", tmp_path / "average.safetensors"
    split.write_text("D0 train\nD1 train\n")
    small = [("--set", setting) for setting in ("chain.size=4", "optimisation.epochs=1", "data.negatives_per_dimer=9")]
    files = []
    for preset in ("residues", "neighbours"):
        files.append(tmp_path / preset / "weights.safetensors")
        given = ("--preset", preset, "--split", split, *sum(small, ()))
        assert run("train", data, "--out", tmp_path / preset, *given)[0] == 0
    assert "2 networks" in run("average", *files, "--out", out)[1]
    status, text, _ = run("evaluate", data, "--weights", out)
    assert status == 0
    assert "D2" in text
    assert_refused(run("average", files[0], "--out", out), files[0], "nothing to average it with")


def test_cross_validate(run, tmp_path):
    data, folds, related = save_dimers(tmp_path / "data", 4), tmp_path / "folds", tmp_path / "homologues"
    folds.write_text("D0 1\nD1 2\n")
    status, text, _ = run("homologues", data, "--out", related)
    assert status == 0
    assert "0 of 4 complexes have a homologue" in text
    small = [("--set", setting) for setting in ("chain.size=4", "optimisation.epochs=1", "data.negatives_per_dimer=9")]
    arguments = ("--folds", folds, "--homologues", related, *sum(small, ()))
    presets = ("--preset", "residues", "--preset", "chain")
    status, text, _ = run("cross-validate", data, "--out", tmp_path / "cv", *presets, *arguments)
    assert status == 0
    for row in ("residues, seed 1", "chain, seed 1", "average", "All dimers", "homologue"):
        assert row in text
    weights, figures = tmp_path / "cv/chain/seed-1/fold-1/weights.safetensors", tmp_path / "cv/figures.json"
    correct = ("calibrate", weights, "--figures", figures, "--out", tmp_path / "corrected", "--model")
    assert "log-odds x" in run(*correct, "chain, seed 1")[1]
    row = next(row for row in json.loads(figures.read_text()) if row["model"] == "chain, seed 1")
    assert load_scorer(tmp_path / "corrected").card["calibration"] == row["calibration"]
    assert_refused(run(*correct, "chain"), figures, "has no model 'chain'")
    refused = run("cross-validate", data, "--out", tmp_path / "cv", *presets, "--seeds", "1,1")
    assert_refused(refused, "seeds '1,1'", "different whole numbers")


def test_a_bad_configuration_leaves_nothing(run, tmp_path):
    data, config = save_dimers(tmp_path / "data", 3), tmp_path / "config.toml"
    config.write_text("[network]\ndropout = 2.0\n")
    assert_refused(run("train", data, "--out", tmp_path / "run", "--config", config), config, "network.dropout is 2.0")
    assert not (tmp_path / "run").exists()


def test_a_missing_extra_says_what_to_install(run, tmp_path, monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "lightning"]:
        monkeypatch.delitem(sys.modules, name)
    for name in ("resblock.training.run", "resblock.training.data", "resblock.training.module"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "lightning", None)
    assert_refused(run("train", tmp_path, "--out", tmp_path / "run"), "lightning", "pip install 'resblock[train]'")


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


def test_debug_lets_the_error_through():
    with pytest.raises(InputError, match="no such file"):
        main(["predict", "no.pdb", "no.pdb", "--out", "o", "--debug"])
