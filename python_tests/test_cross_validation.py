"""Homologues, folds and cross-validation: what is trained on, what is ranked, and what repeats."""

import dataclasses
import json

import numpy as np
import pytest
from Bio.SeqUtils import seq3
from made_complexes import made_complex, save_complexes

from resblock.errors import InputError
from resblock.evaluation import evaluate
from resblock.evaluation.homologues import (
    LocalAlignment,
    best_local,
    find_homologues,
    read_homologues,
    write_homologues,
)
from resblock.evaluation.splits import find_list, read_folds, read_split
from resblock.models import Ensemble, load_ensemble
from resblock.models.residues import ResidueModel
from resblock.pairs import load_complexes, save_complex
from resblock.structure import PAPER_FEATURES, Residue
from resblock.structure.scales import RESIDUE_NAMES
from resblock.training.config import resolve_config
from resblock.training.cross_validation import ENSEMBLE, METRICS, cross_validate
from resblock.training.run import train

SMALL = (
    "model.negatives_per_complex=30",
    "data.validation_pairs=40",
    "model.size=8",
    "model.pair_size=8",
    "model.encoder=attention lstm",
    "optimisation.epochs=2",
)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    return save_complexes(tmp_path_factory.mktemp("data"), 6)


@pytest.fixture
def config():
    return resolve_config("chain", None, SMALL)


# The lists of the package


def test_the_folds_are_the_dimers_of_the_benchmark():
    folds = read_folds(find_list("folds"))
    assert len(folds) == 118
    assert sorted(np.bincount(list(folds.values())).tolist()) == [0, 29, 29, 30, 30]
    assert set(read_split(find_list("paper_test"))) <= set(folds)


def test_the_homologues_are_mutual():
    homologues = read_homologues(find_list("homologues"))
    assert set(read_folds(find_list("folds"))) <= set(homologues)
    assert all(code in homologues[other] for code, others in homologues.items() for other in others)
    assert all(code not in others for code, others in homologues.items())


@pytest.mark.parametrize("text", ["A 1\nA 2\n", "A one\nB 2\n", "A 1\nB 1\n", "A\n", ""])
def test_what_lists_no_folds_is_refused(text, tmp_path):
    (tmp_path / "folds").write_text(text)
    with pytest.raises(InputError, match="folds"):
        read_folds(tmp_path / "folds")


# Homology


def with_sequence(complex, sequence):
    residues = tuple(Residue("A", k + 1, "", name, name) for k, name in enumerate(sequence))
    partner = dataclasses.replace(complex.receptor, residues=residues)
    return dataclasses.replace(complex, receptor=partner)


def test_relatives_are_found_and_strangers_are_not(tmp_path):
    generator = np.random.default_rng(4)
    first = generator.choice(RESIDUE_NAMES, 120)
    relative = np.where(generator.random(120) < 0.4, generator.choice(RESIDUE_NAMES, 120), first)
    stranger = generator.choice(RESIDUE_NAMES, 120)
    short = first[:30]
    dimers = [
        with_sequence(made_complex(k, code), sequence)
        for k, (code, sequence) in enumerate({"A": first, "B": relative, "C": stranger, "D": short}.items())
    ]
    found = find_homologues(dimers)
    assert found == {"A": {"B"}, "B": {"A"}, "C": set(), "D": set()}
    write_homologues(tmp_path / "list", found)
    assert read_homologues(tmp_path / "list") == found
    with pytest.raises(InputError, match="no such file"):
        read_homologues(tmp_path / "none")


def test_homologues_of_some_by_several_processes():
    generator = np.random.default_rng(4)
    families = [generator.choice(RESIDUE_NAMES, 90) for _ in range(3)]
    dimers = [
        with_sequence(
            made_complex(k, f"D{k}"), np.where(generator.random(90) < 0.3, families[k % 3][::-1], families[k % 3])
        )
        for k in range(9)
    ]
    everything = find_homologues(dimers)
    assert everything["D0"] == {"D3", "D6"}
    assert find_homologues(dimers, jobs=2) == everything
    some = {"D0", "D4"}
    assert find_homologues(iter(dimers), of=some) == {code: others & some for code, others in everything.items()}
    with pytest.raises(InputError, match="no prepared complex X"):
        find_homologues(dimers, of=["X"])


def test_a_chain_that_was_cut_counts_as_a_whole():
    """Each part alone has too few columns in common with the other chain."""
    whole = "".join(np.random.default_rng(5).choice(list("ACDEFGHIKLMNPQRSTVWY"), 60))
    one, other = (with_sequence(made_complex(k, code), [seq3(x).upper() for x in whole]) for k, code in enumerate("AB"))
    parts = [
        dataclasses.replace(partner, sequence=(whole,), residues=partner.residues[:30])
        for partner in (one.receptor, one.receptor)
    ]
    cut = dataclasses.replace(one, receptor=parts[0], ligand=parts[1])
    assert find_homologues([cut, other]) == {"A": set(), "B": set()}
    cut = dataclasses.replace(cut, conformations=("cut", "cut"))
    assert find_homologues([cut, other]) == {"A": {"B"}, "B": {"A"}}


@pytest.mark.parametrize(
    ("score", "columns", "identity", "homologous"),
    [
        (100.0, 40, 0.25, True),
        (500.0, 400, 1.0, True),
        (99.0, 400, 1.0, False),
        (500.0, 39, 1.0, False),
        (500.0, 400, 0.249, False),
    ],
)
def test_homologues_are_alike_by_all_three_limits(score, columns, identity, homologous):
    assert LocalAlignment(score, columns, identity).homologous == homologous


def test_gaps_cost_eleven_and_one_and_are_columns():
    """Twenty tryptophans of 11 and twenty cysteines of 9, and three glycines between them in one chain only."""
    best = best_local(["W" * 20 + "C" * 20], ["W" * 20 + "GGG" + "C" * 20])
    assert best == LocalAlignment(20 * 11.0 + 20 * 9.0 - 11.0 - 2 * 1.0, 43, 40 / 43)


def test_sequences_without_a_letter_alike_have_no_alignment():
    assert best_local(["A" * 30], ["W" * 30]) == LocalAlignment(0.0, 0, 0.0)


@pytest.mark.parametrize(
    ("first", "second", "score", "columns"),
    [
        # Tryptophans score 11 each: what is alike to the end scores enough, and counts from 40 columns on.
        ("W" * 40 + "G" * 40, "W" * 40 + "P" * 40, 440.0, 40),
        ("W" * 40, "W" * 40, 440.0, 40),
        ("W" * 39 + "G" * 40, "W" * 39 + "P" * 40, 429.0, 39),
        # Alanines score 4, 1 beside serine and 0 beside glycine.
        ("A" * 40, "A" * 20 + "S" * 20, 100.0, 40),
        ("A" * 40, "A" * 20 + "S" * 10 + "G" + "S" * 9, 99.0, 40),
    ],
)
def test_an_alignment_of_few_columns_or_a_low_score_makes_no_homologues(first, second, score, columns):
    best, homologous = best_local([first], [second]), score >= 100.0 and columns >= 40
    assert (best.score, best.columns, best.homologous) == (score, columns, homologous)
    dimers = [
        with_sequence(made_complex(k, code), [seq3(letter).upper() for letter in letters])
        for k, (code, letters) in enumerate({"A": first, "B": second}.items())
    ]
    assert find_homologues(dimers)["A"] == ({"B"} if homologous else set())


# Training


def test_training_along_the_chain_repeats_and_helps(tmp_path):
    prepared = save_complexes(tmp_path / "data", 6, PAPER_FEATURES)
    longer = resolve_config(
        "chain",
        None,
        (
            *SMALL,
            "model.features=paper",
            "optimisation.epochs=12",
            "optimisation.batch_size=1",
            "optimisation.learning_rate=5e-3",
        ),
    )
    split = tmp_path / "split"
    split.write_text("D0 train\nD1 train\nD2 train\nD3 train\nD4 validation\nD5 validation\n")
    outcome = train(prepared, tmp_path / "run", longer, split)
    assert outcome.metrics["mean_auroc"] > 0.75
    assert isinstance(load_ensemble(outcome.weights).models[0], ResidueModel)
    again = train(prepared, tmp_path / "again", longer, split)
    assert again.weights.read_bytes() == outcome.weights.read_bytes()
    assert train(prepared, tmp_path / "run", longer, split).already_finished


def test_without_validation_the_last_epoch_counts(prepared, config, tmp_path):
    split = tmp_path / "split"
    split.write_text("D0 train\nD1 train\n")
    outcome = train(prepared, tmp_path / "run", config, split)
    assert outcome.metrics == {}
    card = load_ensemble(outcome.weights).card
    assert (card["epoch"], card["complexes"]["validation"]) == (2, [])
    assert train(prepared, tmp_path / "run", config, split).already_finished


def test_a_run_can_make_an_ensemble(prepared, tmp_path):
    config = resolve_config("chain", None, (*SMALL, "optimisation.ensemble=2", "optimisation.seed=5"))
    split = tmp_path / "split"
    split.write_text("D0 train\nD1 train\nD2 validation\n")
    outcome = train(prepared, tmp_path / "run", config, split)
    together = load_ensemble(outcome.weights)
    assert [m.card["config"]["optimisation"]["seed"] for m in together.models] == [5, 6]
    (result,) = evaluate(together, load_complexes(prepared, ["D2"]))
    assert outcome.metrics["mean_auroc"] == result.auroc
    assert train(prepared, tmp_path / "run", config, split).already_finished


# Cross-validation


@pytest.fixture
def lists(tmp_path):
    folds, homologues, collection = (tmp_path / name for name in ("folds", "homologues", "collection"))
    folds.write_text("D0 1\nD1 1\nD2 2\nD3 2\n")
    homologues.write_text("D0\tD2\nD2\tD0\nD1\nD3\tD5\nD4\nD5\tD3\n")
    collection.write_text("D4\nD5\n")
    return {"folds_file": folds, "homologues_file": homologues, "collection_file": collection}


def test_every_dimer_is_ranked_out_of_fold(prepared, config, lists, tmp_path):
    trained = []
    rows = cross_validate(prepared, tmp_path / "cv", {"small": config}, [1, 2], **lists, progress=trained.append)
    assert [row.name for row in rows] == ["small, seed 1", "small, seed 2", ENSEMBLE]
    assert len(trained) == 4
    ensembles = [load_ensemble(tmp_path / f"cv/small/seed-{s}/fold-1/weights.safetensors") for s in (1, 2)]
    for ensemble in ensembles:
        assert ensemble.card["complexes"]["train"] == ["D2", "D3", "D4", "D5"]
    for row in rows:
        assert [result.code for result in row.results] == ["D0", "D1", "D2", "D3"]
        assert row.without_homologues == {"D1"}
    (expected,) = evaluate(Ensemble.of(ensembles), load_complexes(prepared, ["D0"]))
    assert rows[2].results[0] == expected
    report = json.loads((tmp_path / "cv" / METRICS).read_text())
    assert [entry["model"] for entry in report] == [row.name for row in rows]
    assert report[0]["without homologues"]["complexes"] == 1
    assert cross_validate(prepared, tmp_path / "cv", {"small": config}, [1, 2], **lists) == rows


def test_further_homologues_are_left_out(prepared, config, lists, tmp_path):
    """D5, which is of no collection, is a homologue of D3 in fold 2; strictly, D0 and D2 are left out as well."""
    (tmp_path / "none").write_text("D4\n")
    for strict, without, expected in (
        (False, {"D1", "D3"}, {1: ["D2", "D3", "D4", "D5"], 2: ["D0", "D1", "D4"]}),
        (True, {"D0", "D1", "D2", "D3"}, {1: ["D3", "D4", "D5"], 2: ["D1", "D4"]}),
    ):
        given = {**lists, "collection_file": tmp_path / "none", "strict": strict}
        (row,) = cross_validate(prepared, tmp_path / f"cv{strict}", {"small": config}, [1], **given)
        assert row.without_homologues == without
        for fold, codes in expected.items():
            weights = load_ensemble(tmp_path / f"cv{strict}/small/seed-1/fold-{fold}/weights.safetensors")
            assert weights.card["complexes"]["train"] == codes


def test_complexes_of_more_chains_train_only_if_asked_for(prepared, lists, tmp_path):
    config = resolve_config("chain", None, (*SMALL, "data.complexes=dimers"))
    (complex,) = load_complexes(prepared, ["D4"])
    parts = tuple(dataclasses.replace(r, chain="C") if k else r for k, r in enumerate(complex.receptor.residues))
    data = save_complexes(tmp_path / "data", 6)
    receptor = dataclasses.replace(complex.receptor, residues=parts, sequence=("", ""))
    save_complex(data / "D4.npz", dataclasses.replace(complex, receptor=receptor))
    (row,) = cross_validate(data, tmp_path / "cv", {"small": config}, [1], **lists)
    ensemble = load_ensemble(tmp_path / "cv/small/seed-1/fold-2/weights.safetensors")
    assert ensemble.card["complexes"]["train"] == ["D0", "D1", "D5"]
    assert len(row.results) == 4


def test_a_missing_dimer_is_named(prepared, config, tmp_path):
    (tmp_path / "folds").write_text("D0 1\nD9 2\n")
    with pytest.raises(InputError, match="no prepared complex D9"):
        cross_validate(prepared, tmp_path / "cv", {"small": config}, [1], folds_file=tmp_path / "folds")
    with pytest.raises(InputError, match="name a preset and a seed"):
        cross_validate(prepared, tmp_path / "cv", {"small": config}, [])


def test_configurations_of_ensembles_are_refused(prepared, tmp_path):
    config = resolve_config("chain", None, (*SMALL, "optimisation.ensemble=2"))
    with pytest.raises(InputError, match=r"small: optimisation.ensemble is 2; .* name those"):
        cross_validate(prepared, tmp_path / "cv", {"small": config}, [1, 2])
    assert not (tmp_path / "cv").exists()


def test_models_of_different_features_make_an_ensemble(prepared, config, lists, tmp_path):
    fewer = ("model.negatives_per_positive=2", "model.selection=random", "model.num_layers=2")
    windows = resolve_config("windows", None, (*fewer, "optimisation.epochs=1"))
    rows = cross_validate(prepared, tmp_path / "cv", {"small": config, "windows": windows}, [1], **lists)
    assert [row.name for row in rows] == ["small, seed 1", "windows, seed 1", ENSEMBLE]
    for name, features in {"small": "extended", "windows": "paper"}.items():
        assert load_ensemble(tmp_path / f"cv/{name}/seed-1/fold-1/weights.safetensors").feature_set == features
