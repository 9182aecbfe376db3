"""Tables of the suites that compare ways of one call: half types, lengths, streaming, export, and others."""

from __future__ import annotations

from record import Record
from tables import markdown
from workloads import (
    EXPORT_LIMIT,
    EXPORTED,
    FORWARD_MEMORY_LIMIT,
    FULL,
    HALF_FLOOR,
    JAX,
    LENGTHS,
    ONNX,
    OURS,
    OUTLIER,
    OVERHEAD_LIMIT,
    PENALTY_LIMIT,
    PIECES,
    PLAIN,
    RAGGED_LIMIT,
    SPLIT,
    STEP_BY_STEP,
    TORCH,
    TRAINING_MEMORY_LIMIT,
)


def half_table(record: Record) -> str:
    """Speed of the half types over our float32, and over torch.nn.LSTM in the same type where that was measured."""
    found = [m for m, _ in record.of_suite("halves")]
    times = {(m.about["workload"], m.participant.peer, m.participant.dtype): m for m in found}
    rows = []
    for (name, peer, dtype), m in times.items():
        if peer != OURS or dtype == "float32" or (name, OURS, "float32") not in times:
            continue
        ratio = times[name, OURS, "float32"].median / m.median
        met = "met" if ratio >= HALF_FLOOR else "not met"
        theirs = times.get((name, TORCH, dtype))
        beside = f"{theirs.median / m.median:.2f}" if theirs else ""
        rows.append([str(m.size), dtype, f"{m.median * 1e3:,.1f}", f"{ratio:.2f}", f"{HALF_FLOOR}", met, beside])
    header = ["workload, 1 thread", "type", "ms", "speed over float32", "floor", "", "torch.nn.LSTM in it / ours"]
    return markdown(header, rows)


def streaming_table(record: Record) -> str:
    """Microseconds of a step of one sequence, and the others' over them."""
    times = {(m.size, m.participant.peer): m.median for m, _ in record.of_suite("streaming")}
    rows = []
    for size in dict.fromkeys(size for size, _ in times):
        ours = times.get((size, OURS))
        if ours:
            ratios = [f"{times[size, peer] / ours:.2f}" if (size, peer) in times else "" for peer in (ONNX, JAX, TORCH)]
            rows.append([f"L {size.layers}, H {size.units}", f"{ours * 1e6:,.1f}", *ratios])
    return markdown(["size, 1 thread", "ours, us", *(f"{peer} / ours" for peer in (ONNX, JAX, TORCH))], rows)


def ragged_table(record: Record) -> str:
    """Batches of sequences of unequal lengths."""
    found = [m for m, _ in record.of_suite("ragged")]
    times = {(m.size, m.about["fill"], m.participant.peer): m.median for m in found}
    rows = []
    for size, fill in dict.fromkeys((size, fill) for size, fill, _ in times):
        packed, given, full, theirs = (times.get((size, fill, peer)) for peer in (OURS, LENGTHS, FULL, TORCH))
        if not (packed and given and theirs):
            continue
        name = f"{size}; one sequence, others 20 steps" if size == OUTLIER else str(size)
        of_full, most = "", ""
        if full:
            factor, share = RAGGED_LIMIT
            of_full, most = f"{given / full:.2f}", f"{factor * fill + share:.2f}"
        met = "met" if theirs >= max(packed, given) and (not full or given <= float(most) * full) else "not met"
        ratios = (theirs / given, theirs / packed)
        rows.append(
            [name, f"{fill:g}", f"{given * 1e3:,.1f}", of_full, most, *(f"{ratio:.2f}" for ratio in ratios), met]
        )
    header = ["size, 1 thread", "filled", "with lengths, ms", "/ full batch", "at most"]
    return markdown([*header, "torch.nn.LSTM packed / ours", "/ ours packed", ""], rows)


def export_table(record: Record) -> str:
    """Exported programs beside their modules."""
    times = {(m.size, m.participant.peer): m.median for m, _ in record.of_suite("exported")}
    rows = []
    for size in dict.fromkeys(size for size, _ in times):
        if {(size, OURS), (size, EXPORTED)} <= set(times):
            ours, exported = times[size, OURS], times[size, EXPORTED]
            met = "met" if exported / ours <= EXPORT_LIMIT else "not met"
            numbers = f"{ours * 1e3:,.2f}", f"{exported * 1e3:,.2f}", f"{exported / ours:.2f}", f"{EXPORT_LIMIT}"
            rows.append([str(size), *numbers, met])
    return markdown(["size, 1 thread", "module, ms", "exported, ms", "exported / module", "at most", ""], rows)


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
