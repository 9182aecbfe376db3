"""Time training and scoring beside processes that keep all processors busy, by how OpenMP's threads wait.

    python bench/busy.py                 # two busy neighbours
    python bench/busy.py --neighbours 0  # the same on an idle machine

A thread that waits for the others by spinning takes the processor from whoever it waits for. Each row is the median of
some processes, taken in turns; seconds of wall time.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Final

SETTINGS: Final[dict[str, tuple[int, dict[str, str]]]] = {
    "two threads, as they come": (2, {}),
    "two threads, OMP_WAIT_POLICY=PASSIVE": (2, {"OMP_WAIT_POLICY": "PASSIVE"}),
    "two threads, GOMP_SPINCOUNT=1000": (2, {"GOMP_SPINCOUNT": "1000"}),
    "one thread": (1, {}),
}
_OF_NETWORK: Final = 50
_OF_PAIRS: Final = 30


def work(threads: int) -> None:
    """Print the seconds of a training of the paper's network, and of a scoring of residue pairs."""
    import torch

    from resblock import ResAttnLSTM

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    network = ResAttnLSTM(stacked=True)
    optimizer = torch.optim.Adam(network.parameters())
    windows, labels = torch.randn(9, 128, 18), torch.randint(2, (128,))
    layers = [
        torch.nn.Linear(64, 64),
        torch.nn.ReLU(),
        torch.nn.Linear(64, 64),
        torch.nn.ReLU(),
        torch.nn.Linear(64, 1),
    ]
    head, pairs = torch.nn.Sequential(*layers), torch.randn(20_000, 64)

    def train() -> None:
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(network(windows), labels).backward()
        optimizer.step()

    @torch.no_grad()
    def score() -> None:
        head(pairs)

    print(seconds(train, _OF_NETWORK), seconds(score, _OF_PAIRS))


def seconds(call: Callable[[], None], times: int) -> float:
    """Time some calls, after one that is not counted."""
    call()
    start = time.perf_counter()
    for _ in range(times):
        call()
    return time.perf_counter() - start


def main() -> None:
    """Run the settings in turns and print their medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--neighbours", type=int, default=2, help="busy processes")
    parser.add_argument("--rounds", type=int, default=5, help="processes of each setting")
    parser.add_argument("--work", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        work(arguments.work)
        return
    neighbours = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(arguments.neighbours)]
    times: dict[str, list[tuple[float, ...]]] = {setting: [] for setting in SETTINGS}
    try:
        for _ in range(arguments.rounds):
            for setting, (threads, variables) in SETTINGS.items():
                call = [sys.executable, __file__, "--work", str(threads)]
                printed = subprocess.run(
                    call, env={**os.environ, **variables}, capture_output=True, text=True, check=True
                )
                times[setting].append(tuple(map(float, printed.stdout.split())))
    finally:
        for neighbour in neighbours:
            neighbour.kill()
    print(f"{arguments.neighbours} busy neighbours, {os.cpu_count()} processors: seconds of training, of scoring")
    for setting, of_setting in times.items():
        training, scoring = (statistics.median(column) for column in zip(*of_setting, strict=True))
        print(f"{setting:40} {training:7.2f} {scoring:7.2f}", flush=True)


if __name__ == "__main__":
    main()
