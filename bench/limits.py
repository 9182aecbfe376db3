"""The least time a processor could take: multiply-adds at its peak, and the cell's equations.

    limit = multiply-adds / (peak / 2) + units x (cell_forward [+ cell_backward])

Both parts are measured (csrc/bench/machine_limits.cpp) in the run that is compared with them. Nothing is added for
loads, stores, latency and the shape of the matrices: what is above the limit is what a schedule loses to these.
"""

from __future__ import annotations

import functools
import json
import os
import platform
import subprocess
from pathlib import Path

from workloads import Size

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "bench"
SOURCE = ROOT / "csrc" / "bench" / "machine_limits.cpp"
FLAGS = ["-std=c++17", "-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-w", f"-I{ROOT / 'csrc'}"]

Limits = dict[str, float]


@functools.cache
def measured() -> Limits:
    """Compile the probe where it is older than the core, and run it."""
    program = BUILD / "machine_limits"
    newest = max(path.stat().st_mtime for path in [SOURCE, *(ROOT / "csrc" / "core").rglob("*.h")])
    if not program.exists() or program.stat().st_mtime < newest:
        BUILD.mkdir(parents=True, exist_ok=True)
        wide = ["-mprefer-vector-width=512"] if platform.machine().lower() in ("x86_64", "amd64") else []
        compiler = os.environ.get("CXX", "c++").split()
        subprocess.run([*compiler, *FLAGS, *wide, str(SOURCE), "-o", str(program)], check=True)
    found: Limits = json.loads(subprocess.run([program], check=True, capture_output=True, text=True).stdout)
    return found


def multiply_add_seconds(size: Size, limits: Limits, threads: int = 1) -> float:
    """Give the part of the limit that no other formula for the cell would change."""
    return 2e-9 * size.multiply_adds / limits["fma_gflops"] / threads


def limit_seconds(size: Size, limits: Limits, threads: int = 1) -> float:
    """Give the least seconds of a call on this many cores."""
    unit = limits["cell_forward_ns"] + (limits["cell_backward_ns"] if size.training else 0)
    return multiply_add_seconds(size, limits, threads) + 1e-9 * size.cells * size.units * unit / threads
