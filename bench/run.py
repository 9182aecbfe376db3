"""Measure everything, then write docs/speed.md, its plots and the tables in READMEs: `python bench/run.py`.

What was already measured with the same kernels is not measured again, so that a run can be interrupted and continued.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import limits
import page
import plots
import typer
from record import Record
from rich.console import Console
from rich.markdown import Markdown
from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from tables import schedule_table, summary_table, workload_table
from workloads import GRID_LAYERS, KEEP_PAGES, WORKLOADS

import resblock.ops

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
BUILD = ROOT / "build" / "bench"
RECORD = HERE / "results" / "cpu.json"
SUITES = (
    *("pages", "amid", "streaming", "ragged", "exported", "halves", "penalty"),
    *("resets", "cells", "overhead", "memory"),
)


@dataclasses.dataclass(frozen=True)
class Part:
    """What one run of pytest measures."""

    name: str
    suite: str
    select: str = ""

    def is_meant(self, words: set[str]) -> bool:
        """Tell whether one of the words names it: its name, suite or row."""
        return not words or bool(words & {self.name, self.suite, self.select})


def all_parts(quick: bool) -> list[Part]:
    """List the parts in the order in which they are measured."""
    parts = [Part(f"workloads {row}", "workloads", row) for row in dict.fromkeys(w.row for w in WORKLOADS)]
    for schedule in ("", *resblock.ops.schedules("cpu")):
        parts.append(Part(f"schedule {schedule or 'by size'}", "schedules", schedule))
    parts += [Part(suite, suite) for suite in SUITES]
    if quick:  # every part starts a process
        return [*parts, Part("growth", "growth"), Part("grid", "grid")]
    parts += [Part(f"growth {letter}", "growth", letter) for letter in "TLHB"]
    for layers in GRID_LAYERS:
        parts += [Part(f"grid {layers} {kind}", "grid", f"{layers} {kind}") for kind in ("forward", "training")]
    return parts


def fingerprint(options: list[str]) -> str:
    """Change with the kernels, the module around them, and how and on what they are measured."""
    files = [*(ROOT / "resblock").glob("_C.*"), *sorted((ROOT / "resblock" / "ops").glob("*.py"))]
    files.append(ROOT / "resblock" / "nn" / "lstm.py")
    files += [
        HERE / name for name in ("workloads.py", "peers.py", "jax_peer.py", "episodes.py", "ragged.py", "conftest.py")
    ]
    cores = str(len(os.sched_getaffinity(0)))
    digest = hashlib.sha256(" ".join([*options, cores, resblock.ops.instruction_set()]).encode())
    for path in files:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def measure(part: Part, options: list[str]) -> dict:
    """Run pytest-benchmark on a part, in a process of its own."""
    BUILD.mkdir(parents=True, exist_ok=True)
    report, log = BUILD / "report.json", BUILD / f"{part.name.replace(' ', '_')}.log"
    report.unlink(missing_ok=True)
    command = [
        sys.executable,
        "-m",
        "pytest",
        str(HERE / f"test_{part.suite}.py"),
        "-q",
        "-n0",
        "-p",
        "no:cacheprovider",
    ]
    command += ["--benchmark-disable-gc", "--benchmark-quiet", f"--benchmark-json={report}", f"--select={part.select}"]
    environment = os.environ | (KEEP_PAGES if part.suite == "pages" else {})
    with log.open("w") as output:
        done = subprocess.run([*command, *options], stdout=output, stderr=subprocess.STDOUT, cwd=ROOT, env=environment)
    if done.returncode not in (0, 1) or not report.exists():
        raise RuntimeError(f"{part.name} was not measured: see {log.relative_to(ROOT)}")
    if done.returncode == 1:
        Console(stderr=True).print(f"{part.name}: some sizes failed, see {log.relative_to(ROOT)}")
    found: dict = json.loads(report.read_text())
    return found


def measure_all(parts: list[Part], record: Record, path: Path, options: list[str], again: bool) -> None:
    """Measure what the record does not hold yet, and save it after each part."""
    mark = fingerprint(options)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns) as progress:
        task = progress.add_task("", total=len(parts))
        for part in parts:
            progress.update(task, description=part.name)
            if again or not record.holds(part.name, mark):
                record.add(part.name, mark, measure(part, options))
                record.write(path)
            progress.advance(task)


def main(
    only: Annotated[str, typer.Option(help="Rows and suites, e.g. A,S or grid,memory.")] = "",
    quick: Annotated[bool, typer.Option(help="A check in two minutes: nothing but build/bench is written.")] = False,
    again: Annotated[bool, typer.Option(help="Measure again what the same kernels were already measured at.")] = False,
    threads: Annotated[str, typer.Option(help="Numbers of threads, as far as there are cores.")] = "1,2",
    write_only: Annotated[bool, typer.Option(help="Measure nothing: write the pages from the record.")] = False,
) -> None:
    """Measure the CPU kernels beside their peers and write the tables and plots."""
    path = BUILD / "quick.json" if quick else RECORD
    record = Record.read(path)
    words = {word for word in only.split(",") if word}
    record.keep({part.name for part in all_parts(quick)})
    parts = [part for part in all_parts(quick) if part.is_meant(words)]
    if not parts:
        raise typer.BadParameter(f"nothing is called {only!r}")
    if not write_only:
        limits.measured()  # compiles the probe
        options = [f"--threads={threads}", *(["--quick"] if quick else [])]
        measure_all(parts, record, path, options, again)

    docs = BUILD / "docs" if quick else ROOT / "docs"
    docs.mkdir(parents=True, exist_ok=True)
    (docs / "speed.md").write_text(page.page(record))
    if record.of_suite("growth"):
        plots.growth_plots(record, docs)
    console = Console()
    console.print(Markdown(workload_table(record)))
    console.print(f"Written: {(docs / 'speed.md').relative_to(ROOT)}")
    if quick:
        return
    for path, name, table in (
        (ROOT / "README.md", "speed", f"{page.machine(record)}\n\n{summary_table(record)}"),
        (HERE / "README.md", "schedules", schedule_table(record)),
    ):
        if not page.write_table(path, name, table):
            console.print(f"{path.relative_to(ROOT)} has no <!-- {name} --> and <!-- /{name} -->: no table written")


if __name__ == "__main__":
    typer.run(main)
