"""What is made of the benchmarks' measurements. Nothing is timed here."""

import dataclasses
import importlib
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from resblock import ResidualLSTM

BENCH = Path(__file__).resolve().parents[1] / "bench"
MODULES = ("workloads", "limits", "episodes", "record", "tables", "comparisons", "page")


@pytest.fixture
def bench(monkeypatch):
    """Modules of bench/, which is no package."""
    monkeypatch.syspath_prepend(str(BENCH))
    yield SimpleNamespace(**{name: importlib.import_module(name) for name in MODULES})
    for name in (*MODULES, "plots", "ragged", "jax_peer"):
        sys.modules.pop(name, None)


def entry(size, participant, seconds, suite, **about):
    """One turn, as pytest-benchmark writes it."""
    described = {"size": dataclasses.astuple(size), "participant": dataclasses.astuple(participant)}
    return {"extra_info": {"suite": suite, "about": about, **described}, "stats": {"data": seconds}}


def report(entries):
    limits = {"fma_gflops": 100.0, "cell_forward_ns": 1.0, "cell_backward_ns": 0.5}
    versions = {"instruction_set": "x86-64-v4", "cores": 2, "torch": "2.13", "onnxruntime": "1.32", "limits": limits}
    return {
        "machine_info": {"cpu": {"brand_raw": "a processor"}, "python_version": "3.11", "resblock": versions},
        "benchmarks": entries,
    }


@pytest.fixture
def record(bench):
    """Row R on one and on two threads, the medians 10, 6 and 90 ms; and two sizes of the grid, one of them slow."""
    w = bench.workloads
    ours, two, theirs = w.Participant(w.OURS), w.Participant(w.OURS, 2), w.Participant(w.TORCH)
    (work,) = [work for work in w.WORKLOADS if work.name == "R"]
    times = {ours: [0.010, 0.011, 0.009], two: [0.006], theirs: [0.090]}
    turns = [
        entry(work.size, who, [seconds], "workloads", workload="R")
        for turn in range(3)
        for who, all_ in times.items()
        for seconds in all_[turn : turn + 1]
    ]
    grid = [
        entry(w.Size(1, 8, 1, 64), ours, [2e-3], "grid"),
        entry(w.Size(1, 8, 1, 64), theirs, [1e-3], "grid"),
        entry(w.Size(2, 8, 1, 64, True), ours, [1e-3], "grid"),
        entry(w.Size(2, 8, 1, 64, True), theirs, [5e-3], "grid"),
    ]
    growth = [entry(w.Size(2, 8, 1, t), who, [t * 1e-4], "growth", series="T") for t in (10, 100) for who in times]
    found = bench.record.Record({})
    found.add("workloads R", "build 1", report(turns))
    found.add("grid", "build 1", report(grid))
    found.add("growth", "build 1", report(growth))
    return found


def cells(table, start):
    """The rows that start so, in cells."""
    return [[c.strip(" *") for c in line.split("|")[1:-1]] for line in table.splitlines() if line.startswith(start)]


def test_turns_are_put_together(record):
    (ours,) = [
        m for m, _ in record.of_suite("workloads") if (m.participant.peer, m.participant.threads) == ("resblock", 1)
    ]
    assert (ours.median, ours.least, ours.calls, ours.passes) == (0.010, 0.009, 3, [0.010, 0.011, 0.009])


def test_workload_table_has_ratios_and_outcomes(bench, record):
    one, two = cells(bench.tables.workload_table(record), "| R ")
    # The limit: 31 ns per cell of multiply-adds at 50 of them per ns, and 12 ns of eight units' equations.
    assert one[2:] == ["1", "10.0", "145", "43.0 (3.4)", "torch.nn.LSTM, 1 thread", "9.00", "8", "10", "floor met"]
    assert two[2:] == ["2", "6.0", "86.8", "21.5 (4.0)", "torch.nn.LSTM, 1 thread", "15.00", "12", "17", "floor met"]


def test_summary_has_one_row_for_each_of_the_few_that_it_shows(bench, record):
    rows = cells(bench.tables.summary_table(record), "| training step")
    assert [row[1:] for row in rows] == [["2", "6.0", "torch.nn.LSTM, 1 thread **15.0"]]


def test_losses_on_gradients_beside_torch(bench):
    w, found = bench.workloads, bench.record.Record({})
    size = w.PENALTY_SIZES[0]
    times = {w.OURS: 0.005, w.TORCH: 0.004}
    found.add("penalty", "b", report([entry(size, w.Participant(who), [t], "penalty") for who, t in times.items()]))
    (row,) = cells(bench.comparisons.penalty_table(found), "| L 1")
    assert row == ["L 1, H 128, B 4, T 20", "5.0", "4.0", "1.25", "1.2", "not met"]


def test_resets_and_cells_beside_the_ways_of_torch(bench):
    w, found = bench.workloads, bench.record.Record({})
    (size, p), of_cells = w.RESET_SIZES[0], w.CELL_SIZES[0]
    times = {w.OURS: 0.004, w.PLAIN: 0.006, w.STEP_BY_STEP: 0.04, w.SPLIT: 0.01, w.PIECES: 0.02}
    entries = [entry(size, w.Participant(who), [t], "resets", probability=p) for who, t in times.items()]
    found.add("resets", "b", report(entries))
    few = (w.OURS, w.PLAIN, w.STEP_BY_STEP)
    found.add("cells", "b", report([entry(of_cells, w.Participant(who), [times[who]], "cells") for who in few]))
    (row,) = cells(bench.comparisons.reset_table(found), "| training step")
    assert row[1:] == ["0.005", "4.00", "1.50", "10.00", "2.50", "5.00"]
    (row,) = cells(bench.comparisons.cell_table(found), "| forward")
    assert row[1:] == ["4.00", "0.67", "10.00"]


def test_networks_that_begin_anew_give_the_same_numbers(bench):
    w, episodes = bench.workloads, bench.episodes
    x = torch.randn(20, 3, w.INPUTS)
    resets = episodes.resets_of(x, 0.2)
    for given in (resets, None):
        peers = (w.STEP_BY_STEP, w.SPLIT, w.PIECES) if given is not None else (w.STEP_BY_STEP,)
        theirs = [episodes.module_of(peer, (w.INPUTS, 5, 2), False, given) for peer in peers]
        ours = episodes.module_of(w.OURS, (w.INPUTS, 5, 2), False, given)
        ours.lstm = ResidualLSTM.from_torch(theirs[0].lstm)
        for other in theirs:
            other.lstm = theirs[0].lstm
            torch.testing.assert_close(other(x)[0], ours(x)[0], rtol=0, atol=1e-5)


def test_ragged_batches_beside_the_full_one_and_torch(bench):
    w, found = bench.workloads, bench.record.Record({})
    size, fill = w.RAGGED_SIZES[1]
    times = {w.OURS: 0.003, w.LENGTHS: 0.004, w.FULL: 0.010, w.TORCH: 0.006}
    entries = [entry(size, w.Participant(who), [t], "ragged", fill=fill) for who, t in times.items()]
    entries += [
        entry(w.OUTLIER, w.Participant(who), [t], "ragged", fill=0.0) for who, t in times.items() if who != w.FULL
    ]
    found.add("ragged", "b", report(entries))
    first, outlier = cells(bench.comparisons.ragged_table(found), "| forward")
    assert first[1:] == ["0.3", "4.0", "0.40", "0.39", "1.50", "2.00", "not met"]
    assert outlier[1:] == ["0", "4.0", "", "", "1.50", "2.00", "met"]


def test_halves_beside_float32_and_torch(bench):
    w, found = bench.workloads, bench.record.Record({})
    (work,) = [work for work in w.WORKLOADS if work.name == "W-forward"]
    whose = {w.Participant(w.OURS): 0.004, w.Participant(w.OURS, dtype="bfloat16"): 0.002}
    whose |= {w.Participant(w.TORCH, dtype="bfloat16"): 0.003}
    found.add(
        "halves", "b", report([entry(work.size, who, [t], "halves", workload="W-forward") for who, t in whose.items()])
    )
    (row,) = cells(bench.comparisons.half_table(found), "| forward")
    assert row[1:] == ["bfloat16", "2.0", "2.00", "0.8", "met", "1.50"]


def test_one_step_at_a_time_and_exported_programs(bench):
    w, found = bench.workloads, bench.record.Record({})
    times = {w.OURS: 1e-5, w.ONNX: 2e-5, w.JAX: 5e-6}
    size = w.STREAMING_SIZES[0]
    found.add("streaming", "b", report([entry(size, w.Participant(who), [t], "streaming") for who, t in times.items()]))
    assert cells(bench.comparisons.streaming_table(found), "| L 1") == [["L 1, H 64", "10.0", "2.00", "0.50", ""]]
    times = {w.OURS: 0.010, w.EXPORTED: 0.011}
    size = w.EXPORT_SIZES[0]
    found.add("exported", "b", report([entry(size, w.Participant(who), [t], "exported") for who, t in times.items()]))
    (row,) = cells(bench.comparisons.export_table(found), "| forward")
    assert row[1:] == ["10.00", "11.00", "1.10", "1.05", "not met"]


def test_lengths_fill_a_batch_as_asked(bench):
    ragged = importlib.import_module("ragged")
    for size, fill in bench.workloads.RAGGED_SIZES:
        lengths = ragged.lengths_of(size, fill)
        assert (lengths >= 1).all()
        assert (lengths <= size.steps).all()
        assert lengths.double().mean() / size.steps == pytest.approx(fill, rel=0.15)


def test_the_network_in_jax_gives_the_same_numbers(bench):
    pytest.importorskip("jax", reason="bench/ compares with JAX where it is installed")
    peer = importlib.import_module("jax_peer")
    lstm = ResidualLSTM(3, 5, 6)
    layers = [
        tuple(
            peer.jnp.asarray(value.detach().numpy())
            for value in (
                getattr(lstm, f"weight_ih_l{n}").T,
                getattr(lstm, f"weight_hh_l{n}").T,
                getattr(lstm, f"bias_ih_l{n}"),
                getattr(lstm, f"weight_peephole_l{n}"),
            )
        )
        for n in range(6)
    ]
    zeros = [(peer.jnp.zeros((2, 5)),) * 2 for _ in layers]
    for steps in (1, 7):
        x = torch.randn(steps, 2, 3)
        output, _ = peer._network(layers, peer.jnp.asarray(x.numpy()), zeros)
        torch.testing.assert_close(torch.tensor(output.tolist()), lstm(x)[0].detach(), rtol=0, atol=1e-5)


def test_what_was_not_measured_is_called_so(bench):
    empty = bench.record.Record({})
    text = bench.page.page(empty)
    assert text.count("Not measured.") == 15
    assert ".svg" not in text


def test_outcomes(bench):
    target = bench.workloads.Target(1, bench.workloads.Participant(bench.workloads.TORCH), 2.0, 3.0)
    outcomes = [bench.tables._outcome(ratio, target) for ratio in (1.99, 2.0, 3.0)]
    assert outcomes == ["floor not met", "floor met", "goal met"]


def test_grid_table_counts_what_is_slow_and_lists_the_worst_first(bench, record):
    table = bench.tables.grid_table(record)
    assert cells(table, "| forward |") == [["forward", "1", "1", "1", "0.50", "0.50", "0.50"]]
    assert cells(table, "| training step |") == [["training step", "2", "1", "0", "5.00", "5.00", "5.00"]]
    assert [row[2] for row in cells(table, "| forward, L") + cells(table, "| training step, L")] == ["0.50", "5.00"]


def test_limit_is_multiply_adds_and_equations(bench):
    limits = {"fma_gflops": 100.0, "cell_forward_ns": 1.0, "cell_backward_ns": 0.5}
    size = bench.workloads.Size(2, 8, 3, 5)
    products = 4 * 8 * (18 + 8 + 8 + 8) * 15
    assert size.multiply_adds == products
    assert bench.limits.limit_seconds(size, limits) == pytest.approx(2e-11 * products + 30 * 8e-9)
    trained = dataclasses.replace(size, training=True)
    assert bench.limits.limit_seconds(trained, limits, 2) == pytest.approx((6e-11 * products + 30 * 12e-9) / 2)


def test_record_is_read_as_written_and_knows_what_it_holds(bench, record, tmp_path):
    path = tmp_path / "results" / "cpu.json"
    record.write(path)
    read = bench.record.Record.read(path)
    assert read.parts == record.parts
    assert read.holds("grid", "build 1")
    assert not read.holds("grid", "build 2")
    assert not bench.record.Record.read(tmp_path / "none").parts


def test_page_holds_every_table_and_owns_up_to_parts_of_other_builds(bench, record):
    text = bench.page.page(record)
    assert bench.tables.workload_table(record) in text
    assert bench.tables.grid_table(record) in text
    assert "Not all with the same kernels" not in text
    record.parts["grid"]["fingerprint"] = "build 2"
    assert "Not all with the same kernels" in bench.page.page(record)


def test_a_table_is_written_between_its_markers_only(bench, record, tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text("before\n\n<!-- speed -->\nold\n<!-- /speed -->\n\nafter\n")
    assert bench.page.write_table(readme, "speed", bench.tables.workload_table(record))
    before, rest = readme.read_text().split("<!-- speed -->\n")
    table, after = rest.split("\n<!-- /speed -->")
    assert (before, table, after) == ("before\n\n", bench.tables.workload_table(record), "\n\nafter\n")
    readme.write_text("no markers\n")
    assert not bench.page.write_table(readme, "speed", "")
    assert readme.read_text() == "no markers\n"


def test_plots_are_the_same_for_the_same_record(record, tmp_path):
    pytest.importorskip("matplotlib", reason="the plots need matplotlib")
    plots = importlib.import_module("plots")
    first = [path.read_bytes() for path in plots.growth_plots(record, tmp_path)]
    assert first == [path.read_bytes() for path in plots.growth_plots(record, tmp_path)]
    assert [b"torch.nn.LSTM" in plot for plot in first] == [True, False]  # no training was measured
