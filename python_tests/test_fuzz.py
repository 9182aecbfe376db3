"""A few of the files of fuzz.py in every run of the tests."""

import itertools
import os
import time

import fuzz


def test_strange_files_are_used_or_refused(tmp_path, cache):
    ends = fuzz.run(300, 7, tmp_path / "faults")
    assert set(ends) == {"used", "refused"}, (tmp_path / "faults").exists() and [
        path.read_text() for path in (tmp_path / "faults").glob("*.txt")
    ]
    assert ends["used"] > 50
    assert ends["refused"] > 50


def test_what_goes_wrong_is_found(tmp_path, monkeypatch):
    """The fuzzer itself: a fault of each kind is seen and kept."""
    numbers = itertools.count()

    def bad(path):
        number = next(numbers)
        if number == 3:
            os._exit(3)
        return ("raised", "KeyError()") if number == 2 else ("message", "no name") if number == 1 else ("", "used")

    monkeypatch.setattr(fuzz, "fault", bad)
    assert fuzz.run(4, 1, tmp_path / "faults") == {"used": 1, "message": 1, "raised": 1, "died": 1}
    monkeypatch.setattr(fuzz, "fault", lambda path: time.sleep(60))
    monkeypatch.setattr(fuzz, "SECONDS", 0.5)
    assert fuzz.run(1, 1, tmp_path / "faults") == {"hung": 1}
    kinds = ("died", "hung", "message", "raised")
    names = {f"{kind}_1{suffix}" for kind in kinds for suffix in ("", ".txt")}
    assert {path.name for path in (tmp_path / "faults").iterdir()} == names
