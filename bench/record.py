"""What was measured: pytest-benchmark's reports cut down to what the tables and plots read, one file for all parts."""

from __future__ import annotations

import dataclasses
import json
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from workloads import Participant, Size

Report = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Measurement:
    """The times of one participant at one size, over all passes."""

    suite: str
    size: Size
    participant: Participant
    about: dict[str, Any]  # what else identifies it, and what was measured besides time
    median: float
    least: float
    calls: int
    passes: list[float]  # the median of each

    @classmethod
    def from_json(cls, entry: Report) -> Measurement:
        return cls(**{**entry, "size": Size(*entry["size"]), "participant": Participant(*entry["participant"])})

    def to_json(self) -> Report:
        size, participant = dataclasses.astuple(self.size), dataclasses.astuple(self.participant)
        return {**vars(self), "size": list(size), "participant": list(participant)}


def measurements_of(report: Report) -> list[Measurement]:
    """Put the passes of a pytest-benchmark report together."""
    passes: dict[str, list[list[float]]] = {}
    for entry in report["benchmarks"]:
        passes.setdefault(json.dumps(entry["extra_info"], sort_keys=True), []).append(entry["stats"]["data"])
    found = []
    for key, turns in passes.items():
        times = [seconds for turn in turns for seconds in turn]
        timings = {
            "median": _rounded(statistics.median(times)),
            "least": _rounded(min(times)),
            "calls": len(times),
            "passes": [_rounded(statistics.median(turn)) for turn in turns],
        }
        found.append(Measurement.from_json({**json.loads(key), **timings}))
    return found


def _rounded(seconds: float) -> float:
    return float(f"{seconds:.4g}")


def machine_of(report: Report) -> Report:
    """Tell what the report was made on."""
    info = report["machine_info"]
    return {"processor": info["cpu"]["brand_raw"], "python": info["python_version"], **info["resblock"]}


class Record:
    """All parts that were measured, each with its machine and with the fingerprint of what was measured."""

    def __init__(self, parts: dict[str, Report]) -> None:
        self.parts = parts

    @classmethod
    def read(cls, path: Path) -> Record:
        return cls(json.loads(path.read_text())["parts"] if path.exists() else {})

    def write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".partial")
        temporary.write_text(json.dumps({"parts": self.parts}, separators=(",", ":")).replace("},{", "},\n{") + "\n")
        temporary.replace(path)

    def add(self, part: str, fingerprint: str, report: Report) -> None:
        """Take in a part's report, in place of an older one."""
        measurements = [m.to_json() for m in measurements_of(report)]
        machine = machine_of(report)
        self.parts[part] = {"fingerprint": fingerprint, "machine": machine, "measurements": measurements}

    def keep(self, parts: set[str]) -> None:
        """Forget every other part."""
        self.parts = {name: part for name, part in self.parts.items() if name in parts}

    def holds(self, part: str, fingerprint: str) -> bool:
        return part in self.parts and self.parts[part]["fingerprint"] == fingerprint

    def of_suite(self, suite: str) -> list[tuple[Measurement, Report]]:
        """Give a suite's measurements, each with the machine of its part."""
        return [(m, machine) for m, machine in self._all() if m.suite == suite]

    @property
    def builds(self) -> dict[str, list[str]]:
        """The parts by what they measured, which is one thing after a whole run."""
        found: dict[str, list[str]] = {}
        for name, part in self.parts.items():
            found.setdefault(part["fingerprint"], []).append(name)
        return found

    @property
    def machines(self) -> list[Report]:
        return [part["machine"] for part in self.parts.values()]

    def _all(self) -> Iterator[tuple[Measurement, Report]]:
        for part in self.parts.values():
            for entry in part["measurements"]:
                yield Measurement.from_json(entry), part["machine"]
