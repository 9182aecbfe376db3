"""What a search found, laid out: settings, tables and heat maps."""

import dataclasses

import numpy as np
import pytest
from command_line import contents

from resblock.evaluation import Metrics
from resblock.sweep.figures import heat_maps
from resblock.sweep.findings import Findings, Trained
from resblock.sweep.tables import tables
from resblock.training.config import PRESETS

LAYERS, UNITS = "model.num_layers", "model.hidden_size"


def ranked(code, rank):
    return Metrics(code, 1000, 5, rank, float(rank), 100.0, 0.8, 0.1)


@pytest.fixture
def findings():
    ranks = {(2, 4): ((1, 100), (4, 25)), (2, 8): ((2, 2), (2, 2)), (4, 4): ((9, 1), (1, 1)), (4, 8): ((3, 3), (27, 3))}
    none = dataclasses.replace(ranked("C", 1), rfpp=None, accuracy_order=None)
    trials = [
        Trained(
            cell={LAYERS: layers, UNITS: units},
            seed=seed,
            validation_auroc=0.5 + layers / 100,
            results=(ranked("A", pair[0]), ranked("B", pair[1]), none),
        )
        for (layers, units), of_seeds in ranks.items()
        for seed, pair in zip((1, 2), of_seeds, strict=True)
    ]
    return Findings(trials, {LAYERS: (2, 4), UNITS: (4, 8)}, PRESETS["paper"])


def test_tables_of_one_field_each_hold_the_others_as_the_preset_has_them(findings):
    first, second, settings, every = tables(findings, "Here.", {LAYERS: "Table 1. "})
    assert first.title.startswith("Table 1. Accuracy order")
    assert second.title.startswith("Accuracy order")
    assert "With hidden_size 8." in first.note
    assert first.columns == ("dimer", "num_layers 2", "num_layers 4")
    assert [row[0] for row in first.rows[:2]] == ["A", "B"]
    np.testing.assert_allclose([row[1:] for row in first.rows[:2]], [[2, 9], [2, 3]])
    rows = {row[0]: row[1:] for row in first.rows}
    assert rows["NCPD"] == (0.0, 0.0)
    np.testing.assert_allclose(rows["geometric mean rank"], [2, 27**0.5])
    # 60 layers are not in the grid: the depth that is best on validation.
    assert "With num_layers 4." in second.note
    assert {row[0]: row[1:] for row in second.rows}["NCPD"] == (1.5, 0.0)
    assert [row[:2] for row in settings.rows[:2]] == [(4, 4), (4, 8)]
    assert settings.columns[2:] == ("seeds", "validation AUROC", "test geometric mean rank", "test NCPD", "test AUROC")
    assert len(every.rows) == 8 * 3


def test_drawn_trials_have_no_tables_of_one_field_and_no_heat_maps(findings, tmp_path):
    findings = dataclasses.replace(findings, grid={})
    assert [table.name for table in tables(findings, "Here.", {})] == ["settings", "trials"]
    assert heat_maps(findings, tmp_path) == []


def test_heat_maps_are_the_same_files_for_the_same_findings(findings, tmp_path):
    drawn = heat_maps(findings, tmp_path)
    assert [path.name for path in drawn] == ["sweep_dimers.svg", "sweep.svg"]
    before = contents(tmp_path)
    assert {path.rpartition(".")[2] for path in before} == {"svg", "png"}
    heat_maps(findings, tmp_path)
    assert contents(tmp_path) == before
