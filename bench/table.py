"""Ratios of medians from a pytest-benchmark JSON file, as Markdown: `python bench/table.py bench/cpu.json`."""

from __future__ import annotations

import argparse
import json
import statistics
from collections import defaultdict
from pathlib import Path


def medians(report: dict) -> dict[tuple[str, int], dict[str, float]]:
    """Give the median seconds per peer of each (workload, threads), over all turns and rounds."""
    times: dict[tuple[str, int], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for entry in report["benchmarks"]:
        info = entry["extra_info"]
        times[info["work"], info["threads"]][info["peer"]] += entry["stats"]["data"]
    return {key: {peer: statistics.median(t) for peer, t in peers.items()} for key, peers in times.items()}


def table(report: dict) -> str:
    """Lay the medians out: ours in milliseconds and nanoseconds per cell, and how many times slower each peer is."""
    cells = {e["extra_info"]["work"]: e["extra_info"]["cells"] for e in report["benchmarks"]}
    peers = sorted({e["extra_info"]["peer"] for e in report["benchmarks"]} - {"resblock"})
    lines = [
        "| workload | threads | ours, ms | ns per cell | " + " | ".join(f"{p} / ours" for p in peers) + " |",
        "|" + "---|" * (4 + len(peers)),
    ]
    for (work, threads), times in medians(report).items():
        ours = times["resblock"]
        ratios = [f"{times[peer] / ours:.1f}" if peer in times else "" for peer in peers]
        numbers = [f"{ours * 1e3:.1f}", f"{ours / cells[work] * 1e9:.0f}", *ratios]
        lines.append(f"| {work} | {threads} | " + " | ".join(numbers) + " |")
    return "\n".join(lines)


def main() -> None:
    """Read the file named on the command line and print its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("report", type=Path)
    print(table(json.loads(parser.parse_args().report.read_text())))


if __name__ == "__main__":
    main()
