"""What a command imports, beside `import torch`: `python bench/imports.py [PASSES]`.

Each pass starts one process for each command, so that a busy machine slows all of them alike. Prints the median and the
least of processor time and of wall time, each with its ratio to that of `import torch`.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

TORCH: Final = "import torch"
IMPORTS: Final = "imports of predict"
EXAMPLE: Final = "predict --example"
COMMANDS: Final = {
    TORCH: ["-c", "import torch"],
    "resblock --help": ["-m", "resblock", "--help"],
    IMPORTS: ["-c", "import resblock.cli.predict, resblock.prediction"],
    EXAMPLE: ["-m", "resblock", "predict", "--example", "--out", "example"],
}
#: At most so many times as long as `import torch`.
LIMITS: Final = {"resblock --help": 0.3, IMPORTS: 1.2}
#: Seconds of `predict --example` beyond its imports, at most.
EXAMPLE_LIMIT: Final = 0.5


def environment(directory: Path) -> dict[str, str]:
    """Give that of an installed package: every module compiled, and no features from earlier runs."""
    path = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    cache = tempfile.mkdtemp(dir=directory)
    return {**kept, "PYTHONPATH": path, "PYTHONPYCACHEPREFIX": str(directory / "bytecode"), "RESBLOCK_CACHE": cache}


def seconds(command: list[str], directory: Path) -> tuple[float, float]:
    """Run Python with these arguments, and give its processor time and its wall time."""
    surroundings = environment(directory)
    begin = time.perf_counter()
    process = subprocess.Popen([sys.executable, *command], cwd=directory, env=surroundings, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)}: exit status {os.waitstatus_to_exitcode(status)}")
    return used.ru_utime + used.ru_stime, time.perf_counter() - begin


def main(passes: int = 9) -> None:
    """Measure and print."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in COMMANDS}
    with tempfile.TemporaryDirectory() as directory:
        for number in range(passes + 1):
            for name, command in COMMANDS.items():
                measured = seconds(command, Path(directory))
                if number:  # the first pass fills the caches of files and of compiled modules
                    times[name].append(measured)
    for kind, what in enumerate(("processor time", "wall time")):
        for of in (statistics.median, min):
            report(what, {name: of([pair[kind] for pair in pairs]) for name, pairs in times.items()}, of.__name__)


def report(what: str, found: dict[str, float], of: str) -> None:
    """Print one number of each command beside that of torch."""
    print(f"{what}, {of}")
    for name, value in found.items():
        limit = f", at most {LIMITS[name]}" if name in LIMITS else ""
        print(f"  {name}: {value:.2f} s, {value / found[TORCH]:.2f} x {TORCH}{limit}")
    print(f"  {EXAMPLE} beyond its imports: {found[EXAMPLE] - found[IMPORTS]:.2f} s, at most {EXAMPLE_LIMIT}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
