"""Tasks that make complexes: the table, what is done again, and what is removed."""

from dataclasses import dataclass, replace

import pytest
from made_complexes import made_complex

from resblock.errors import InputError
from resblock.pairs import load_complex
from resblock.pairs.preparation import prepare_all, read_table


@dataclass(frozen=True)
class Made:
    """Makes as many complexes as it is told; fails behind them if it is told to."""

    name: str
    count: int = 1
    content: str = "a"
    fails: bool = False
    kind: str = "antibody"
    size: int = 1

    def key(self):
        return f"{self.name} {self.content}"

    def complexes(self):
        for k in range(self.count):
            yield replace(made_complex(k, f"{self.name}.{k}"), kind=self.kind), ("read",)
        if self.fails:
            raise InputError("a table\tand a\nline")

    def none(self):
        return "nothing to make"


def statuses(summary):
    return {entry.code: entry.status for entry in summary.complexes}


def test_the_table_has_every_complex_and_every_reason(tmp_path):
    tasks = [Made("A", 2), Made("B", 1, fails=True), Made("C", 0)]
    summary = prepare_all(tasks, tmp_path, jobs=1)
    assert statuses(summary) == {"A.0": "done", "A.1": "done", "B": "failed", "C": "empty"}
    assert sorted(path.name for path in tmp_path.glob("*.npz")) == ["A.0.npz", "A.1.npz"], "of a failure nothing stays"
    header, *rows = [line.split("\t") for line in (tmp_path / "prepared.tsv").read_text().splitlines()]
    by_code = {row[1]: dict(zip(header, row, strict=True)) for row in rows}
    assert list(by_code) == ["A.0", "A.1", "B", "C"]
    assert by_code["B"]["reason"] == "a table and a line"
    assert by_code["C"]["reason"] == "nothing to make"
    assert (by_code["A.1"]["receptor"], by_code["A.1"]["receptor_residues"], by_code["A.1"]["kind"]) == (
        "unbound", "14", "antibody",
    )  # fmt: skip
    assert load_complex(tmp_path / "A.0.npz").key == "A a"


def test_only_what_is_missing_is_done_again(tmp_path):
    tasks = [Made("A", 2), Made("B"), Made("C", 0), Made("D")]
    prepare_all(tasks, tmp_path, jobs=1)
    (tmp_path / "A.1.npz").unlink()
    (tmp_path / "D.0.npz").write_bytes(b"damaged")
    again = prepare_all(tasks, tmp_path, jobs=1)
    assert statuses(again) == {"A.0": "done", "A.1": "done", "B.0": "unchanged", "C": "empty", "D.0": "done"}
    third = prepare_all([Made("A", 2), Made("B", content="b")], tmp_path, jobs=1)
    assert statuses(third) == {"A.0": "unchanged", "A.1": "unchanged", "B.0": "done"}
    assert third.unchanged[0].contacts == again.done[0].contacts > 0
    assert {name: len(entries) for name, entries in read_table(tmp_path).items()} == {"A": 2, "B": 1, "C": 1, "D": 1}


def test_what_is_no_longer_made_is_removed(tmp_path):
    prepare_all([Made("A", 3), Made("B", 2)], tmp_path, jobs=1)
    prepare_all([Made("A", 1, content="b"), Made("B", 2, content="b", fails=True)], tmp_path, jobs=1)
    assert [path.name for path in tmp_path.glob("*.npz")] == ["A.0.npz"]


def test_a_run_that_was_killed_is_gone_on_with(tmp_path):
    prepare_all([Made("A")], tmp_path, jobs=1)

    def killed(entries, total):
        if entries[0].task == "B":
            raise KeyboardInterrupt

    tasks = [Made("A"), Made("B"), Made("C")]
    with pytest.raises(KeyboardInterrupt):
        prepare_all(tasks, tmp_path, jobs=1, progress=killed)
    with (tmp_path / "prepared.tsv").open("a") as table:
        table.write("C\tC.0\tdo")
    assert statuses(prepare_all(tasks, tmp_path, jobs=1)) == {"A.0": "unchanged", "B.0": "unchanged", "C.0": "done"}


def test_the_largest_task_comes_first_and_all_are_counted(tmp_path):
    seen = []
    tasks = [Made("A", 2), replace(Made("B"), size=5), replace(Made("C", 0), size=3)]
    prepare_all(tasks, tmp_path, jobs=1, progress=lambda entries, total: seen.append((entries[0].task, total)))
    assert seen == [("B", 3), ("C", 3), ("A", 3)]
