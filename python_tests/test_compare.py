"""The comparison of models: exact random orders, simple models, ablations, intervals, and the part as a whole."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import pytest
import torch
from made_complexes import made_complex, save_complexes
from sklearn.linear_model import LogisticRegression

from resblock.errors import InputError
from resblock.evaluation.ranking import PERCENTILES, expected_random_rfpp, rfpp
from resblock.models import Drawing
from resblock.models.windows import WindowModel, WindowModelConfig, windows_around
from resblock.pairs.selection import Closest
from resblock.structure import PAPER_FEATURES
from resblock.study import compare, propensity, random_order
from resblock.study.ablations import NETWORKS, OURS, network_config
from resblock.study.cache import cached_values
from resblock.study.classical import CLASSIFIERS, WindowClassifier
from resblock.study.measure import Comparison, Found, geometric_mean_rank, hits, ncpd, rfpp_percentiles
from resblock.study.part import Study
from resblock.study.propensity import Propensities, area_product
from resblock.training.config import TrainingConfig
from resblock.training.run import new_model

SMALL = ((5, 2), (4, 1), (6, 3))


def all_ranks(pairs: int, positives: int) -> list[int]:
    """The first rank of a positive in every order, which are equally likely."""
    return [places[0] + 1 for places in itertools.combinations(range(pairs), positives)]


def test_percentiles_of_a_random_order_are_the_mean_over_all_orders() -> None:
    drawn = [np.percentile(ranks, PERCENTILES) for ranks in itertools.product(*(all_ranks(*count) for count in SMALL))]
    np.testing.assert_allclose(random_order.percentiles(SMALL), np.mean(drawn, axis=0))


@pytest.mark.parametrize(("pairs", "positives"), [*SMALL, (3, 3)])
def test_survival_and_logarithm_of_a_random_order(pairs: int, positives: int) -> None:
    ranks = np.array(all_ranks(pairs, positives))
    above = random_order.survival(pairs, positives)
    np.testing.assert_allclose(above, [(ranks > k).mean() for k in range(pairs - positives + 2)])
    assert above.sum() == pytest.approx(expected_random_rfpp(pairs, positives))
    expected = np.log(1000 * ranks / pairs).mean()
    assert random_order.mean_log_order(pairs, positives) == pytest.approx(expected)


def test_chance_of_a_hit_is_hypergeometric() -> None:
    pairs, positives = 4321, 7
    expected = 1 - math.comb(pairs - positives, 4) / math.comb(pairs, 4)
    assert random_order.hit_chance(pairs, positives) == pytest.approx(expected)
    assert random_order.hit_chance(999, 7) == 0
    assert random_order.hit_chance(2000, 1999) == 1


def typed(dimer, receptor, ligand):
    """The same dimer with other residue types."""

    def of(partner, types):
        residues = (dataclasses.replace(r, parent=t) for r, t in zip(partner.residues, types, strict=True))
        return dataclasses.replace(partner, residues=tuple(residues))

    return dataclasses.replace(dimer, receptor=of(dimer.receptor, receptor), ligand=of(dimer.ligand, ligand))


def test_propensities_order_types_by_how_often_they_touch_and_then_by_area() -> None:
    dimer = made_complex(1)
    size = (len(dimer.receptor), len(dimer.ligand))
    areas = {s: np.abs(p.features) for s, p in (("receptor", dimer.receptor), ("ligand", dimer.ligand))}
    dimer = dataclasses.replace(
        dimer,
        **{s: dataclasses.replace(getattr(dimer, s), features=f) for s, f in areas.items()},
        contact_area=np.outer(np.arange(size[0]) % 2, np.arange(size[1]) % 2).astype(np.float32),
        distance=np.zeros(size, dtype=np.float32),
    )
    types = ["LEU" if k % 2 else "LYS" for k in range(20)]
    dimer = typed(dimer, types[: size[0]], types[: size[1]])
    model = Propensities([dimer], Closest(1e9))
    places = model(dimer).reshape(-1)
    assert sorted(places) == list(range(len(places)))
    positive = dimer.labels()
    assert rfpp(places, positive) == 1
    assert places[positive].min() > places[~positive].max()
    by_area = np.argsort(area_product(dimer).reshape(-1)[positive])
    assert np.all(np.diff(places[positive][by_area]) > 0)
    np.testing.assert_array_equal(model.table, model.table.T)
    unseen = typed(dimer, ["TRP"] * size[0], ["UNK"] * size[1])
    assert np.isfinite(model(unseen)).all()


def test_area_product_takes_the_accessible_areas() -> None:
    dimer = made_complex(3)
    column = dimer.receptor.feature_names.index("AESA")
    receptor, ligand = dimer.surface_pairs()[17]
    expected = float(dimer.receptor.features[receptor, column]) * float(dimer.ligand.features[ligand, column])
    assert area_product(dimer).reshape(-1)[17] == pytest.approx(expected)


def swapped(dimer):
    return dataclasses.replace(
        dimer,
        receptor=dimer.ligand,
        ligand=dimer.receptor,
        contact_area=dimer.contact_area.T,
        distance=dimer.distance.T,
    )


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classifiers_tell_contacts_and_do_not_care_who_is_the_receptor(name: str) -> None:
    dimers = [made_complex(k, f"D{k}", (30, 25)) for k in range(6)]
    model = WindowClassifier(CLASSIFIERS[name](1, 10), dimers[:5], Closest(20), seed=1)
    scores = model(dimers[5])
    assert scores.shape == dimers[5].surface_shape
    labels = dimers[5].labels()
    assert scores.reshape(-1)[labels].mean() > 2 * scores.reshape(-1)[~labels].mean()
    np.testing.assert_allclose(model(swapped(dimers[5])), scores.T)
    again = WindowClassifier(CLASSIFIERS[name](1, 10), dimers[:5], Closest(20), seed=1)
    np.testing.assert_array_equal(again(dimers[5]), scores)


def test_classifiers_see_the_window_and_nothing_past_the_chain() -> None:
    dimers = [made_complex(k, f"D{k}") for k in range(3)]
    dimers[0].receptor.features[5, 0] = 100.0  # far beyond what is let through
    model = WindowClassifier(LogisticRegression(), dimers, Closest(10), seed=1)
    seen, _ = model._inputs(dimers[0], np.array([[0, 4], [5, 8]]))
    width = len(PAPER_FEATURES)
    blocks = seen.reshape(2, 6, width)
    # The receptor's chain begins at 0, the ligand's second one at 4, and it ends at 8.
    assert blocks[0].any(axis=1).tolist() == [False, True, True, False, True, True]
    assert blocks[1].any(axis=1).tolist() == [True, True, True, True, True, False]
    network = WindowModel(WindowModelConfig(num_layers=1), model.scaling)
    windows, _ = windows_around(*map(network.encode, dimers[0].partners), np.array([[5, 8]]))
    # The first step of the packed window is the pair of the residues before.
    np.testing.assert_allclose(windows[0, 0], np.concatenate([blocks[1, 0], blocks[1, 3]]))
    assert blocks[1, 1, 0] == 6


def test_each_network_differs_from_ours_in_one_thing_but_the_plain_ones() -> None:
    assert network_config(OURS, False) == TrainingConfig()
    for name in NETWORKS:
        config = network_config(name, False)
        changed = {
            f"{section}.{field}"
            for section, fields in TrainingConfig().values().items()
            for field, value in fields.items()
            if config.values()[section][field] != value
        }
        if name.startswith("plain"):
            assert changed >= {"model.peephole", "model.residual", "model.attention"}
        else:
            assert len(changed) == (name != OURS), name


def test_all_networks_are_trained_on_the_same_pairs() -> None:
    dimers = [made_complex(k, f"D{k}") for k in range(4)]
    drawn = []
    for name in NETWORKS:
        model = new_model(network_config(name, True), dimers)
        drawn.append(model.examples(dimers, Drawing(50, seed=3)).draw(2))
    for rows, labels in drawn:
        np.testing.assert_array_equal(rows, drawn[0][0])
        np.testing.assert_array_equal(labels, drawn[0][1])


@pytest.mark.parametrize("name", [name for name in NETWORKS if name.startswith("plain")])
def test_the_plain_network_is_torchs(name: str) -> None:
    torch.manual_seed(1)
    network = new_model(network_config(name, True), [made_complex(1)]).network.eval()
    windows = torch.randn(9, 5, 18)
    expected = network.head(network.lstm.to_torch()(windows)[0][-1])
    torch.testing.assert_close(network(windows), expected)


def made_found(model: str, seed: int, ranks: list[int]) -> list[Found]:
    return [
        Found(
            model=model,
            seed=seed,
            code=f"D{k}",
            pairs=10_000,
            positives=20,
            rfpp=rank,
            hits=int(rank < 5),
            auroc=0.5,
        )
        for k, rank in enumerate(ranks)
    ]


def test_metrics_are_means_over_seeds_with_paired_intervals() -> None:
    found = made_found("a", 1, [1, 20, 300]) + made_found("a", 2, [3, 20, 500]) + made_found("b", 1, [10, 20, 30])
    found += made_found("double", 1, [20, 40, 60])
    comparison = Comparison(found)
    assert comparison.models == ["a", "b", "double"]
    assert [comparison.seeds(model) for model in comparison.models] == [2, 1, 1]
    assert comparison.value("a", ncpd) == 1.0
    assert comparison.value("a", hits) == 1.0
    expected = np.mean([np.percentile(ranks, PERCENTILES) for ranks in ([1, 20, 300], [3, 20, 500])], axis=0)
    np.testing.assert_allclose(comparison.value("a", rfpp_percentiles), expected)
    (interval,) = comparison.intervals("b", geometric_mean_rank)
    assert interval.value == pytest.approx(0.1 * 6000 ** (1 / 3))
    assert interval.low < interval.value < interval.high
    # The same dimers are drawn for both: twice as late in every one is twice as late, whichever are drawn.
    ratio = comparison.ratio("double", "b", geometric_mean_rank)
    assert (ratio.value, ratio.low, ratio.high) == pytest.approx((2, 2, 2))


def test_values_are_cached_for_the_same_key_only(tmp_path) -> None:
    calls = []

    def compute():
        calls.append(1)
        return [len(calls)]

    def found(*key):
        return cached_values(tmp_path / "found", "one", key, compute)

    assert [found("a", 1), found("a", 1), found("b", 1), found("a", 1), found("a", 2)] == [[1], [1], [2], [1], [3]]
    for path in (tmp_path / "found").iterdir():
        assert path.name.startswith("one-")
        path.write_bytes(b"\xff")
    assert found("a", 1) == [4]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    directory = tmp_path_factory.mktemp("study")
    data = save_complexes(directory / "data")
    split = {f"D{k}": ("train" if k < 4 else "validation" if k < 5 else "test") for k in range(8)}
    out = directory / "compare"
    out.mkdir()
    return Study(data=data, out=out, runs=directory / "runs", split=split, seeds=(1,), quick=True, device="cpu")


def test_the_part_is_whole_and_not_computed_twice(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    study = dataclasses.replace(study, progress=said.append)
    result = compare.run(study)
    names = [model.name for model in compare.competitors(quick=True)]
    assert len([line for line in said if not line.startswith("training")]) == len(names)
    tables = {table.name: table for table in result.tables}
    for name in ("table_4", "table_5"):
        assert [row[0] for row in tables[name].rows] == [compare.RANDOM, *names]
        assert all(len(row) == len(tables[name].columns) for row in tables[name].rows)
    assert len(tables["models_by_dimer"].rows) == 3 * len(names)
    assert "3 test" in tables["table_4"].note
    files = [path.with_suffix(ending) for path in result.figures for ending in (".svg", ".png")]
    before = [path.read_bytes() for path in files]
    said.clear()
    again = compare.run(study)
    assert not said
    assert again == result
    assert [path.read_bytes() for path in files] == before
    # Another version of one kind of model leaves the others alone.
    monkeypatch.setattr(propensity, "VERSION", "another")
    assert compare.run(study) == result
    assert said == [f"{name}, seed 1" for name in names[:2]]


def test_a_study_without_a_test_dimer_is_refused(study: Study) -> None:
    split = {code: part for code, part in study.split.items() if part != "test"}
    with pytest.raises(InputError, match="no test complex"):
        compare.run(dataclasses.replace(study, split=split))
