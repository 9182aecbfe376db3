"""What is trained on, what is left out, and how often each complex is drawn."""

import dataclasses

import numpy as np
import pytest
from made_complexes import made_complex, made_model

from resblock.errors import InputError
from resblock.evaluation.splits import find_list, part_of, read_split
from resblock.models.examples import Drawing, draw_systematically
from resblock.pairs import INTERFACE, save_complex
from resblock.training.choice import Separation, chances, drawable, final_test, load_usable
from resblock.training.config import DataConfig, resolve_config
from resblock.training.data import TrainingData
from resblock.training.run import train

KEPT = "1EAY"
SMALL = (
    "model.negatives_per_complex=30",
    "model.size=8",
    "model.pair_size=8",
    "optimisation.epochs=1",
    "data.validation_pairs=40",
)
ALL = DataConfig(complexes="all", variants=True)


def complex_of(code, **given):
    return dataclasses.replace(made_complex(sum(map(ord, code)), code), **given)


def save(directory, *complexes):
    directory.mkdir(exist_ok=True)
    for complex in complexes:
        save_complex(directory / f"{complex.code}.npz", complex)
    return directory


# The final test


def test_the_final_test_is_as_it_was_drawn():
    kept = part_of(find_list("final_test"), "test")
    assert len(kept) == 40
    assert not set(kept) & set(read_split(find_list("all")))
    # Were one code exchanged, metrics of weights that were trained on it would look too good.
    assert (kept[0], kept[19], kept[39]) == ("1EAY", "3RJ3", "5CEC")
    assert sum(sum(map(ord, code)) * place for place, code in enumerate(kept)) == 212_401


def test_nothing_of_the_final_test_is_loaded(tmp_path):
    data = save(
        tmp_path / "data",
        complex_of("1ABC"),
        complex_of(KEPT),
        complex_of(f"{KEPT}.bound", origin=KEPT),
        complex_of(f"{KEPT}.r1-l2", origin=KEPT, kind=INTERFACE),
    )
    assert [one.code for one in load_usable(data, ALL)] == ["1ABC"]
    assert KEPT in final_test()


@pytest.mark.parametrize("code", [KEPT, f"{KEPT}.bound"])
def test_a_list_cannot_bring_the_final_test_into_training(code, tmp_path):
    data = save(tmp_path / "data", complex_of("1ABC"), complex_of(code, origin="" if code == KEPT else KEPT))
    (tmp_path / "split").write_text(f"1ABC train\n{code} train\n")
    with pytest.raises(InputError, match=f"{code} is in the final test"):
        train(
            data, tmp_path / "run", resolve_config("residues", None, (*SMALL, "data.variants=true")), tmp_path / "split"
        )


# Variants


@pytest.fixture
def with_variants(tmp_path):
    return save(
        tmp_path / "data",
        *(complex_of(f"D{k}") for k in range(6)),
        *(complex_of(f"D{k}.bound", origin=f"D{k}") for k in range(6)),
        complex_of("D1.x"),
        complex_of("D1.x.bound", origin="D1.x"),
    )


def test_variants_are_used_where_asked_for(with_variants):
    plain = DataConfig(complexes="all")
    assert [one.code for one in load_usable(with_variants, plain)] == ["D0", "D1", "D1.x", "D2", "D3", "D4", "D5"]
    assert [one.code for one in load_usable(with_variants, ALL, ["D1", "D2"])] == ["D1", "D1.bound", "D2", "D2.bound"]
    assert [one.code for one in load_usable(with_variants, ALL, ["D1.x"])] == ["D1.x", "D1.x.bound"]
    assert [one.code for one in load_usable(with_variants, plain, ["D1", "D2"])] == ["D1", "D2"]
    (with_variants / "D4.npz").unlink()
    assert [one.code for one in load_usable(with_variants, ALL, ["D4"])] == ["D4.bound"], "parts may stand alone"
    with pytest.raises(InputError, match="no prepared complex D9"):
        list(load_usable(with_variants, ALL, ["D9"]))


@pytest.mark.parametrize("listed", [True, False])
def test_variants_follow_their_complex_into_training_alone(listed, with_variants, tmp_path):
    (tmp_path / "split").write_text("D0 train\nD1 validation\nD2 test\nD3 train\n")
    config = resolve_config("residues", None, (*SMALL, "data.variants=true"))
    train(with_variants, tmp_path / "run", config, tmp_path / "split" if listed else None)
    split = read_split(tmp_path / "run" / "split.tsv")
    trained = {code for code, part in split.items() if part == "train"}
    if listed:
        assert split == {"D0": "train", "D0.bound": "train", "D1": "validation", "D2": "test", "D3": "train",
                         "D3.bound": "train"}  # fmt: skip
    assert all(f"{code}.bound" in trained for code in trained if not code.endswith("bound"))
    assert not any("bound" in code for code in split.keys() - trained)
    assert {code.removesuffix(".bound") for code in trained}.isdisjoint(split.keys() - trained)


# Folds


@pytest.mark.parametrize("strict", [False, True])
def test_what_is_left_out_of_a_fold(strict):
    homologues = {
        code: frozenset(others.split())
        for code, others in {
            "A": "C", "B": "", "C": "A", "OWN": "A", "FAR": "", "NEAR": "A", "OWN.r1-l2": "A", "B.r1-r2": "",
        }.items()
    }  # fmt: skip
    separation = Separation({"A": 1, "B": 2, "C": 2}, homologues, frozenset({"OWN"}), strict)
    given = {
        "A": {}, "B": {}, "C": {}, "OWN": {}, "FAR": {}, "NEAR": {},
        "A.bound": {"origin": "A"}, "C.bound": {"origin": "C"}, "OWN.copy1": {"origin": "OWN"},
        "OWN.r1-l2": {"origin": "OWN", "kind": INTERFACE}, "B.r1-r2": {"origin": "B", "kind": INTERFACE},
    }  # fmt: skip
    parts = {code: separation.part(complex_of(code, **fields), 1, ALL) for code, fields in given.items()}
    assert parts == {
        "A": "test", "B": "train", "C": None if strict else "train",
        "OWN": None if strict else "train", "FAR": "train", "NEAR": None,
        "A.bound": None, "C.bound": None if strict else "train", "OWN.copy1": None if strict else "train",
        "OWN.r1-l2": None, "B.r1-r2": "train",
    }  # fmt: skip
    few = DataConfig(complexes="all")
    assert separation.part(complex_of("B.r1-r2", origin="B", kind=INTERFACE), 1, few) is None
    assert separation.without_homologue(1, [complex_of("FAR"), complex_of("B")]) == {"A"}
    assert separation.without_homologue(1, [complex_of("C.bound", origin="C")]) == frozenset()


def test_what_is_in_no_list_of_homologues_is_not_trained_on():
    separation = Separation({"A": 1, "B": 2}, {"A": frozenset(), "B": frozenset()})
    for complex in (complex_of("NEW"), complex_of("A.r1-l2", origin="A", kind=INTERFACE)):
        with pytest.raises(InputError, match=f"{complex.code} is not in the list of homologues"):
            separation.part(complex, 2, ALL)


# Chances


def test_chances_by_cluster_and_kind():
    complexes = [
        *(complex_of(f"A{k}", kind="antibody", cluster="A0") for k in range(4)),
        complex_of("A0.bound", origin="A0", kind="antibody", cluster="A0"),
        complex_of("A0.r1-l1", origin="A0", kind=INTERFACE, cluster="A0"),
        complex_of("G"),
        complex_of("G.bound", origin="G"),
    ]
    given = DataConfig(cluster_power=0.5, kind_chances="antibody=0.2, interface=0")
    assert chances(complexes, given) == pytest.approx([0.2 * 5**-0.5] * 5 + [0.0] + [2**-0.5] * 2)
    assert chances(complexes, DataConfig(cluster_power=1.0)) == pytest.approx([0.2] * 5 + [1.0] + [0.5] * 2)
    assert chances(complexes, DataConfig()) == ()
    only = DataConfig(kind_chances="interface=0.5,*=0")
    assert [one.code for one in drawable(complexes, only)] == ["A0.r1-l1"]
    assert drawable(complexes, DataConfig()) == complexes


@pytest.mark.parametrize("text", ["antibody", "antibody=x", "antibody=2", "antibody=-0.1", "antibody=nan"])
def test_impossible_chances_are_refused(text):
    with pytest.raises(InputError, match=r"data\.kind_chances is antibody"):
        resolve_config("residues", None, (f'data.kind_chances="{text}"',))
    with pytest.raises(InputError, match=r"data\.cluster_power"):
        resolve_config("residues", None, ("data.cluster_power=-1",))


def test_every_item_is_drawn_with_its_chance_and_equally_many_each_time():
    wanted = np.array([1.0, 0.5, 0.1, 0.1, 0.3, 1.0])
    counts = np.zeros(6)
    for seed in range(3000):
        drawn = draw_systematically(wanted, np.random.default_rng(seed))
        assert len(drawn) == len(set(drawn.tolist())) == 3
        counts[drawn] += 1
    np.testing.assert_allclose(counts / 3000, wanted, atol=0.03)
    few = [draw_systematically(np.array([0.1, 0.3]), np.random.default_rng(seed)).tolist() for seed in range(2000)]
    assert {len(one) for one in few} == {1}
    assert np.mean([one == [1] for one in few]) == pytest.approx(0.75, abs=0.04)


@pytest.mark.parametrize("kind", ["residues", "windows"])
def test_an_epoch_has_the_complexes_that_are_drawn(kind):
    complexes = [made_complex(k, f"D{k}") for k in range(8)]
    model = made_model(kind, complexes[0])
    drawing = Drawing(batch_size=1 if kind == "residues" else 10_000, seed=3, chances=(1.0, *[0.25] * 4, *[1 / 3] * 3))
    examples = model.examples(complexes, drawing)
    everything = model.examples(complexes, drawing._replace(chances=()))
    sizes = []
    for epoch in range(4):
        examples.set_epoch(epoch)
        sizes.append(sum(int(batch.labels.sum()) for batch in examples))
    whole = sum(int(batch.labels.sum()) for batch in everything)
    positives = [int(one.labels().sum()) for one in complexes]
    assert whole == sum(positives)
    assert all(3 * min(positives) <= size <= 3 * max(positives) for size in sizes)
    if kind == "residues":
        assert (examples.batches, everything.batches) == (3, 8)


def test_training_data_leaves_out_what_has_no_chance():
    complexes = [dataclasses.replace(made_complex(k, f"D{k}"), kind="tcr" if k < 2 else "general") for k in range(5)]
    config = resolve_config("residues", None, (*SMALL, 'data.kind_chances="tcr=0"', "optimisation.batch_size=1"))
    data = TrainingData(made_model("residues", complexes[0]), complexes, [], config)
    assert [one.code for one in data.train] == ["D2", "D3", "D4"]
    assert data.steps_per_epoch == 3
