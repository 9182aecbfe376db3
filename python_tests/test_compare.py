"""The comparison of models: exact random orders, simple models, ablations, intervals, and the part as a whole."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import pytest
import torch
from made_dimers import made_dimer, save_dimers
from resblock.pairs.dataset import Closest, PairWindows, TrainingPairs
from resblock.ranking import PERCENTILES, expected_random_rfpp, rfpp
from sklearn.linear_model import LogisticRegression

from resblock.errors import InputError
from resblock.nn import ResAttnLSTM
from resblock.study import compare, random_order
from resblock.study.ablations import NETWORKS, OURS, network_config
from resblock.study.classical import CLASSIFIERS, WindowClassifier
from resblock.study.measure import Comparison, Found, geometric_mean_order, hits, ncpd, rfpp_percentiles
from resblock.study.part import Study
from resblock.study.propensity import Propensities, area_product
from resblock.study.remember import remembered
from resblock.training.config import TrainingConfig
from resblock.training.data import selection

SMALL = ((5, 2), (4, 1), (6, 3))


def all_ranks(pairs: int, true_pairs: int) -> list[int]:
    """The first true rank of every order, which are equally likely."""
    return [places[0] + 1 for places in itertools.combinations(range(pairs), true_pairs)]


def test_percentiles_of_a_random_order_are_the_mean_over_all_orders() -> None:
    drawn = [np.percentile(ranks, PERCENTILES) for ranks in itertools.product(*(all_ranks(*count) for count in SMALL))]
    np.testing.assert_allclose(random_order.percentiles(SMALL), np.mean(drawn, axis=0))


@pytest.mark.parametrize(("pairs", "true_pairs"), [*SMALL, (3, 3)])
def test_survival_and_logarithm_of_a_random_order(pairs: int, true_pairs: int) -> None:
    ranks = np.array(all_ranks(pairs, true_pairs))
    above = random_order.survival(pairs, true_pairs)
    np.testing.assert_allclose(above, [(ranks > k).mean() for k in range(pairs - true_pairs + 2)])
    assert above.sum() == pytest.approx(expected_random_rfpp(pairs, true_pairs))
    expected = np.log(1000 * ranks / pairs).mean()
    assert random_order.mean_log_order(pairs, true_pairs) == pytest.approx(expected)


def test_chance_of_a_hit_is_hypergeometric() -> None:
    pairs, true_pairs = 4321, 7
    expected = 1 - math.comb(pairs - true_pairs, 4) / math.comb(pairs, 4)
    assert random_order.hit_chance(pairs, true_pairs) == pytest.approx(expected)
    assert random_order.hit_chance(999, 7) == 0
    assert random_order.hit_chance(2000, 1999) == 1


def typed(dimer, receptor, ligand):
    """The same dimer with other residue types."""

    def of(partner, types):
        residues = (dataclasses.replace(r, parent=t) for r, t in zip(partner.residues, types, strict=True))
        return dataclasses.replace(partner, residues=tuple(residues))

    return dataclasses.replace(dimer, receptor=of(dimer.receptor, receptor), ligand=of(dimer.ligand, ligand))


def test_propensities_order_types_by_how_often_they_touch_and_then_by_area() -> None:
    dimer = made_dimer(1)
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
    true = dimer.labels()
    assert rfpp(places, true) == 1
    assert places[true].min() > places[~true].max()
    by_area = np.argsort(area_product(dimer).reshape(-1)[true])
    assert np.all(np.diff(places[true][by_area]) > 0)
    np.testing.assert_array_equal(model.table, model.table.T)
    unseen = typed(dimer, ["TRP"] * size[0], ["UNK"] * size[1])
    assert np.isfinite(model(unseen)).all()


def test_area_product_takes_the_accessible_areas() -> None:
    dimer = made_dimer(3)
    column = dimer.feature_names.index("AESA")
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
def test_classifiers_learn_and_do_not_care_who_is_the_receptor(name: str) -> None:
    dimers = [made_dimer(k, f"D{k}", (30, 25)) for k in range(6)]
    model = WindowClassifier(CLASSIFIERS[name](1, 10), dimers[:5], Closest(20), seed=1)
    scores = model(dimers[5])
    assert scores.shape == (int(dimers[5].receptor.surface.sum()), int(dimers[5].ligand.surface.sum()))
    labels = dimers[5].labels()
    assert scores.reshape(-1)[labels].mean() > 2 * scores.reshape(-1)[~labels].mean()
    np.testing.assert_allclose(model(swapped(dimers[5])), scores.T)
    again = WindowClassifier(CLASSIFIERS[name](1, 10), dimers[:5], Closest(20), seed=1)
    np.testing.assert_array_equal(again(dimers[5]), scores)


def test_classifiers_see_the_window_and_nothing_past_the_chain() -> None:
    dimers = [made_dimer(k, f"D{k}") for k in range(3)]
    dimers[0].receptor.features[5, 0] = 100.0  # far beyond what is let through
    model = WindowClassifier(LogisticRegression(), dimers, Closest(10), seed=1)
    seen, _ = model._inputs(dimers[0], np.array([[0, 4], [5, 8]]))
    width = len(dimers[0].feature_names)
    blocks = seen.reshape(2, 6, width)
    # The receptor's chain begins at 0, the ligand's second one at 4, and it ends at 8.
    assert blocks[0].any(axis=1).tolist() == [False, True, True, False, True, True]
    assert blocks[1].any(axis=1).tolist() == [True, True, True, True, True, False]
    windows, _ = PairWindows(dimers[:1], model.mean, model.scale).gather(np.array([[5, 8 + 14]]))
    # The first step of the packed window is the pair of the residues before.
    np.testing.assert_allclose(windows[0, 0].clamp(-6, 6), np.concatenate([blocks[1, 0], blocks[1, 3]]))
    assert blocks[1, 1, 0] == 6


def test_each_network_differs_from_ours_in_one_thing_but_the_plain_ones() -> None:
    assert network_config(OURS, False) == TrainingConfig()
    for name in NETWORKS:
        config = network_config(name, False)
        changed = {
            f"{section}.{field}"
            for section, fields in dataclasses.asdict(TrainingConfig()).items()
            for field, value in fields.items()
            if getattr(getattr(config, section), field) != value
        }
        if name.startswith("plain"):
            assert changed >= {"network.peephole", "network.residual", "network.attention"}
        else:
            assert len(changed) == (name != OURS), name


def test_all_networks_learn_from_the_same_pairs() -> None:
    dimers = [made_dimer(k, f"D{k}") for k in range(4)]
    drawn = []
    for name in NETWORKS:
        data = network_config(name, False).data
        drawn.append(TrainingPairs(dimers, selection(data), 50, seed=3, side=data.window).draw(2))
    for rows, labels in drawn:
        np.testing.assert_array_equal(rows, drawn[0][0])
        np.testing.assert_array_equal(labels, drawn[0][1])


@pytest.mark.parametrize("name", [name for name in NETWORKS if name.startswith("plain")])
def test_the_plain_network_is_torchs(name: str) -> None:
    torch.manual_seed(1)
    network = ResAttnLSTM.from_config(network_config(name, True).network).eval()
    windows = torch.randn(9, 5, 18)
    expected = network.head(network.lstm.to_torch()(windows)[0][-1])
    torch.testing.assert_close(network(windows), expected)


def made_found(model: str, seed: int, ranks: list[int]) -> list[Found]:
    return [Found(model, seed, f"D{k}", 10_000, 20, rank, int(rank < 5), 0.5) for k, rank in enumerate(ranks)]


def test_figures_are_means_over_seeds_with_paired_intervals() -> None:
    found = made_found("a", 1, [1, 20, 300]) + made_found("a", 2, [3, 20, 500]) + made_found("b", 1, [10, 20, 30])
    found += made_found("double", 1, [20, 40, 60])
    comparison = Comparison(found)
    assert comparison.models == ["a", "b", "double"]
    assert [comparison.seeds(model) for model in comparison.models] == [2, 1, 1]
    assert comparison.value("a", ncpd) == 1.0
    assert comparison.value("a", hits) == 1.0
    expected = np.mean([np.percentile(ranks, PERCENTILES) for ranks in ([1, 20, 300], [3, 20, 500])], axis=0)
    np.testing.assert_allclose(comparison.value("a", rfpp_percentiles), expected)
    (interval,) = comparison.intervals("b", geometric_mean_order)
    assert interval.value == pytest.approx(0.1 * 6000 ** (1 / 3))
    assert interval.low < interval.value < interval.high
    # The same dimers are drawn for both: twice as late in every one is twice as late, whichever are drawn.
    ratio = comparison.ratio("double", "b", geometric_mean_order)
    assert (ratio.value, ratio.low, ratio.high) == pytest.approx((2, 2, 2))


def test_results_are_remembered_for_the_same_key_only(tmp_path) -> None:
    calls = []

    def compute():
        calls.append(1)
        return [len(calls)]

    def remember(key):
        return remembered(tmp_path / "found", "one", key, compute)

    assert [remember("a"), remember("a"), remember("b"), remember("b")] == [[1], [1], [2], [2]]
    for damage in (b"", b"[]", b'{"key": "other"}', b"\xff"):
        (tmp_path / "found" / "one.json").write_bytes(damage)
        before = len(calls)
        assert remember("b") == [before + 1]
    assert [path.name for path in (tmp_path / "found").iterdir()] == ["one.json"]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    directory = tmp_path_factory.mktemp("study")
    data = save_dimers(directory / "data")
    split = {f"D{k}": ("train" if k < 4 else "validation" if k < 5 else "test") for k in range(8)}
    out = directory / "compare"
    out.mkdir()
    return Study(data, out, directory / "runs", split, (1,), quick=True, device="cpu")


def test_the_part_is_whole_and_not_computed_twice(study: Study) -> None:
    said: list[str] = []
    study = dataclasses.replace(study, progress=said.append)
    result = compare.run(study)
    names = [model.name for model in compare.models(quick=True)]
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


def test_a_study_without_a_test_dimer_is_refused(study: Study) -> None:
    split = {code: part for code, part in study.split.items() if part != "test"}
    with pytest.raises(InputError, match="no test complex"):
        compare.run(dataclasses.replace(study, split=split))
