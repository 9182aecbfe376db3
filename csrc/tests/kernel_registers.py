"""Read what nvcc reports of CUDA sources (`-Xptxas -v`) from standard input, and refuse spilled registers.

Prints registers, stack and spilled bytes of every kernel. Exits 1 if one spills, or if there is no report.
"""

import re
import shutil
import subprocess
import sys

KERNEL = re.compile(
    r"Function properties for (\w+)\s+(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads"
    r"\s+ptxas info\s+: Used (\d+) registers"
)
NOISE = re.compile(r"\(anonymous namespace\)::|resblock::|cuda::|void |\(.*")


def readable(names: list[str]) -> list[str]:
    """Demangle the names of kernels, where c++filt is at hand."""
    if not shutil.which("c++filt"):
        return names
    done = subprocess.run(["c++filt", *names], capture_output=True, text=True, check=True)
    return [NOISE.sub("", line) for line in done.stdout.splitlines()]


def main() -> int:
    """Print one line per kernel."""
    report = sys.stdin.read()
    kernels = KERNEL.findall(report)
    if not kernels or "error" in report:
        print(report, file=sys.stderr)
        return 1
    names = readable([kernel[0] for kernel in kernels])
    for name, (_, stack, stores, loads, registers) in zip(names, kernels, strict=True):
        print(f"{registers:>4} registers {stack:>5} bytes of stack {int(stores) + int(loads):>5} spilled  {name}")
    return int(any(int(stores) + int(loads) for _, _, stores, loads, _ in kernels))


if __name__ == "__main__":
    sys.exit(main())
