"""Sweeps: what is varied, whose trials count, what is written, and what goes on after an interruption."""

import csv
import dataclasses
import threading
import time
from collections import Counter

import numpy as np
import optuna
import pytest
from command_line import assert_refused, contents, run_without
from made_dimers import save_dimers
from resblock.ranking import DimerResult
from resblock.scoring import load_scorer
from resblock.training.evaluation import evaluate
from resblock.training.split import part_of

from resblock.errors import InputError
from resblock.pairs import load_dimers
from resblock.study.part import Study
from resblock.study.space import SEED, Choices, Range, cells, check_axes, configured, negatives_field, parse_axis
from resblock.study.sweep import run as part
from resblock.study.sweep_tables import Trained, figures, tables
from resblock.study.trials import Trials
from resblock.training.config import PRESETS, resolve_config

SMALL = ("--set", "optimisation.epochs=1", "--set", "data.validation_pairs=40")

# What is varied


@pytest.mark.parametrize(
    ("text", "axis"),
    [
        ("network.num_layers=20,40", Choices((20, 40))),
        ("network.dropout=0, 0.6", Choices((0.0, 0.6))),
        ("network.peephole=true,false", Choices((True, False))),
        ("data.selection=closest,random", Choices(("closest", "random"))),
        ("optimisation.learning_rate=1e-4:1e-2", Range(1e-4, 1e-2)),
        ("network.hidden_size=4:16", Range(4, 16)),
    ],
)
def test_values_have_the_type_of_their_field(text, axis):
    assert parse_axis(text) == (text.partition("=")[0], axis)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("network.num_layers", "is not of the form SECTION.FIELD"),
        ("network.num_layers=", "is not of the form SECTION.FIELD"),
        ("network.layers=3", "field network.layers is unknown"),
        ("network.num_layers=3,x", "network.num_layers is 'x'"),
        ("network.num_layers=0,2", "at least 1"),
        ("network.num_layers=2,2", "a value twice"),
        ("network.num_layers=4:2", "is no range"),
        ("network.peephole=true:false", "is no range"),
    ],
)
def test_values_that_cannot_be_varied(text, message):
    with pytest.raises(InputError, match=message):
        parse_axis(text)


def test_a_range_of_magnitudes_is_searched_by_its_logarithm():
    assert Range(1e-4, 1e-2).logarithmic
    assert not Range(4, 16).logarithmic
    assert not Range(0.0, 0.9).logarithmic


def test_the_negatives_are_those_of_the_preset():
    fields = [negatives_field(PRESETS[name]) for name in ("paper", "windows", "chain")]
    assert fields == ["data.closest_per_true_pair", "data.negatives_per_true_pair", "data.negatives_per_dimer"]


@pytest.mark.parametrize("field", ["network.num_layers", "optimisation.seed"])
def test_fields_without_effect_are_refused(field):
    with pytest.raises(InputError, match=field):
        check_axes(PRESETS["chain"], {field: Choices((1, 2))})


def test_a_grid_is_every_combination_with_every_seed():
    axes = {"network.num_layers": Choices((2, 4)), "network.dropout": Choices((0.0, 0.5))}
    grid = list(cells(axes, (1, 2)))
    assert len(grid) == 8
    assert grid[0] == {"network.num_layers": 2, "network.dropout": 0.0, SEED: 1}
    config = configured(PRESETS["paper"], grid[-1])
    assert (config.network.num_layers, config.network.dropout) == (4, 0.5)
    assert config == resolve_config("paper", None, ("network.num_layers=4", "network.dropout=0.5"))


# Whose trials count

AXES = {"network.num_layers": Choices((2, 4, 6)), SEED: Choices((1, 2))}
GRID = list(cells({"network.num_layers": Choices((2, 4, 6))}, (1, 2)))


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path / 'trials.db'}"


def trials_of(url, **options):
    return Trials(url, "test", {}, AXES, **{"grid": GRID, "heartbeat": 1, **options})


def study_of(url):
    return optuna.load_study(study_name="test", storage=url)


def test_each_cell_is_done_once_by_several_workers(url):
    did = []

    def work(cell):
        did.append(dict(cell))
        time.sleep(0.02)
        return float(cell["network.num_layers"]), None

    workers = [threading.Thread(target=lambda: trials_of(url).work(work)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    finished = trials_of(url).done()
    assert [done.cell for done in finished] == GRID
    assert sorted(map(str, did)) == sorted(map(str, GRID))


def test_queued_twice_and_begun_from_nowhere_do_not_count(url):
    trials = trials_of(url)
    study = study_of(url)
    for cell in [*GRID, *GRID]:
        study.enqueue_trial(cell)
    trials.work(lambda cell: (0.0, None))
    states = Counter(trial.state.name for trial in study_of(url).trials)
    assert states == {"COMPLETE": len(GRID), "PRUNED": len(GRID)}
    study.ask()
    drawn = study_of(url).trials
    assert trials.surplus(len(drawn) - 1, drawn)


def test_a_trial_is_taken_up_from_a_worker_that_died_before_its_first_sign_of_life(url):
    trials = trials_of(url)
    study_of(url).enqueue_trial(GRID[3])
    study_of(url).ask()
    said = []
    trials.progress = said.append
    trials.work(lambda cell: (1.0, "result"))
    assert [done.cell for done in trials.done()] == GRID
    assert said == ["waiting for trial 0 of another worker"]
    assert Counter(trial.state.name for trial in study_of(url).trials) == {"COMPLETE": len(GRID), "FAIL": 1}


def test_a_worker_that_was_given_up_goes_on_with_another_trial(url):
    trials, said, late = trials_of(url), [], []
    trials.progress = said.append

    def work(cell):
        if not late:
            late.append(dict(cell))
            study = study_of(url)
            (running,) = [trial for trial in study.trials if trial.state.name == "RUNNING"]
            study._storage.set_trial_state_values(running._trial_id, optuna.trial.TrialState.FAIL)
        return 1.0, None

    trials.work(work)
    assert [done.cell for done in trials.done()] == GRID
    assert late == GRID[:1]
    assert said == ["a trial ended too late: another worker has taken it up"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, InputError("refused"), ValueError("a bug")])
def test_what_fails_is_done_by_the_next_call(url, error):
    trials = trials_of(url)

    def fails(cell):
        if cell == GRID[2]:
            raise error
        return 0.0, None

    with pytest.raises(error if isinstance(error, type) else type(error)):
        trials.work(fails)
    assert [done.cell for done in trials.done()] == GRID[:2]
    again = []
    trials_of(url).work(lambda cell: (0.0, again.append(dict(cell))))
    assert sorted(map(str, again)) == sorted(map(str, GRID[2:]))


def test_drawn_trials_repeat_and_can_be_added_to(url, tmp_path):
    axes = {"network.dropout": Range(0.0, 0.9), "network.num_layers": Range(2, 200), SEED: Choices((7,))}

    def work(cell):
        return -((cell["network.dropout"] - 0.3) ** 2), None

    def drawn(url, count):
        trials = Trials(url, "test", {}, axes, drawn=count, seed=7)
        trials.work(work)
        return trials.done()

    at_once = drawn(f"sqlite:///{tmp_path / 'other.db'}", 14)
    assert len(drawn(url, 5)) == 5
    assert drawn(url, 14) == at_once
    assert len(at_once) == 14
    assert all(
        0 <= done.cell["network.dropout"] <= 0.9 and 2 <= done.cell["network.num_layers"] <= 200 for done in at_once
    )
    assert len({done.cell["network.dropout"] for done in at_once}) == 14


@pytest.mark.parametrize(
    "url",
    ["nowhere", "sqlite:////no/such/directory/trials.db", "postgresql://me:secret@localhost:1/trials", "odd://x/y"],
)
def test_a_database_that_cannot_be_used_is_named_without_its_password(url, monkeypatch):
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    with pytest.raises(InputError, match="storage") as refused:
        trials_of(url)
    assert "secret" not in str(refused.value)
    assert "\n" not in str(refused.value)


# Tables


def ranked(code, rank):
    return DimerResult(code, 1000, 5, rank, float(rank), 100.0, 0.8, 0.1)


def made_trials():
    ranks = {(2, 4): ((1, 100), (4, 25)), (2, 8): ((2, 2), (2, 2)), (4, 4): ((9, 1), (1, 1)), (4, 8): ((3, 3), (27, 3))}
    return [
        Trained(
            {"network.num_layers": layers, "network.hidden_size": units},
            seed,
            0.5 + layers / 100,
            (
                ranked("A", pair[0]),
                ranked("B", pair[1]),
                dataclasses.replace(ranked("C", 1), rfpp=None, accuracy_order=None),
            ),
        )
        for (layers, units), of_seeds in ranks.items()
        for seed, pair in zip((1, 2), of_seeds, strict=True)
    ]


def test_tables_of_one_field_each_hold_the_others_as_the_preset_has_them(tmp_path):
    choices = {"network.num_layers": (2, 4), "network.hidden_size": (4, 8)}
    first, second, settings, every = tables(made_trials(), choices, PRESETS["paper"], "Here.")
    assert first.title.startswith("Table 1.")
    assert "With hidden_size 8." in first.note
    assert first.columns == ("dimer", "num_layers 2", "num_layers 4")
    assert [row[0] for row in first.rows[:2]] == ["A", "B"]
    np.testing.assert_allclose([row[1:] for row in first.rows[:2]], [[2, 9], [2, 3]])
    assert {row[0]: row[1:] for row in first.rows}["NCPD"] == (0.0, 0.0)
    # 60 layers are not in the grid: the depth that is best on validation.
    assert "With num_layers 4." in second.note
    assert {row[0]: row[1:] for row in second.rows}["NCPD"] == (1.5, 0.0)
    assert [row[:2] for row in settings.rows[:2]] == [(4, 4), (4, 8)]
    assert len(every.rows) == 8 * 3
    drawn = figures(made_trials(), choices, PRESETS["paper"], tmp_path)
    assert [path.name for path in drawn] == ["sweep_dimers.svg", "sweep.svg"]
    before = contents(tmp_path)
    assert {path.rpartition(".")[2] for path in before} == {"svg", "png"}
    figures(made_trials(), choices, PRESETS["paper"], tmp_path)
    assert contents(tmp_path) == before


# The command


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    return save_dimers(tmp_path_factory.mktemp("prepared"), 6)


def test_a_sweep_trains_ranks_and_goes_on(prepared, tmp_path, run, monkeypatch):
    out = tmp_path / "out"
    command = ("sweep", prepared, "--out", out, "--layers", "2,4", "--units", "4", *SMALL)
    with monkeypatch.context() as patch:
        patch.setattr("resblock.study.sweep.trained", interrupted_at_second(prepared))
        status, _, err = run(*command)
        assert status == 130
    assert err.count("validation AUROC") == 1
    status, printed, err = run(*command)
    assert status == 0, err
    assert "1 of 2 trials are done" in err
    assert "num_layers 4" in printed
    with open(out / "by_num_layers.csv") as file:
        heading, *rows = csv.reader(file)
    assert heading == ["dimer", "num_layers 2", "num_layers 4"]
    (weights,) = (out / "runs").glob("*num-layers-4*/weights.safetensors")
    codes = part_of(weights.parent / "split.tsv", "train")
    rest = [dimer for dimer in load_dimers(prepared) if dimer.code in {row[0] for row in rows}]
    assert rest
    assert not set(codes) & {dimer.code for dimer in rest}
    for result in evaluate(load_scorer(weights), rest):
        assert float(next(row[2] for row in rows if row[0] == result.code)) == pytest.approx(result.accuracy_order)
    before = contents(out)
    status, _, err = run(*command)
    assert status == 0
    assert "2 of 2 trials are done" in err
    assert "training" not in err
    assert contents(out) == before


def interrupted_at_second(prepared):
    from resblock.study.models import trained

    calls = []

    def train(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return trained(*arguments)

    return train


def test_a_drawn_sweep(prepared, tmp_path, run):
    options = ("--learning-rate", "1e-4:1e-1", "--layers", "2", "--set", "network.hidden_size=4", *SMALL)
    status, printed, err = run("sweep", prepared, "--out", tmp_path, *options, "--sampler", "tpe", "--trials", "2")
    assert status == 0, err
    assert "2 trials, drawn by the tree-structured Parzen estimator" in printed
    assert not list(tmp_path.glob("*.svg"))
    assert len((tmp_path / "settings.csv").read_text().splitlines()) == 3


def test_the_part_of_the_study(prepared, tmp_path):
    split = {"D0": "train", "D1": "train", "D2": "validation", "D3": "test"}
    study = Study(prepared, tmp_path, tmp_path / "runs", split, (1,), quick=True)
    result = part(study)
    assert [table.name for table in result.tables] == ["by_num_layers", "by_hidden_size", "settings", "trials"]
    assert len(result.tables[2].rows) == 4
    assert all(path.exists() for path in result.figures)
    assert "Quick setting" in result.tables[0].note


@pytest.mark.parametrize(("module", "options"), [("matplotlib", ()), ("psycopg", ("--storage", "postgresql://a/b"))])
def test_a_missing_extra_is_named(module, options, prepared, tmp_path):
    refused = run_without(module, "sweep", prepared, "--out", tmp_path / "out", "--layers", "2", *options)
    assert_refused(refused, f"{module} is not installed; run: pip install 'resblock[study]'")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), ["nothing to vary"]),
        (("--layers", "2", "--vary", "network.num_layers=4"), ["varied twice"]),
        (("--layers", "2:4"), ["network.num_layers", "a grid has no ranges"]),
        (("--layers", "2", "--sampler", "random"), ["sampler 'random'"]),
        (("--units", "2", "--preset", "chain"), ["network.hidden_size has no effect"]),
        (("--layers", "2", "--sampler", "tpe", "--seeds", "1,2"), ["seeds 1, 2"]),
        (("--layers", "2", "--features", "extended"), ["prepared without"]),
        (("--layers", "2", "--split", "paper_test"), ["part validation"]),
        (("--layers", "2", "--seeds", "one"), ["seeds 'one'"]),
    ],
)
def test_what_cannot_be_swept_is_refused(options, words, prepared, tmp_path, run):
    assert_refused(run("sweep", prepared, "--out", tmp_path / "out", *options), *words)
    assert not (tmp_path / "out" / "runs").exists()
