"""`resblock reproduce`: what it writes, what it does not do twice, and numbers that can be checked by hand."""

import csv
import dataclasses
import importlib
import inspect
import json
from pathlib import Path

import numpy as np
import pytest
from command_line import assert_refused, contents, run_without
from made_complexes import made_complex, save_complexes
from matplotlib.figure import Figure
from programs import skip_or_fail
from scipy.stats import hypergeom

from resblock.errors import InputError
from resblock.evaluation.ranking import truncated_random_rfpp
from resblock.evaluation.splits import codes_of
from resblock.pairs import load_complex, load_complexes, save_complex
from resblock.study import depth_and_units, figure6
from resblock.study.ablations import OURS, network_config
from resblock.study.accuracy import exact_interval
from resblock.study.homology import LISTED, Chain, across_parts, identity_matrix
from resblock.study.part import QUICK_EPOCHS, Study
from resblock.study.random_ranks import first_ranks, simulate, standard_deviation
from resblock.study.reproduce import PARTS, QUICK, divide, finished, reproduce, write_index
from resblock.sweep.drawing import save_figure, style
from resblock.sweep.results import Table
from resblock.training.config import PRESETS


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    return save_complexes(tmp_path_factory.mktemp("data"), 6)


@pytest.fixture
def split(tmp_path):
    path = tmp_path / "split"
    path.write_text("D0\nD1\n")
    return path


# The command


def test_parts_are_written_and_not_done_again(run, prepared, split, tmp_path):
    out = tmp_path / "study"
    arguments = ("reproduce", prepared, "--out", out, "--quick", "--split", split, "--part", "homology")
    arguments = (*arguments, "--draws", "20,300", "--commit", "c0ffee")
    status, text, _ = run(*arguments, "--part", "table3")
    assert status == 0
    assert "index.html" in text
    written = contents(out)
    for name in ("index.md", "index.html", "homology/identity.png", "table3/table3.csv", "table3/draws.md"):
        assert written[name]
    assert b"<svg" in written["homology/identity.svg"]
    (header, *rows) = csv.reader(written["table3/table3.csv"].decode().splitlines())
    assert header[:4] == ["dimer", "pairs", "positives", "RFPP, seed 1"]
    sizes = {one.code: one.labels() for one in load_complexes(prepared, ["D0", "D1"])}
    assert {row[0]: (int(row[1]), int(row[2])) for row in rows} == {
        code: (len(labels), labels.sum()) for code, labels in sizes.items()
    }
    data = prepared.name
    made = f"resblock reproduce {data} --out study --part table3 --quick --seeds 1 --split split --draws 20,300"
    for page in ("index.md", "index.html"):
        for word in (
            "Split and homology",
            "Table 3",
            "Quick setting",
            "homology/identity.svg",
            "D1",
            made,
            "commit c0ffee",
        ):
            assert word in written[page].decode()
    assert str(tmp_path) not in written["table3/result.json"].decode()
    assert written["table3/draws.csv"].decode().splitlines()[1:][0].startswith("20,")
    assert run(*arguments, "--part", "table3")[0] == 0
    assert contents(out) == written


def test_what_changed_is_done_again(prepared, split, tmp_path):
    told = []
    given = {"quick": True, "split": str(split), "progress": told.append}
    reproduce(prepared, tmp_path / "study", ["homology"], **given)
    first = (tmp_path / "study/homology/result.json").read_bytes()
    reproduce(prepared, tmp_path / "study", ["homology"], **given)
    # Random orders are drawn by another part.
    reproduce(prepared, tmp_path / "study", ["homology"], draws=[20], **given)
    assert told.count(PARTS["homology"].title) == 1
    (part,) = reproduce(prepared, tmp_path / "study", ["homology"], seeds=[5], **given)
    assert "Seeds: 5" in part.about
    assert (tmp_path / "study/homology/result.json").read_bytes() != first
    # The first seed divides the dimers; the others are only trained with.
    for seeds in ([5], [5, 6]):
        (part,) = reproduce(prepared, tmp_path / "study", ["homology"], seeds=seeds, split=str(split))
    assert "Seeds: 5, 6" in part.about


def test_what_was_prepared_anew_is_computed_anew(split, tmp_path):
    told = []
    data = save_complexes(tmp_path / "data", 6)
    for _ in range(2):
        reproduce(data, tmp_path / "study", ["homology"], quick=True, split=str(split), progress=told.append)
        save_complex(data / "D1.npz", dataclasses.replace(load_complex(data / "D1.npz"), key="other"))
    assert told.count(PARTS["homology"].title) == 2


def test_another_version_of_a_part_is_computed_anew_and_no_other_part(prepared, split, tmp_path, monkeypatch):
    told = []
    given = {"quick": True, "split": str(split), "draws": [20], "progress": told.append}
    titles = [PARTS[name].title for name in ("homology", "table3")]
    reproduce(prepared, tmp_path / "study", ["homology", "table3"], **given)
    assert [line for line in told if line in titles] == titles
    told.clear()
    monkeypatch.setattr("resblock.study.homology.VERSION", "another")
    reproduce(prepared, tmp_path / "study", ["homology", "table3"], **given)
    assert [line for line in told if line in titles] == titles[:1]


def test_the_text_of_the_program_decides_nothing(prepared, split, tmp_path, monkeypatch):
    """A comment must not make hours of computing be done again."""
    read_bytes = Path.read_bytes

    def guarded(path):
        assert path.suffix != ".py", path
        return read_bytes(path)

    def refused(*arguments):
        raise AssertionError(arguments)

    monkeypatch.setattr(Path, "read_bytes", guarded)
    for name in ("getsource", "getsourcelines"):
        monkeypatch.setattr(inspect, name, refused)
    for _ in range(2):
        reproduce(prepared, tmp_path / "study", ["homology"], quick=True, split=str(split))


@pytest.mark.parametrize("name", PARTS)
def test_every_part_has_a_version(name):
    module = importlib.import_module(f"resblock.study.{PARTS[name].module}")
    assert json.dumps(module.VERSION)
    assert callable(module.run)


def test_results_from_before_commands_were_recorded_are_shown(prepared, split, tmp_path):
    out = tmp_path / "study"
    reproduce(prepared, out, ["homology"], quick=True, split=str(split))
    path = out / "homology" / "result.json"
    stored = json.loads(path.read_text())
    path.write_text(json.dumps({name: stored[name] for name in stored if name not in ("command", "commit")}))
    (part,) = finished(out)
    assert (part.command, part.commit) == ("", "")
    write_index(out)
    assert "Made by" not in (out / "index.md").read_text()


def test_what_cannot_be_done_is_refused(run, prepared, tmp_path):
    out = ("--out", tmp_path / "study")
    assert_refused(run("reproduce", prepared, *out, "--part", "table9"), "table9", "table3")
    assert_refused(run("reproduce", prepared, *out), "paper_test", "no prepared dimer in the part test")
    assert_refused(run("reproduce", prepared, *out, "--seeds", "1,x"), "1,x")
    assert_refused(run("reproduce", prepared, *out, "--draws", "100,x"), "draws '100,x'")
    assert_refused(run("reproduce", prepared, *out, "--draws", "100,1"), "draws 1;", "from 2")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes").write_text("keep")
    assert_refused(run("reproduce", prepared, "--out", tmp_path / "mine"), "mine", "no study")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes"]


def test_a_missing_extra_says_what_to_install(prepared, tmp_path):
    refused = run_without("scipy.stats", "reproduce", prepared, "--out", tmp_path / "study")
    assert_refused(refused, "scipy.stats", "pip install 'resblock[study]'")
    assert not (tmp_path / "study").exists()


# The split


def test_dimers_that_the_list_leaves_out_are_divided_by_the_seed(split):
    dimers = [made_complex(k, f"D{k}") for k in range(10)]
    parts = divide(dimers, str(split), 1)
    assert codes_of(parts, "test") == ["D0", "D1"]
    assert (len(codes_of(parts, "train")), len(codes_of(parts, "validation"))) == (6, 2)
    assert divide(dimers[::-1], str(split), 1) == parts
    assert divide(dimers, str(split), 2) != parts
    at_random = divide(dimers, "random", 1)
    assert [len(codes_of(at_random, part)) for part in ("train", "validation", "test")] == [6, 2, 2]


def test_quick_takes_the_smallest(split):
    dimers = [made_complex(k, f"D{k}", (14 + k, 9)) for k in range(30)]
    parts = divide(dimers, "random", 1, quick=True)
    assert {part: len(codes_of(parts, part)) for part in QUICK} == dict(QUICK)
    whole = divide(dimers, "random", 1)
    size = {dimer.code: len(dimer.labels()) for dimer in dimers}
    kept = max(size[code] for code in codes_of(parts, "train"))
    assert all(size[code] >= kept for code in codes_of(whole, "train") if code not in parts)


# What parts share


def study_of(prepared, out, **given):
    split = {"D0": "train", "D1": "train", "D2": "validation", "D3": "test"}
    (out / "part").mkdir(parents=True, exist_ok=True)
    return Study(data=prepared, out=out / "part", runs=out / "runs", split=split, seeds=(1,), **given)


def test_the_quick_setting_trains_few_epochs(prepared, tmp_path):
    assert study_of(prepared, tmp_path).shortened(PRESETS["paper"]) == PRESETS["paper"]
    study = study_of(prepared, tmp_path, quick=True)
    ensemble = study.trained("paper", network_config(OURS, quick=True), 1)
    assert ensemble.card["config"]["optimisation"]["epochs"] == QUICK_EPOCHS
    assert "Quick setting" in study.about()


def test_tables_1_and_2_are_a_search(prepared, tmp_path):
    result = depth_and_units.run(study_of(prepared, tmp_path, quick=True))
    assert [table.name for table in result.tables] == ["by_num_layers", "by_hidden_size", "settings", "trials"]
    assert [table.title.partition(".")[0] for table in result.tables[:2]] == ["Table 1", "Table 2"]
    assert len(result.tables[2].rows) == 4
    assert all(path.exists() for path in result.figures)
    assert "Quick setting" in result.tables[0].note


def test_tables_as_files(tmp_path):
    table = Table(
        "t", "A title", ("name", "value"), rows=[("a|b", 1234.56789), ("c", None), ("d", 12345)], note="A note."
    )
    table.write(tmp_path)
    assert (tmp_path / "t.csv").read_text() == "name,value\na|b,1234.56789\nc,\nd,12345\n"
    lines = (tmp_path / "t.md").read_text().splitlines()
    assert lines[2:7] == ["| name | value |", "| --- | --- |", "| a\\|b | 1235 |", "| c | - |", "| d | 12,345 |"]
    assert lines[-1] == "A note."


def test_the_same_figure_is_the_same_file(tmp_path):
    def draw(out):
        out.mkdir()
        with style():
            figure = Figure(figsize=(2, 2))
            figure.subplots().plot([1, 3, 2])
            save_figure(figure, out, "f")
        return contents(out)

    assert draw(tmp_path / "a") == draw(tmp_path / "b")


# Random orders


def test_drawing_is_drawing_without_replacement():
    pairs, positives, orders = 60, 4, 40_000
    generator = np.random.default_rng(3)
    shuffled = generator.permuted(np.tile(np.arange(pairs) < positives, (orders, 1)), axis=1)
    seen = np.bincount(shuffled.argmax(axis=1), minlength=pairs) / orders
    drawn = first_ranks(pairs, positives, orders, generator)
    assert drawn.sum() == orders
    assert np.abs(drawn[:pairs] / orders - seen).max() < 5 * np.sqrt(2 * positives / pairs / orders)
    # The hypergeometric chance that the first ten draws have no positive.
    later = drawn[10:].sum() / orders
    assert later == pytest.approx(hypergeom.pmf(0, pairs, positives, 10), abs=5 * 0.5 / np.sqrt(orders))


@pytest.mark.parametrize(("pairs", "positives"), [(67704, 133), (9042, 3), (500, 1), (40, 40)])
def test_means_agree_with_the_exact_values(pairs, positives):
    found = simulate(pairs, positives, 10**10, seed=1)
    exact = standard_deviation(pairs, positives) / 1e5
    assert found.standard_error == pytest.approx(exact, rel=1e-3, abs=1e-12)
    assert abs(found.mean - truncated_random_rfpp(pairs, positives)) <= 5 * exact + 1e-12


def test_the_interval_of_eight_of_eleven():
    assert exact_interval(8, 11) == pytest.approx((0.39, 0.94), abs=0.005)
    assert exact_interval(0, 4)[0] == 0.0


# Homology


def test_identity_by_hand():
    found = identity_matrix(["ACDEFGHIKL", "ACDEYGHIKL", "ACDEFGHIKLMNPQ", "ACDEFGHIKL"])
    assert np.array_equal(found, found.T)
    assert found[0].tolist() == pytest.approx([1.0, 0.9, 10 / 14, 1.0])


def chain_of(part, code, sequence):
    return Chain(part, code, "receptor", sequence)


def test_pairs_across_parts_and_none_within_one():
    chains = [chain_of("train", "A", "ACDE"), chain_of("train", "B", "ACDF"), chain_of("test", "C", "ACDY")]
    identity = np.array([[1.0, 0.9, 0.2], [0.9, 1.0, 0.5], [0.2, 0.5, 1.0]])
    (row,) = [one.row() for one in across_parts(chains, identity, dict.fromkeys("ABC", frozenset()))]
    assert row == ("B", "train", "C", "test", 0.5, "no", 0.75, 4)


def test_a_domain_that_a_long_chain_shares_is_listed():
    generator = np.random.default_rng(2)
    domain, rest = ("".join(generator.choice(list("ACDEFGHIKLMNPQRSTVWY"), size)) for size in (60, 400))
    chains = [chain_of("train", "A", domain), chain_of("test", "B", rest + domain), chain_of("test", "C", rest)]
    identity = identity_matrix([chain.sequence for chain in chains])
    assert identity[0, 1] < LISTED
    related = {"A": frozenset({"B"}), "B": frozenset({"A", "C"}), "C": frozenset({"B"})}
    (row,) = [one.row() for one in across_parts(chains, identity, related)]
    assert row[:4] == ("A", "train", "B", "test")
    assert row[4] == pytest.approx(identity[0, 1])
    assert row[5] == "yes"
    assert row[6] > 0.9
    assert row[7] >= 60


# Pictures


def test_without_structures_figure_6_says_so(prepared, tmp_path):
    assert "--structures" in figure6.run(study_of(prepared, tmp_path)).text
    assert "has none of" in figure6.run(study_of(prepared, tmp_path, structures=tmp_path)).text


def test_a_part_that_left_something_out_is_tried_again(prepared, split, tmp_path):
    told = []
    given = {"quick": True, "split": str(split), "progress": told.append}
    for _ in range(2):
        (part,) = reproduce(prepared, tmp_path / "study", ["figure6"], **given)
        assert part.result.text.startswith("Left out")
    assert told == [PARTS["figure6"].title] * 2


def test_a_viewer_that_draws_nothing_is_reported(tmp_path):
    viewer, script = tmp_path / "pymol", tmp_path / "view.pml"
    viewer.write_text("#!/bin/sh\necho no display >&2\n")
    viewer.chmod(0o755)
    script.write_text("")
    with pytest.raises(InputError, match="no display"):
        figure6.draw(str(viewer), script, tmp_path / "p.png")


def test_pymol_draws(run, tmp_path):
    viewer = figure6.shutil.which("pymol")
    if viewer is None:
        skip_or_fail("PYMOL", "no pymol here; install Debian's package pymol to have it")
    assert run("predict", "--example", "--out", tmp_path / "example")[0] == 0
    picture = figure6.draw(viewer, tmp_path / "example" / "view.pml", tmp_path / "p.png")
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert not (tmp_path / "example" / "view.png").exists()
