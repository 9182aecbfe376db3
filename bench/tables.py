"""The record as Markdown tables. Ratios are of medians of calls that took turns in one run."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Sequence

from limits import limit_seconds, multiply_add_seconds
from record import Measurement, Record
from workloads import AMID_WORK, GRID_FLOOR, KEPT_PAGES, OURS, TORCH, WORKLOADS, Participant, Size, Target, Workload

WORST = 20
#: Names of workloads and threads that the README shows.
SUMMARY = (("A-10000", 1), ("S", 2), ("R", 2), ("W-training", 2))


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Lay out a table; without rows it says that nothing was measured."""
    lines = [header, ["---"] * len(header), *rows]
    if len(lines) == 2:
        return "Not measured."
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _nanoseconds(seconds: float, size: Size) -> str:
    per_cell = seconds / size.cells * 1e9
    return f"{per_cell:,.1f}" if per_cell < 100 else f"{per_cell:,.0f}"


def _outcome(ratio: float, target: Target) -> str:
    if ratio < target.floor:
        return "floor not met"
    if target.goal is None:
        return "floor met"
    return "goal met" if ratio >= target.goal else "floor met"


#: Suites of workloads with targets, and what they measure.
TABLES = {"workloads": WORKLOADS, "pages": KEPT_PAGES, "amid": AMID_WORK}


def _measured_targets(
    record: Record, suite: str = "workloads"
) -> Iterator[tuple[Workload, Target, Measurement, Measurement]]:
    """Give every target whose two sides were measured, with ours and the peer's."""
    times = {(m.about["workload"], m.participant): m for m, _ in record.of_suite(suite)}
    for work in TABLES[suite]:
        for target in work.targets:
            ours = times.get((work.name, Participant(OURS, target.threads)))
            peer = times.get((work.name, target.peer))
            if ours and peer:
                yield work, target, ours, peer


def summary_table(record: Record) -> str:
    """How many times as fast as others, for whoever wants to know no more."""
    rows: dict[tuple[str, int], list[str]] = {}
    for work, target, ours, peer in _measured_targets(record):
        key = work.name, target.threads
        if key not in SUMMARY:
            continue
        row = rows.setdefault(key, [str(work.size), str(target.threads), f"{ours.median * 1e3:,.1f}", ""])
        row[3] += f"{', ' * bool(row[3])}{str(target.peer).replace(OURS, 'ours')} **{peer.median / ours.median:.1f}**"
    return markdown(["workload", "threads", "ms", "times as fast as"], rows.values())


def workload_table(record: Record, suite: str = "workloads") -> str:
    """Every workload and target of this suite that was measured."""
    limits = {m.about["workload"]: machine["limits"] for m, machine in record.of_suite(suite)}
    rows = [_workload_row(*measured, limits[measured[0].name]) for measured in _measured_targets(record, suite)]
    header = [
        "",
        "workload",
        "threads",
        "ours, ms",
        "ns per cell",
        "limit, ns (x)",
        "beside",
        "ratio",
        "floor",
        "goal",
        "",
    ]
    return markdown(header, rows)


def _workload_row(
    work: Workload, target: Target, ours: Measurement, peer: Measurement, limits: dict[str, float]
) -> list[str]:
    ratio = peer.median / ours.median
    limit = limit_seconds(work.size, limits, target.threads)
    return [
        work.row,
        str(work.size),
        str(target.threads),
        f"{ours.median * 1e3:,.1f}",
        _nanoseconds(ours.median, work.size),
        f"{_nanoseconds(limit, work.size)} ({ours.median / limit:.1f})",
        str(target.peer).replace(OURS, "ours"),
        f"**{ratio:.2f}**",
        f"{target.floor:g}",
        "" if target.goal is None else f"{target.goal:g}",
        _outcome(ratio, target),
    ]


def schedule_table(record: Record) -> str:
    """Each schedule's time per cell, and how many times the limit that is."""
    found = record.of_suite("schedules")
    names = list(dict.fromkeys(m.about["schedule"] for m, _ in found))
    rows = []
    for size in dict.fromkeys(m.size for m, _ in found):
        here = {m.about["schedule"]: m for m, _ in found if m.size == size}
        limits = next(machine["limits"] for m, machine in found if m.size == size)
        limit, products = limit_seconds(size, limits), multiply_add_seconds(size, limits)
        cells = [_with_distance(here[name], limit) if name in here else "" for name in names]
        rows.append([str(size), _nanoseconds(products, size), _nanoseconds(limit, size), *cells])
    return markdown(["size, 1 thread", "multiply-adds, ns", "limit, ns", *(f"{n}, ns (x limit)" for n in names)], rows)


def _with_distance(m: Measurement, limit: float) -> str:
    return f"{_nanoseconds(m.median, m.size)} ({m.median / limit:.1f})"


def grid_ratios(record: Record) -> dict[Size, tuple[float, Measurement]]:
    """Map each size of the grid to torch.nn.LSTM's time over ours, and to ours."""
    both: dict[Size, dict[str, Measurement]] = {}
    for m, _ in record.of_suite("grid"):
        both.setdefault(m.size, {})[m.participant.peer] = m
    pairs = {size: peers for size, peers in both.items() if {OURS, TORCH} <= set(peers)}
    return {size: (peers[TORCH].median / peers[OURS].median, peers[OURS]) for size, peers in pairs.items()}


def grid_table(record: Record) -> str:
    """Summary of the grid and its worst sizes."""
    ratios = grid_ratios(record)
    rows = []
    for training in (False, True):
        of_kind = [ratio for size, (ratio, _) in ratios.items() if size.training == training]
        if of_kind:
            below = sum(ratio < GRID_FLOOR for ratio in of_kind)
            kind = "training step" if training else "forward"
            ratios_of_kind = (min(of_kind), statistics.median(of_kind), max(of_kind))
            layers = ", ".join(map(str, sorted({size.layers for size in ratios if size.training == training})))
            rows.append([kind, layers, str(len(of_kind)), str(below), *(f"{ratio:.2f}" for ratio in ratios_of_kind)])
    below_name = f"below {GRID_FLOOR}"
    summary = markdown(["torch.nn.LSTM / ours, 1 thread", "L", "sizes", below_name, "least", "median", "most"], rows)
    if not rows:
        return summary
    worst = sorted(ratios.items(), key=lambda item: item[1][0])[:WORST]
    listed = [[str(size), f"{ours.median * 1e3:,.3f}", f"{ratio:.2f}"] for size, (ratio, ours) in worst]
    return summary + "\n\nThe worst:\n\n" + markdown(["size", "ours, ms", "torch.nn.LSTM / ours"], listed)
