"""Compile CUDA sources with nvcc for sm_80, sm_90 and sm_100, warnings being errors, and refuse spilled registers.

Prints registers, stack and spilled bytes of every kernel. Exits 1 if one spills or nvcc is not content.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

FLAGS = ["-std=c++17", "-O3", "-Icsrc", "-Werror", "all-warnings", "-Xptxas", "-v", "-c"]
FLAGS += ["-gencode=arch=compute_80,code=[sm_80,sm_90,sm_100]"]  # one set of PTX for all, as csrc/build_ext.py
KERNEL = re.compile(
    r"Compiling entry function '(\w+)' for '(\w+)'\n.*\n"
    r"\s+(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads\n.*Used (\d+) registers"
)
NOISE = re.compile(r"\(anonymous namespace\)::|resblock::|cuda::|void |\(.*")


def compile_source(source: str) -> tuple[int, str]:
    """Compile one file; give nvcc's exit status and what it says."""
    with tempfile.TemporaryDirectory() as directory:
        command = ["nvcc", *FLAGS, source, "-o", f"{directory}/kernels.o"]
        done = subprocess.run(command, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def readable(names: list[str]) -> list[str]:
    """Demangle the names of kernels, where c++filt is at hand."""
    if not names or not shutil.which("c++filt"):
        return names
    done = subprocess.run(["c++filt", *names], capture_output=True, text=True, check=True)
    return [NOISE.sub("", line) for line in done.stdout.splitlines()]


def main() -> int:
    """Compile the files that the command line names; print one line per kernel."""
    failed = spilled = count = 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for source, (status, report) in zip(sys.argv[1:], pool.map(compile_source, sys.argv[1:]), strict=True):
            kernels = KERNEL.findall(report)
            names = readable([kernel[0] for kernel in kernels])
            for name, (_, arch, stack, stores, loads, registers) in zip(names, kernels, strict=True):
                spill = int(stores) + int(loads)
                where = f"{arch} {Path(source).stem}: {name}"
                print(f"{registers:>4} registers {stack:>5} bytes of stack {spill:>5} spilled  {where}")
                spilled += spill
            count += len(kernels)
            failed |= status
            if status:
                print(f"{source}: nvcc fails\n{report}", file=sys.stderr)
    return int(bool(failed or spilled or not count))


if __name__ == "__main__":
    sys.exit(main())
