"""A few of the calls of fuzz_operator.py in every run of the tests."""

import random

import fuzz_operator
import pytest
import torch
from strange_calls import STRANGE, Drawn
from wrong_calls import WRONG


def test_calls_give_what_the_reference_gives_or_are_refused(capsys):
    ends = fuzz_operator.run(400, 17)
    assert set(ends) == {"equal", "refused"}, capsys.readouterr().err
    assert ends["equal"] > 200
    assert ends["refused"] > 80


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", WRONG)
def test_each_wrong_call_is_refused(name):
    assert fuzz_operator.misused(name, random.Random(1)) == ("", "refused")


@pytest.mark.parametrize("name", STRANGE)
def test_strange_numbers(name):
    for number in range(3):
        call = Drawn.of(random.Random(number), number, small=True)
        assert fuzz_operator.strange(name, random.Random(number), call) == ("", "equal")


def test_what_goes_wrong_is_found(monkeypatch):
    """The fuzzer itself: a wrong number, a wrong gradient, a refusal of what is right, and the other way round."""
    draw = random.Random(3)
    call = next(c for c in (Drawn.of(draw, k) for k in range(50)) if c.tensors[0].numel() and all(c.wanted))
    assert fuzz_operator.compared(call) == ("", "equal")

    run = Drawn.run
    monkeypatch.setattr(Drawn, "run", lambda self, leaves: tuple(1.01 * r + 0.1 for r in run(self, leaves)))
    assert fuzz_operator.compared(call)[0] == "wrong"
    monkeypatch.setattr(Drawn, "run", lambda self, leaves: tuple(2 * r - r.detach() for r in run(self, leaves)))
    assert fuzz_operator.compared(call)[1].startswith("gradient of")
    monkeypatch.setitem(WRONG, "right", lambda draw: torch.zeros(1))
    assert fuzz_operator.misused("right", draw) == ("not refused", "right")
    monkeypatch.setitem(WRONG, "silent", lambda draw: (_ for _ in ()).throw(ValueError()))
    assert fuzz_operator.misused("silent", draw)[0] == "message"


def test_a_call_that_ends_the_process_is_named(monkeypatch, capfd):
    monkeypatch.setattr(fuzz_operator, "INSTRUCTION_SETS", ("x86-64",))
    monkeypatch.setattr(fuzz_operator.sys, "executable", "/bin/false")
    assert fuzz_operator.run(3, 5) == {"died": 3}
    assert "call 5 on x86-64: died" in capfd.readouterr().err
