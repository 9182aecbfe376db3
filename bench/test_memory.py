"""Memory of a call on a long sequence, each in a fresh process (bench/memory.py)."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest
from workloads import CHECKPOINT_CHUNKS, MEMORY_SIZE, OURS, Participant


@pytest.mark.parametrize("arguments", [["forward"], ["training"], ["training", str(CHECKPOINT_CHUNKS)]], ids="-".join)
def test_memory(benchmark, arguments: list[str]) -> None:
    found: list[dict] = []

    def measure() -> None:
        program = [sys.executable, str(Path(__file__).with_name("memory.py")), *arguments]
        found.append(json.loads(subprocess.run(program, check=True, stdout=subprocess.PIPE, text=True).stdout))

    benchmark.pedantic(measure, rounds=1)
    size = dataclasses.replace(MEMORY_SIZE, training=arguments[0] == "training")
    about = {"chunks": int(arguments[1]) if len(arguments) > 1 else 0, **found[0]}
    benchmark.extra_info.update(
        suite="memory", size=dataclasses.astuple(size), participant=dataclasses.astuple(Participant(OURS)), about=about
    )
