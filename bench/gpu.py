"""Check and time the operator on a GPU, in at most 8 minutes: `python bench/gpu.py --out bench/gpu.json`.

Builds the package with its CUDA kernels, runs python_tests/test_cuda.py (but for what runs under a sanitizer), measures
what the device can do (copy bandwidth, rates of products in float32 and bfloat16), and times each workload by CUDA
events, ours and torch.nn.LSTM on cuDNN in turns. Prints a table: times, how many times faster ours is beside its
target, and how far it is from the workload's floor. A part that does not fit into the time that is left is skipped, and
the table says so. `--only-time` neither builds nor tests. Exits with 1 if a test failed.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import signal
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
MOST_SECONDS_OF_BUILD = 4 * 60
PASSES, CALLS = 5, 5
SHORT_CALL, CALLS_OF_SHORT = 2e-3, 50
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
    most_ms: float | None = None  # on an H200

    def __str__(self) -> str:
        kind = "training step" if self.training else "forward"
        sizes = f"L {self.layers}, H {self.units}, B {self.batch:,}, T {self.steps:,}"
        return f"{kind}, {sizes}, {str(self.dtype).removeprefix('torch.')}"

    def floor(self, bandwidth: float, rates: dict[str, float]) -> float:
        """Give the seconds that the products, or moving what goes in, comes out and is saved, take at best."""
        # In 16 bits, only wide layers multiply in their type.
        rate = rates[str(self.dtype if self.units > 32 else torch.float32)]
        size = self.dtype.itemsize
        cells = self.layers * self.steps * self.batch * self.units
        products = 2 * (2 * self.units) * 4 * cells * (3 if self.training else 1)
        moved = self.steps * self.batch * (INPUTS + self.units) * size + (2 * 6 * 4 * cells if self.training else 0)
        return max(products / rate, moved / bandwidth)


WORKLOADS = (
    Workload(60, 8, 1, 10_000, False, 50, most_ms=2),
    Workload(60, 8, 1, 40_000, False, 50, most_ms=7),
    Workload(60, 8, 27_904, 9, False, 20, most_ms=0.8),
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
    environment = {**os.environ, "RESBLOCK_CUDA": "1"}
    subprocess.run(command, check=True, env=environment, cwd=ROOT.parent, timeout=MOST_SECONDS_OF_BUILD)


def run_tests(seconds: float) -> tuple[str, bool]:
    """Run the GPU tests; give pytest's last line, and whether none failed."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "test_cuda.py", "-k", "not sanitizer"]
    environment = {**os.environ, "RESBLOCK_REQUIRE_CUDA": "1"}
    # Not in the source tree, whose package has no compiled module.
    run = subprocess.Popen(
        command, env=environment, cwd=ROOT / "python_tests", stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        said, _ = run.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(run.pid, signal.SIGKILL)  # with whatever it has started: nothing may run beside what is timed
        run.communicate()
        return "not finished in time", True
    if run.returncode:
        print(said[-5000:])
    return (said.strip().splitlines() or ["pytest said nothing"])[-1], run.returncode == 0


def seconds_of(call: Callable[[], object], calls: int = CALLS) -> float:
    """Time by CUDA events: the mean of several calls, without their start-up."""
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begin.record()
    for _ in range(calls):
        call()
    end.record()
    end.synchronize()
    return begin.elapsed_time(end) / 1e3 / calls


def device_limits() -> tuple[float, dict[str, float]]:
    """Measure bytes per second of a copy (read and written), and operations per second of products by type."""
    source = torch.empty(1 << 28, device="cuda")
    target = torch.empty_like(source)
    seconds_of(lambda: target.copy_(source))
    bandwidth = 2 * source.numel() * 4 / seconds_of(lambda: target.copy_(source))
    return bandwidth, {str(dtype): product_rate(dtype) for dtype in (torch.float32, torch.bfloat16)}


def product_rate(dtype: torch.dtype) -> float:
    """Measure operations per second of a large product, without tf32."""
    square = torch.randn(8192, 8192, device="cuda", dtype=dtype)
    seconds_of(lambda: square @ square)
    return 2 * 8192**3 / seconds_of(lambda: square @ square)


def caller(module: nn.Module, work: Workload) -> Callable[[], object]:
    """Give the call that is timed."""
    from peers import torch_call

    x = torch.randn(work.steps, work.batch, INPUTS, device="cuda", dtype=work.dtype)
    return torch_call(module.to("cuda", work.dtype), x, "training" if work.training else "inference")


def measure(work: Workload) -> dict[str, float]:
    """Time both in turns, and give the median of each."""
    from resblock import ResidualLSTM

    modules = {
        "ours": ResidualLSTM(INPUTS, work.units, work.layers, stacked=True),
        "cudnn": nn.LSTM(INPUTS, work.units, work.layers),
    }
    calls = {name: caller(module, work) for name, module in modules.items()}
    times: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        call()  # libraries and kernels are loaded
    first = {name: seconds_of(call, 1) for name, call in calls.items()}
    begin = time.monotonic()
    for k in range(PASSES):
        if k >= 2 and time.monotonic() - begin > MOST_SECONDS_EACH:
            break
        for name, call in calls.items():
            calls_of = 1 if first[name] > LONG_CALL else CALLS_OF_SHORT if first[name] < SHORT_CALL else CALLS
            times[name].append(seconds_of(call, calls_of))
    return {name: statistics.median(values) for name, values in times.items()}


def table(report: dict) -> str:
    """Lay the report out as Markdown."""
    lines = [
        f"{report['device']}: copies {report['bandwidth'] / 1e12:.2f} TB/s, "
        + "".join(
            f"{name.removeprefix('torch.')} {rate / 1e12:.1f} TFLOP/s, " for name, rate in report["rates"].items()
        )
        + f"torch {report['torch']}, cuDNN {report['cudnn']}; tests: {report['tests']}",
        "",
        "| workload | ours, ms | cuDNN, ms | times faster | target | times the floor |",
        "|---|---|---|---|---|---|",
    ]
    for entry in report["workloads"]:
        if "ours" not in entry:
            lines.append(f"| {entry['name']} | {entry['skipped']} | | | {entry['target']} | |")
            continue
        ours, cudnn = entry["ours"], entry["cudnn"]
        target = f"{entry['target']}" + (f", under {entry['most_ms']} ms on an H200" if entry["most_ms"] else "")
        numbers = f"{ours * 1e3:.2f} | {cudnn * 1e3:.2f} | {cudnn / ours:.1f} | {target}"
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

    tests, passed = "not run", True
    if not options.only_time:
        build()
        tests, passed = run_tests(left() / 2)
    bandwidth, rates = device_limits()
    report = {
        "device": torch.cuda.get_device_name(),
        "torch": torch.__version__,
        "cudnn": torch.backends.cudnn.version(),
        "tests": tests,
        "bandwidth": bandwidth,
        "rates": rates,
        "workloads": [],
    }
    for work in WORKLOADS:
        entry = {"name": str(work), "target": work.target, "most_ms": work.most_ms}
        entry["floor"] = work.floor(bandwidth, rates)
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
    if not passed:
        sys.exit(1)


if __name__ == "__main__":
    main()
