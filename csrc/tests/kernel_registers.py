"""Read the compiler's report of one CUDA source (`nvcc -Xptxas -v`) from standard input, and refuse spilled registers.

Prints registers and stack of every kernel. Exits 1 if a kernel spills or the report names none.
"""

import re
import shutil
import subprocess
import sys


def readable(names: list[str]) -> list[str]:
    """Demangle the kernels' names where c++filt is at hand."""
    if not shutil.which("c++filt"):
        return names
    done = subprocess.run(["c++filt", *names], capture_output=True, text=True, check=True)
    without_arguments = [re.sub(r"\(anonymous namespace\)::|\(resblock::.*|resblock::|cuda::|^void ", "", line) for line in done.stdout.splitlines()]
    return without_arguments


def main() -> int:
    """Print one line per kernel."""
    report = sys.stdin.read()
    pattern = (
        r"Function properties for (\w+)\s+(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads"
        r"\s+ptxas info\s+: Used (\d+) registers"
    )
    kernels = re.findall(pattern, report)
    if not kernels:
        print(report, file=sys.stderr)
        return 1
    spilled = False
    for name, (_, stack, stores, loads, registers) in zip(readable([k[0] for k in kernels]), kernels, strict=True):
        spills = int(stores) + int(loads)
        spilled |= spills > 0
        print(f"{registers:>4} registers {stack:>5} bytes of stack {spills:>5} spilled  {name}")
    return int(spilled)


if __name__ == "__main__":
    sys.exit(main())
