"""What a search found, as heat maps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from resblock.sweep.drawing import save_figure, style
from resblock.sweep.findings import Findings
from resblock.sweep.space import short


class _Axis(NamedTuple):
    """What stands along a side of a heat map: its name, and a label for each row or column."""

    name: str
    labels: Sequence[str]


def heat_maps(findings: Findings, out: Path) -> list[Path]:
    """Heat maps of a grid: complexes by settings and, where two fields vary, one by the other."""
    if not findings.grid or not findings.codes:
        return []
    orders = [[setting.order(code) for setting in findings.settings] for code in findings.codes]
    settings = [", ".join(map(str, setting.cell.values())) for setting in findings.settings]
    columns = _Axis(", ".join(map(short, findings.grid)), settings)
    paths = [_heat_map(orders, _Axis("", findings.codes), columns, out / "sweep_dimers")]
    if len(findings.varied) >= 2:
        first, second = findings.varied[:2]
        ranks = {(one.cell[first], one.cell[second]): one.mean_rank for one in findings.along(first, second)}
        values = [[ranks.get((row, column)) for column in findings.grid[second]] for row in findings.grid[first]]
        rows, columns = (_Axis(short(field), list(map(str, findings.grid[field]))) for field in (first, second))
        paths.append(_heat_map(values, rows, columns, out / "sweep"))
    return paths


def _heat_map(values: Sequence[Sequence[float | None]], rows: _Axis, columns: _Axis, path: Path) -> Path:
    """Draw accuracy orders; the colour is their logarithm, as one rank more matters most at the top of a list."""
    from matplotlib.colors import LogNorm
    from matplotlib.figure import Figure

    matrix: NDArray[np.float64] = np.array(values, dtype=np.float64)  # None becomes NaN
    with style():
        size = (2.5 + 0.42 * len(columns.labels), 1.5 + 0.3 * len(rows.labels))
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.add_subplot()
        image = axes.imshow(matrix, cmap="viridis_r", norm=LogNorm(), aspect="auto")
        rotation = 90 if max(map(len, columns.labels)) > 4 else 0
        axes.set_xticks(range(len(columns.labels)), columns.labels, rotation=rotation)
        axes.set_yticks(range(len(rows.labels)), rows.labels)
        axes.set_ylabel(rows.name)
        axes.set_xlabel(columns.name)
        middle = np.sqrt(np.nanmin(matrix) * np.nanmax(matrix))
        for row, column in np.argwhere(np.isfinite(matrix)):
            value = matrix[row, column]
            ink = "white" if value > middle else "black"
            number = f"{value:.2g}" if value < 100 else f"{value:.0f}"
            axes.text(column, row, number, ha="center", va="center", color=ink, fontsize=6)
        scale = figure.colorbar(image, ax=axes, label="accuracy order (per mille)").ax.yaxis
        scale.set_major_formatter("{x:g}")
        scale.set_minor_formatter("{x:g}")
    return save_figure(figure, path.parent, path.name)
