"""How cost grows: time against T, L, H and B, as SVG."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from record import Measurement, Record
from workloads import ONNX, OURS, TORCH, Size

FIELDS = {"T": "steps", "L": "layers", "H": "units", "B": "batch"}
NAMES = {"T": "time steps T", "L": "layers L", "H": "units H", "B": "sequences B"}
STYLES = {OURS: ("tab:red", "o"), TORCH: ("tab:blue", "s"), ONNX: ("tab:gray", "^")}


def growth_plots(record: Record, directory: Path) -> list[Path]:
    """Write speed_forward.svg and speed_training.svg."""
    found = [m for m, _ in record.of_suite("growth")]
    return [
        _plot([m for m in found if m.size.training == training], directory / f"speed_{name}.svg")
        for training, name in ((False, "forward"), (True, "training"))
    ]


def _plot(found: list[Measurement], path: Path) -> Path:
    # The same record gives the same file.
    with mpl.rc_context({"svg.hashsalt": "resblock", "svg.fonttype": "none", "font.size": 8}):
        figure = Figure(figsize=(9, 6), layout="constrained")
        for axes, letter in zip(figure.subplots(2, 2).flat, FIELDS, strict=True):
            _panel(axes, letter, [m for m in found if m.about["series"] == letter])
        figure.savefig(path, metadata={"Date": None})
    return path


def _panel(axes: Axes, letter: str, found: list[Measurement]) -> None:
    for peer, (colour, marker) in STYLES.items():
        points = sorted((_value(m.size, letter), m.median * 1e3) for m in found if m.participant.peer == peer)
        if points:
            axes.loglog(*zip(*points, strict=True), color=colour, marker=marker, markersize=3, label=peer)
    if found:
        fixed = [f"{other} {_value(found[0].size, other):,}" for other in FIELDS if other != letter]
        axes.set_title(", ".join(fixed))
        axes.legend(frameon=False)
    axes.set(xlabel=NAMES[letter], ylabel="ms")
    axes.grid(alpha=0.3, linewidth=0.4)


def _value(size: Size, letter: str) -> int:
    return int(getattr(size, FIELDS[letter]))
