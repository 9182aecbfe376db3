"""Homologues, folds and cross-validation: what is learned from, what is ranked, and what repeats."""

import dataclasses
import json

import numpy as np
import pytest
from made_dimers import made_dimer, save_dimers

from resblock.errors import InputError
from resblock.pairs import load_dimers
from resblock.scoring import ChainScorer, EnsembleScorer, load_scorer
from resblock.structure import PAPER_FEATURES, Residue
from resblock.structure.scales import RESIDUE_NAMES
from resblock.training.config import resolve_config
from resblock.training.cross_validation import AVERAGE, FIGURES, cross_validate, read_folds
from resblock.training.evaluation import evaluate
from resblock.training.homology import find_homologues, read_homologues, write_homologues
from resblock.training.run import train
from resblock.training.split import find_list, read_split

SMALL = (
    "data.negatives_per_dimer=30",
    "data.validation_pairs=40",
    "chain.size=8",
    "chain.pair_size=8",
    "chain.encoder=attention lstm",
    "optimisation.epochs=2",
)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    return save_dimers(tmp_path_factory.mktemp("data"), 6)


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


def with_sequence(dimer, sequence):
    residues = tuple(Residue("A", k + 1, "", name, name) for k, name in enumerate(sequence))
    size = len(residues)
    partner = dataclasses.replace(dimer.receptor, residues=residues, linked=np.ones(size, dtype=np.bool_))
    return dataclasses.replace(dimer, receptor=partner)


def test_relatives_are_found_and_strangers_are_not(tmp_path):
    generator = np.random.default_rng(4)
    first = generator.choice(RESIDUE_NAMES, 120)
    relative = np.where(generator.random(120) < 0.4, generator.choice(RESIDUE_NAMES, 120), first)
    stranger = generator.choice(RESIDUE_NAMES, 120)
    short = first[:30]
    dimers = [
        with_sequence(made_dimer(k, code), sequence)
        for k, (code, sequence) in enumerate({"A": first, "B": relative, "C": stranger, "D": short}.items())
    ]
    found = find_homologues(dimers)
    assert found == {"A": {"B"}, "B": {"A"}, "C": set(), "D": set()}
    write_homologues(tmp_path / "list", found)
    assert read_homologues(tmp_path / "list") == found
    with pytest.raises(InputError, match="cannot be read"):
        read_homologues(tmp_path / "none")


# Training of the second reading


def test_chain_training_repeats_and_learns(prepared, config, tmp_path):
    longer = resolve_config(
        "chain",
        None,
        (*SMALL, "optimisation.epochs=12", "optimisation.batch_size=1", "optimisation.learning_rate=5e-3"),
    )
    split = tmp_path / "split"
    split.write_text("D0 train\nD1 train\nD2 train\nD3 train\nD4 validation\nD5 validation\n")
    outcome = train(prepared, tmp_path / "run", longer, split)
    assert outcome.figures["mean_auroc"] > 0.75
    assert isinstance(load_scorer(outcome.weights), ChainScorer)
    again = train(prepared, tmp_path / "again", longer, split)
    assert again.weights.read_bytes() == outcome.weights.read_bytes()
    assert train(prepared, tmp_path / "run", longer, split).already_finished


def test_without_validation_the_last_epoch_counts(prepared, config, tmp_path):
    split = tmp_path / "split"
    split.write_text("D0 train\nD1 train\n")
    outcome = train(prepared, tmp_path / "run", config, split)
    assert outcome.figures == {}
    card = load_scorer(outcome.weights).card
    assert (card["epoch"], card["complexes"]["validation"]) == (2, [])
    assert train(prepared, tmp_path / "run", config, split).already_finished


def test_members_are_averaged(prepared, tmp_path):
    config = resolve_config("chain", None, (*SMALL, "optimisation.members=2", "optimisation.seed=5"))
    split = tmp_path / "split"
    split.write_text("D0 train\nD1 train\nD2 validation\n")
    outcome = train(prepared, tmp_path / "run", config, split)
    together = load_scorer(outcome.weights)
    assert isinstance(together, EnsembleScorer)
    assert [m.card["config"]["optimisation"]["seed"] for m in together.members] == [5, 6]
    (result,) = evaluate(together, load_dimers(prepared, ["D2"]))
    assert outcome.figures["mean_auroc"] == result.auroc
    assert train(prepared, tmp_path / "run", config, split).already_finished


# Cross-validation


@pytest.fixture
def lists(tmp_path):
    folds, homologues = tmp_path / "folds", tmp_path / "homologues"
    folds.write_text("D0 1\nD1 1\nD2 2\nD3 2\n")
    homologues.write_text("D0\tD2\nD2\tD0\nD1\nD3\tD5\nD5\tD3\n")
    return folds, homologues


def test_every_dimer_is_ranked_by_those_that_did_not_learn_from_it(prepared, config, lists, tmp_path):
    trained = []
    rows = cross_validate(prepared, tmp_path / "cv", {"small": config}, [1, 2], *lists, progress=trained.append)
    assert [row.name for row in rows] == ["small, seed 1", "small, seed 2", AVERAGE]
    assert len(trained) == 4
    scorers = [load_scorer(tmp_path / f"cv/small/seed-{s}/fold-1/weights.safetensors") for s in (1, 2)]
    for scorer in scorers:
        assert scorer.card["complexes"]["train"] == ["D2", "D3", "D4", "D5"]
    for row in rows:
        assert [result.code for result in row.results] == ["D0", "D1", "D2", "D3"]
        assert row.without_homologues == {"D1"}
    (expected,) = evaluate(EnsembleScorer(scorers), load_dimers(prepared, ["D0"]))
    assert rows[2].results[0] == expected
    report = json.loads((tmp_path / "cv" / FIGURES).read_text())
    assert [entry["model"] for entry in report] == [row.name for row in rows]
    assert report[0]["without homologues"]["dimers"] == 1
    assert cross_validate(prepared, tmp_path / "cv", {"small": config}, [1, 2], *lists) == rows


def test_complexes_of_more_chains_train_only_if_asked_for(prepared, lists, tmp_path):
    config = resolve_config("chain", None, (*SMALL, "data.complexes=dimers"))
    (dimer,) = load_dimers(prepared, ["D4"])
    parts = tuple(dataclasses.replace(r, chain="C") if k else r for k, r in enumerate(dimer.receptor.residues))
    data = save_dimers(tmp_path / "data", 6)
    dataclasses.replace(dimer, receptor=dataclasses.replace(dimer.receptor, residues=parts)).save(data / "D4.npz")
    (row,) = cross_validate(data, tmp_path / "cv", {"small": config}, [1], *lists)
    scorer = load_scorer(tmp_path / "cv/small/seed-1/fold-2/weights.safetensors")
    assert scorer.card["complexes"]["train"] == ["D0", "D1", "D5"]
    assert len(row.results) == 4


def test_a_missing_dimer_is_named(prepared, config, tmp_path):
    (tmp_path / "folds").write_text("D0 1\nD9 2\n")
    with pytest.raises(InputError, match="no prepared dimer D9"):
        cross_validate(prepared, tmp_path / "cv", {"small": config}, [1], tmp_path / "folds")
    with pytest.raises(InputError, match="name a preset and a seed"):
        cross_validate(prepared, tmp_path / "cv", {"small": config}, [])


def test_members_are_refused(prepared, tmp_path):
    config = resolve_config("chain", None, (*SMALL, "optimisation.members=2"))
    with pytest.raises(InputError, match=r"small: optimisation.members is 2; .* name those"):
        cross_validate(prepared, tmp_path / "cv", {"small": config}, [1, 2])
    assert not (tmp_path / "cv").exists()


def test_networks_on_different_features_are_not_averaged(config, lists, tmp_path):
    wide = save_dimers(tmp_path / "wide", 6, wide=True)
    configs = {"small": config, "paper": resolve_config("paper")}
    with pytest.raises(InputError, match=r"small, paper see different features .* --features"):
        cross_validate(wide, tmp_path / "cv", configs, [1], *lists)
    assert not (tmp_path / "cv").exists()
    cross_validate(wide, tmp_path / "cv", {"small": config}, [1], *lists, features="paper")
    scorer = load_scorer(tmp_path / "cv/small/seed-1/fold-1/weights.safetensors")
    assert scorer.feature_names == PAPER_FEATURES
