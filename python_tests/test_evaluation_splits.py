"""Splits: by chance, and by lists."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resblock.errors import InputError
from resblock.evaluation.splits import (
    PARTS,
    codes_of,
    find_list,
    folds_by_cluster,
    part_of,
    random_split,
    read_folds,
    read_split,
    write_split,
)


@given(st.sets(st.text("ABC123", min_size=1), min_size=3), st.integers(0, 2**32 - 1), st.randoms())
def test_a_random_split_divides_all_codes_whatever_their_order(codes, seed, shuffler):
    codes = sorted(codes)
    split = random_split(codes, seed)
    assert sorted(split) == codes
    assert set(split.values()) == set(PARTS)
    shares = [len(codes_of(split, part)) / len(codes) for part in PARTS]
    np.testing.assert_allclose(shares, [0.6, 0.2, 0.2], atol=1.0 / len(codes))
    shuffled = list(codes)
    shuffler.shuffle(shuffled)
    assert random_split(shuffled, seed) == split


def test_too_few_to_split():
    with pytest.raises(InputError, match="2 complexes cannot be divided"):
        random_split(["A", "B"], 1)


def test_lists(tmp_path):
    path = tmp_path / "list"
    path.write_text("# of a test\n1ABC\ttrain\n\n2ABC  validation # late\n3ABC\n")
    assert read_split(path) == {"1ABC": "train", "2ABC": "validation", "3ABC": "test"}
    write_split(tmp_path / "again", read_split(path))
    assert read_split(tmp_path / "again") == read_split(path)
    assert part_of(path, "test") == ["3ABC"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1ABC trian", "line 1: '1ABC trian'; write a code and train, validation, test or nothing"),
        ("1ABC train x", "line 1"),
        ("1ABC\n1ABC", "line 2: 1ABC is already in the list"),
        ("# nothing", "lists no complex"),
    ],
)
def test_bad_lists(text, message, tmp_path):
    path = tmp_path / "list"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_split(path)


def test_parts_that_are_not_there(tmp_path):
    with pytest.raises(InputError, match="none: no such file"):
        part_of(tmp_path / "none", "test")
    with pytest.raises(InputError, match="part 'tset' is unknown"):
        part_of(find_list("paper_test"), "tset")
    with pytest.raises(InputError, match="no complex in the part train"):
        part_of(find_list("paper_test"), "train")


def test_the_included_lists_agree():
    assert part_of(find_list("included_weights"), "test") == part_of(find_list("paper_test"), "test")
    assert len(read_split(find_list("included_weights"))) == 175
    without = read_split(find_list("without_paper_test"))
    assert sorted(without) == part_of(find_list("all"), "train")
    assert codes_of(without, "test") == part_of(find_list("paper_test"), "test")
    assert len(codes_of(without, "train")) == 164


def test_a_file_goes_before_an_included_list_of_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_list("paper_test").is_file()
    assert find_list("absent") == Path("absent")
    (tmp_path / "paper_test").write_text("1ABC\n")
    assert part_of(find_list("paper_test"), "test") == ["1ABC"]


def test_a_bad_line_of_folds_is_named(tmp_path):
    (tmp_path / "folds").write_text("1ABC 1\n2ABC one\n")
    with pytest.raises(InputError, match="folds, line 2: '2ABC one'"):
        read_folds(tmp_path / "folds")


def test_folds_keep_clusters_together_and_are_of_one_size():
    clusters = {f"C{k:02d}": f"cluster {k // 3}" for k in range(36)}
    folds = folds_by_cluster(clusters, 4, seed=3)
    assert all(len({folds[code] for code in clusters if clusters[code] == name}) == 1 for name in clusters.values())
    assert [list(folds.values()).count(fold) for fold in range(4)] == [9, 9, 9, 9]
    assert folds_by_cluster(dict(reversed(clusters.items())), 4, seed=3) == folds
    assert folds_by_cluster(clusters, 4, seed=4) != folds


def test_the_folds_of_immune_complexes_are_those_of_the_collection(collection):
    index = {row["code"]: row for row in collection if row["kind"] in ("antibody", "nanobody", "tcr")}
    clusters = {code: row["cluster30"] for code, row in index.items()}
    assert read_folds(find_list("immune_folds")) == folds_by_cluster(clusters, 4, seed=11)


def test_the_final_test_is_drawn_from_the_collection(collection):
    size = Counter(row["cluster30"] for row in collection)
    drawable = [
        row["code"]
        for row in collection
        if row["kind"] == "general" and row["unbound"] == "rl" and size[row["cluster30"]] == 1
    ]
    assert len(drawable) == 155
    drawn = np.random.default_rng(19).choice(sorted(drawable), 40, replace=False)
    assert part_of(find_list("final_test"), "test") == sorted(drawn.tolist())


def test_no_immune_complex_is_in_the_final_test_or_the_benchmark():
    folds = read_folds(find_list("immune_folds"))
    assert not folds.keys() & {*read_split(find_list("final_test")), *read_split(find_list("all"))}
