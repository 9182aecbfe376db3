"""The record as Markdown tables. Ratios are of medians of calls that took turns in one run."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Sequence

from limits import limit_seconds, multiply_add_seconds
from record import Measurement, Record
from workloads import (
    FORWARD_MEMORY_LIMIT,
    GRID_FLOOR,
    HALF_FLOOR,
    OURS,
    OVERHEAD_LIMIT,
    PENALTY_LIMIT,
    PIECES,
    PLAIN,
    SPLIT,
    STEP_BY_STEP,
    TORCH,
    TRAINING_MEMORY_LIMIT,
    WORKLOADS,
    Participant,
    Size,
    Target,
    Workload,
)

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


def _measured_targets(record: Record) -> Iterator[tuple[Workload, Target, Measurement, Measurement]]:
    """Give every target whose two sides were measured, with ours and the peer's."""
    times = {(m.about["workload"], m.participant): m for m, _ in record.of_suite("workloads")}
    for work in WORKLOADS:
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


def workload_table(record: Record) -> str:
    """Every workload and target that was measured."""
    limits = {m.about["workload"]: machine["limits"] for m, machine in record.of_suite("workloads")}
    rows = [_workload_row(*measured, limits[measured[0].name]) for measured in _measured_targets(record)]
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


def half_table(record: Record) -> str:
    """Speed of the half types over our float32."""
    found = [m for m, _ in record.of_suite("halves")]
    times = {(m.about["workload"], m.participant.dtype): m for m in found}
    rows = []
    for (name, dtype), m in times.items():
        if dtype != "float32" and (name, "float32") in times:
            ratio = times[name, "float32"].median / m.median
            met = "met" if ratio >= HALF_FLOOR else "not met"
            rows.append([str(m.size), dtype, f"{m.median * 1e3:,.1f}", f"{ratio:.2f}", f"{HALF_FLOOR}", met])
    return markdown(["workload, 1 thread", "type", "ms", "speed over float32", "floor", ""], rows)


def overhead_table(record: Record) -> str:
    """Microseconds of a call that computes next to nothing."""
    names = {"inference": "forward, no gradient", "graph": "forward, with a graph", "training": "forward and backward"}
    times = {(m.about["call"], m.participant.peer): m.median * 1e6 for m, _ in record.of_suite("overhead")}
    rows = []
    for call, name in names.items():
        if {(call, OURS), (call, TORCH)} <= set(times):
            ours, peer = times[call, OURS], times[call, TORCH]
            met = "met" if ours / peer <= OVERHEAD_LIMIT else "not met"
            rows.append([name, f"{ours:.1f}", f"{peer:.1f}", f"{ours / peer:.2f}", f"{OVERHEAD_LIMIT}", met])
    return markdown(["call, 1 thread", "ours, us", "torch.nn.LSTM, us", "ours / torch", "at most", ""], rows)


def penalty_table(record: Record) -> str:
    """Losses on gradients, ours beside torch's."""
    times = {(m.size, m.participant.peer): m.median for m, _ in record.of_suite("penalty")}
    rows = []
    for size in dict.fromkeys(size for size, _ in times):
        if {(size, OURS), (size, TORCH)} <= set(times):
            ours, peer = times[size, OURS], times[size, TORCH]
            met = "met" if ours / peer <= PENALTY_LIMIT else "not met"
            name = str(size).removeprefix("training step, ")
            rows.append(
                [name, f"{ours * 1e3:,.1f}", f"{peer * 1e3:,.1f}", f"{ours / peer:.2f}", f"{PENALTY_LIMIT}", met]
            )
    return markdown(["size, 1 thread", "ours, ms", "torch.nn.LSTM, ms", "ours / torch", "at most", ""], rows)


def reset_table(record: Record) -> str:
    """Sequences that begin anew within a call."""
    found = [m for m, _ in record.of_suite("resets")]
    times = {(m.size, m.about["probability"], m.participant.peer): m.median for m in found}
    peers = (PLAIN, STEP_BY_STEP, SPLIT, PIECES)
    rows = []
    for size, p in dict.fromkeys((size, p) for size, p, _ in times):
        ours = times.get((size, p, OURS))
        if ours:
            ratios = [f"{times[size, p, peer] / ours:.2f}" if (size, p, peer) in times else "" for peer in peers]
            rows.append([str(size), f"{p:g}", f"{ours * 1e3:,.2f}", *ratios])
    return markdown(["size, 1 thread", "probability", "ours, ms", *(f"{peer} / ours" for peer in peers)], rows)


def cell_table(record: Record) -> str:
    """What cell states of every step cost."""
    times = {(m.size, m.participant.peer): m.median for m, _ in record.of_suite("cells")}
    rows = []
    for size in dict.fromkeys(size for size, _ in times):
        if {(size, OURS), (size, PLAIN), (size, STEP_BY_STEP)} <= set(times):
            ours, plain, steps = (times[size, peer] for peer in (OURS, PLAIN, STEP_BY_STEP))
            rows.append([str(size), f"{ours * 1e3:,.2f}", f"{ours / plain:.2f}", f"{steps / ours:.2f}"])
    return markdown(["size, 1 thread", "ours, ms", f"ours / {PLAIN}", f"{STEP_BY_STEP} / ours"], rows)


def memory_table(record: Record) -> str:
    """MiB that a call needs beyond its input and output."""
    rows = []
    for m, _ in record.of_suite("memory"):
        mib, chunks = m.about["bytes"] / 2**20, m.about["chunks"]
        limit = TRAINING_MEMORY_LIMIT if chunks else None if m.size.training else FORWARD_MEMORY_LIMIT
        met = "" if limit is None else "met" if mib < limit else "not met"
        name = f"{m.size}, {chunks} checkpoint chunks" if chunks else str(m.size)
        saved = f"{m.about['saved_per_cell']:.1f}" if "saved_per_cell" in m.about else ""
        rows.append([name, f"{mib:.1f}", "" if limit is None else str(limit), met, saved])
    header = ["call", "MiB beyond input and output", "below", "", "values saved per cell (6H + 16 = 64 allowed)"]
    return markdown(header, rows)
