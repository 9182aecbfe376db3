"""Changes the kernels in many small ways, one at a time, and lists the changes that no test notices.

    python csrc/tests/mutation.py --count 120 --seed 7 --out mutants.md

A line of the cells, the schedules, the planners or the CUDA kernels is drawn by chance and one of its changes: a sign
or comparison turned, a term dropped, an index shifted, a condition or a minimum turned around, two arguments in the
other order. Changes that do not compile do not count. The tests are those of CMakeLists.txt on the narrowest vectors,
and with them the CUDA kernels on the host; planners have the tables of python_tests/test_plans.py, too. mutation.toml
beside this file lists changes that cannot be noticed, with the reason. What was found stands in a file beside the table
(.jsonl), line by line: the same command goes on where it was interrupted. The build lies in a copy of the repository.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import tomllib
from rich.progress import track

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

REPOSITORY: Final = Path(__file__).resolve().parents[2]
CORE: Final = "csrc/core/"
#: Seconds that a mutant may take to compile and to be tested: one that waits forever is noticed by that.
COMPILE, TEST = 1200, 900
#: Whose tests take long come last.
TESTS: Final = ("number|activation|dropout|plan", "cpu_by_size|cuda_serial", "cpu_.*x86-64$|cuda")

#: What a change is called, what it replaces and by what.
CHANGES: Final = (
    ("sign", r"(?<=[\w)\]] )\+(?= [\w(])", "-"),
    ("sign", r"(?<=[\w)\]] )-(?= [\w(])", "+"),
    ("sign", r"(?<=[(=,] )-(?=\w)|(?<=\()-(?=\w)", ""),
    ("sum for product", r"(?<=[\w)\]] )\*(?= [\w(])", "+"),
    ("term", r" [+-] [\w.]+(?:\[[\w ]+\])?(?=[;,)])", ""),
    ("factor", r" \* [\w.]+(?:\[[\w ]+\])?(?=[;,)])", ""),
    ("index", r"(?<=\[)(\w+)(?=\])", r"\1 + 1"),
    ("index", r" - 1(?=\])", ""),
    ("bound", r"(?<=[\w)\]] )<(?= [\w(])", "<="),
    ("bound", r"(?<=[\w)\]] )<=(?= [\w(])", "<"),
    ("bound", r"(?<=[\w)\]] )>(?= [\w(])", ">="),
    ("bound", r"(?<=[\w)\]] )>=(?= [\w(])", ">"),
    ("condition", r" && ", " || "),
    ("condition", r" \|\| ", " && "),
    ("condition", r"(?<=\()!(?=\w)", ""),
    ("condition", r"\btrue\b", "false"),
    ("condition", r"\bfalse\b", "true"),
    ("minimum", r"\bmin\b", "max"),
    ("minimum", r"\bmax\b", "min"),
    ("number", r"(?<=[ (])0(?=[;,)])", "1"),
    ("number", r"(?<=[ (])1(?=[;,)])", "2"),
    ("number", r"(?<=[ (])2(?=[;,) ])", "3"),
    ("order", r"(?<=\()(\w+), (\w+)(?=[,)])", r"\2, \1"),
    ("order", r"\? ([\w.]+) : ([\w.]+)(?=[;,)])", r"? \2 : \1"),
)
_NO_CODE: Final = re.compile(r"^\s*(//|#|template|using|static_assert|namespace|struct|class|include)|RESBLOCK_REQUIRE")


class Mutant(NamedTuple):
    """A change of one line."""

    file: str
    line: int
    kind: str
    before: str
    after: str

    def text(self) -> str:
        """The file with the change."""
        lines = (REPOSITORY / self.file).read_text().splitlines(keepends=True)
        assert lines[self.line - 1].strip() == self.before
        lines[self.line - 1] = lines[self.line - 1].replace(self.before, self.after)
        return "".join(lines)


def mutants_of(file: str) -> Iterator[Mutant]:
    """All changes of a file."""
    for number, line in enumerate((REPOSITORY / file).read_text().splitlines(), 1):
        code, text = line.partition("//")[0].rstrip(), line.strip()
        if _NO_CODE.search(line):
            continue
        for kind, pattern, replacement in CHANGES:
            for found in re.finditer(pattern, code):
                changed = code[: found.start()] + found.expand(replacement) + code[found.end() :] + line[len(code) :]
                yield Mutant(file, number, kind, text, changed.strip())


def files() -> list[str]:
    """The sources that are changed: what reads the processor and the machine is left out, and what writes nothing."""
    left_out = re.compile(
        r"isa\.|huge_pages|kernels_|_v[34]\.cpp|cuda/(device|context|launch_kernel|run)|block_cache|parallel"
    )
    listed = subprocess.run(["git", "ls-files", CORE], cwd=REPOSITORY, check=True, capture_output=True, text=True)
    return [name for name in listed.stdout.split() if not left_out.search(name)]


def sample(count: int, seed: int) -> Iterator[Mutant]:
    """Draw changes without end: first a file, by its number of changes, and each change once."""
    everything = [mutant for name in files() for mutant in mutants_of(name)]
    random.Random(seed).shuffle(everything)
    yield from everything[: 4 * count]


class Build:
    """A build in a copy of the repository, whose files are changed one at a time."""

    def __init__(self, directory: Path) -> None:
        self.source, self.core = directory / "source", directory / "core"
        listed = subprocess.run(["git", "ls-files"], cwd=REPOSITORY, check=True, capture_output=True, text=True)
        for name in listed.stdout.split():
            if name.startswith(("csrc/", "python_tests/", "resblock/")) or "/" not in name:
                (self.source / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(REPOSITORY / name, self.source / name)
        options = ["-DCMAKE_CXX_FLAGS_RELEASE=-O1", "-DRESBLOCK_WITHOUT=v3;v4"]
        self._run(["cmake", "-S", self.source, "-B", self.core, "-G", "Ninja", *options], COMPILE)
        if (said := self._compile()) or (said := self._test("core")):
            raise SystemExit(f"the code as it is: {said}")

    def outcome(self, mutant: Mutant) -> str:
        """What became of a change: "does not compile", "noticed" or "not noticed"."""
        path = self.source / mutant.file
        as_it_was = path.read_text()
        try:
            path.write_text(mutant.text())
            if self._compile():
                return "does not compile"
            return "noticed" if self._test(mutant.file) else "not noticed"
        finally:
            path.write_text(as_it_was)

    def _compile(self) -> str:
        return self._run(["cmake", "--build", self.core], COMPILE)

    def _test(self, file: str) -> str:
        for tests in TESTS:
            command = [
                "ctest",
                "--test-dir",
                self.core,
                "--stop-on-failure",
                "-j2",
                "--timeout",
                str(TEST),
                "-R",
                tests,
            ]
            if said := self._run(command, 3 * TEST):
                return said
        return self._plans() if file.endswith("cpu/plan.cpp") else ""

    def _plans(self) -> str:
        build = [sys.executable, "-c", "import setuptools; setuptools.setup()", "build_ext", "--inplace"]
        if said := self._run(build, COMPILE, cwd=self.source):
            return said
        return self._run([sys.executable, "-m", "pytest", "-qn0", "python_tests/test_plans.py"], TEST, cwd=self.source)

    def _run(self, command: Sequence[object], seconds: int, cwd: Path | None = None) -> str:
        environment = os.environ | {"RESBLOCK_CUDA": "0", "PYTHONPATH": str(self.source)}
        try:
            done = subprocess.run(
                [str(part) for part in command],
                cwd=cwd,
                env=environment,
                capture_output=True,
                text=True,
                timeout=seconds,
            )
        except subprocess.TimeoutExpired:
            return f"more than {seconds} s"
        return (done.stdout + done.stderr)[-2000:] if done.returncode else ""


def table(results: list[tuple[Mutant, str]], equal: dict[str, str]) -> str:
    """What became of the changes, by folder, and those that were not noticed."""
    counts: Counter[tuple[str, str]] = Counter()
    rest = []
    for mutant, outcome in results:
        reason = equal.get(f"{mutant.file}: {mutant.before} -> {mutant.after}", "")
        counts[str(Path(mutant.file).parent), "equal" if reason and outcome == "not noticed" else outcome] += 1
        if outcome == "not noticed":
            rest.append(
                f"| {mutant.file}:{mutant.line} | {mutant.kind} | `{mutant.before}` | `{mutant.after}` | {reason} |"
            )
    folders, ends = sorted({folder for folder, _ in counts}), ("noticed", "not noticed", "equal", "does not compile")
    rows = [f"| {folder} | " + " | ".join(str(counts[folder, end]) for end in ends) + " |" for folder in folders]
    head = ["| folder | " + " | ".join(ends) + " |", "| --- " * (len(ends) + 1) + "|"]
    lines = [
        *head,
        *rows,
        "",
        "| place | kind | before | after | why nothing could |",
        "| --- " * 5 + "|",
        *sorted(rest),
    ]
    return "\n".join(lines).replace("||", "\\|\\|") + "\n"


def main() -> None:
    """Make changes until enough of them compile, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=120, help="changes that compile")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True, help="the table")
    options = parser.parse_args()
    log = options.out.with_suffix(".jsonl")
    known = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    results = [(Mutant(*mutant), outcome) for mutant, outcome in known]
    done = {mutant for mutant, _ in results}
    equal = tomllib.loads((Path(__file__).parent / "mutation.toml").read_text())["equal"]
    with tempfile.TemporaryDirectory() as directory:
        build = Build(Path(directory))
        missing = options.count - sum(outcome != "does not compile" for _, outcome in results)
        drawn = (mutant for mutant in sample(options.count, options.seed) if mutant not in done)
        for _ in track(range(missing), "Mutants"):
            for mutant in drawn:
                outcome = build.outcome(mutant)
                results.append((mutant, outcome))
                with log.open("a") as stream:
                    stream.write(json.dumps([mutant, outcome]) + "\n")
                if outcome != "does not compile":
                    break
    options.out.write_text(table(results, equal))
    print(options.out.read_text())


if __name__ == "__main__":
    main()
