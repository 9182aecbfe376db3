"""Check and time the operator on a GPU, in at most 8 minutes: `python bench/gpu.py --out bench/gpu.json`.

Builds the package with its CUDA kernels, runs python_tests/test_cuda.py, measures what the device can do (copy
bandwidth and float32 rate), and times each workload by CUDA events, ours and torch.nn.LSTM on cuDNN in turns. Prints a
table: times, how many times faster ours is beside its target, and how far it is from the workload's floor. A part that
does not fit into the time that is left is skipped, and the table says so. `--only-time` neither builds nor tests.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

ROOT = Path(__file__).resolve().parent.parent
MOST_SECONDS = 8 * 60
PASSES, CALLS = 5, 5
LONG_CALL = 0.2  # seconds: longer ones are timed one at a time
MOST_SECONDS_EACH = 30  # for one workload, beyond two passes; cuDNN takes seconds for a call
INPUTS = 18


@dataclasses.dataclass(frozen=True)
class Workload:
    """One size to time, and how many times faster than cuDNN it should be."""

    layers: int
    units: int
    batch: int
    steps: int
    training: bool
    target: float
    dtype: torch.dtype = torch.float32

    def __str__(self) -> str:
        kind = "training step" if self.training else "forward"
        sizes = f"L {self.layers}, H {self.units}, B {self.batch:,}, T {self.steps:,}"
        return f"{kind}, {sizes}, {str(self.dtype).removeprefix('torch.')}"

    def floor(self, bandwidth: float, rate: float) -> float:
        """Give the seconds that the products, or moving what goes in, comes out and is saved, take at best."""
        cells = self.layers * self.steps * self.batch * self.units
        products = 2 * (2 * self.units) * 4 * cells * (3 if self.training else 1)
        moved = self.steps * self.batch * (INPUTS + self.units) * 4 + (2 * 6 * 4 * cells if self.training else 0)
        return max(products / rate, moved / bandwidth)


WORKLOADS = (
    Workload(60, 8, 1, 10_000, False, 50),
    Workload(60, 8, 1, 40_000, False, 50),
    Workload(60, 8, 27_904, 9, False, 20),
    Workload(60, 8, 512, 9, True, 10),
    Workload(60, 8, 8, 1_000, True, 30),
    Workload(60, 32, 64, 256, False, 5),
    Workload(60, 32, 64, 256, True, 5),
    Workload(2, 256, 64, 512, False, 0.9, torch.bfloat16),
    Workload(2, 256, 64, 512, True, 0.9, torch.bfloat16),
    Workload(2, 768, 64, 512, False, 0.9, torch.bfloat16),
    Workload(2, 768, 64, 512, True, 0.9, torch.bfloat16),
)


def build() -> None:
    """Install the package from this checkout, with its CUDA kernels."""
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-build-isolation", "--no-deps", str(ROOT)]
    subprocess.run(command, check=True, env={**os.environ, "RESBLOCK_CUDA": "1"}, cwd=ROOT.parent)


def run_tests(seconds: float) -> str:
    """Run the GPU tests and give pytest's last line."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", str(ROOT / "python_tests/test_cuda.py")]
    environment = {**os.environ, "RESBLOCK_REQUIRE_CUDA": "1"}
    try:
        done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        return "not finished in time"
    if done.returncode:
        print(done.stdout[-5000:])
    return done.stdout.strip().splitlines()[-1]


def seconds_of(call: Callable[[], object], calls: int = CALLS) -> float:
    """Time by CUDA events: the mean of several calls, without their start-up."""
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begin.record()
    for _ in range(calls):
        call()
    end.record()
    end.synchronize()
    return begin.elapsed_time(end) / 1e3 / calls


def device_limits() -> tuple[float, float]:
    """Measure bytes per second of a copy (read and written) and float32 operations per second of a product."""
    source = torch.empty(1 << 28, device="cuda")
    target = torch.empty_like(source)
    square = torch.randn(8192, 8192, device="cuda")
    for warm_up in (True, False):
        copy = seconds_of(lambda: target.copy_(source))
        product = seconds_of(lambda: square @ square)
        if not warm_up:
            return 2 * source.numel() * 4 / copy, 2 * 8192**3 / product
    raise AssertionError


def caller(module: nn.Module, work: Workload) -> Callable[[], object]:
    """Give the call that is timed."""
    from peers import torch_call

    x = torch.randn(work.steps, work.batch, INPUTS, device="cuda", dtype=work.dtype)
    return torch_call(module.to("cuda", work.dtype), x, "training" if work.training else "inference")


def measure(work: Workload) -> dict[str, float]:
    """Time both in turns, and give the median of each."""
    from resblock import ResidualLSTM

    modules = {
        "ours": ResidualLSTM(INPUTS, work.units, work.layers),
        "cudnn": nn.LSTM(INPUTS, work.units, work.layers),
    }
    calls = {name: caller(module, work) for name, module in modules.items()}
    times: dict[str, list[float]] = {name: [] for name in calls}
    warm_up = {name: seconds_of(call, 1) for name, call in calls.items()}
    begin = time.monotonic()
    for k in range(PASSES):
        if k >= 2 and time.monotonic() - begin > MOST_SECONDS_EACH:
            break
        for name, call in calls.items():
            times[name].append(seconds_of(call, 1 if warm_up[name] > LONG_CALL else CALLS))
    return {name: statistics.median(values) for name, values in times.items()}


def table(report: dict) -> str:
    """Lay the report out as Markdown."""
    lines = [
        f"{report['device']}: copies {report['bandwidth'] / 1e12:.2f} TB/s, "
        f"float32 {report['rate'] / 1e12:.1f} TFLOP/s; torch {report['torch']}; tests: {report['tests']}",
        "",
        "| workload | ours, ms | cuDNN, ms | times faster | target | times the floor |",
        "|---|---|---|---|---|---|",
    ]
    for entry in report["workloads"]:
        if "ours" not in entry:
            lines.append(f"| {entry['name']} | {entry['skipped']} | | | {entry['target']} | |")
            continue
        ours, cudnn = entry["ours"], entry["cudnn"]
        numbers = f"{ours * 1e3:.2f} | {cudnn * 1e3:.2f} | {cudnn / ours:.1f} | {entry['target']}"
        lines.append(f"| {entry['name']} | {numbers} | {ours / entry['floor']:.1f} |")
    return "\n".join(lines)


def main() -> None:
    """Do it all and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("gpu.json"))
    parser.add_argument("--only-time", action="store_true")
    options = parser.parse_args()
    begin = time.monotonic()
    if not torch.cuda.is_available():
        sys.exit(
            "bench/gpu.py: no GPU: run it on a machine with an NVIDIA GPU, a CUDA build of torch and a CUDA toolkit"
        )

    def left() -> float:
        return MOST_SECONDS - (time.monotonic() - begin)

    tests = "not run"
    if not options.only_time:
        build()
        tests = run_tests(left() / 2)
    bandwidth, rate = device_limits()
    report = {
        "device": torch.cuda.get_device_name(),
        "torch": torch.__version__,
        "tests": tests,
        "bandwidth": bandwidth,
        "rate": rate,
        "workloads": [],
    }
    for work in WORKLOADS:
        entry = {"name": str(work), "target": work.target, "floor": work.floor(bandwidth, rate)}
        if left() < MOST_SECONDS_EACH:
            entry["skipped"] = "no time left"
        else:
            try:
                entry.update(measure(work))
            except torch.OutOfMemoryError:
                entry["skipped"] = "out of memory"
        report["workloads"].append(entry)
        options.out.write_text(json.dumps(report, indent=1))
    print(table(report))


if __name__ == "__main__":
    main()
