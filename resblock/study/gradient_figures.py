"""Figures of gradient norms by layer, and of training curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from resblock.study.gradient_norms import CURVE_STEPS, SMALLEST, Trained

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_norms(norms: Mapping[tuple[int, bool, bool], NDArray[np.float64]], title: str) -> Figure:
    """Norms of the layers, by depth, shortcuts and peepholes, down to `SMALLEST`."""
    depths = sorted({depth for depth, _, _ in norms})
    figure, panels = _panels()
    for (depth, shortcuts, peepholes), layers in norms.items():
        place = np.linspace(0, 1, len(layers))
        shown = np.where(layers > 0, layers, np.nan)
        axes = panels[shortcuts, peepholes]
        axes.plot(place, shown, marker=".", markersize=3, color=_colour(depth, depths), label=str(depth))
        axes.set(yscale="log", xlabel="place in the stack, 0 the first layer, 1 the last", ylabel="gradient norm")
    smallest = min(layers.min() for layers in norms.values())
    if smallest < SMALLEST:
        panels[True, True].set_ylim(bottom=SMALLEST)
    panels[True, True].legend(title="layers")
    figure.suptitle(f"Gradient norm of every layer {title}")
    return figure


def draw_curves(found: Sequence[Trained], blind: float) -> Figure:
    """Loss by step, a thin line for each seed; dotted, the loss of a network that sees nothing."""
    depths = sorted({one.depth for one in found})
    figure, panels = _panels()
    labelled = set()
    for one in found:
        steps = CURVE_STEPS * (np.arange(len(one.losses)) + 0.5)
        label = str(one.depth) if (one.shortcuts, one.peepholes, one.depth) not in labelled else "_"
        labelled.add((one.shortcuts, one.peepholes, one.depth))
        axes = panels[one.shortcuts, one.peepholes]
        axes.plot(steps, one.losses, linewidth=0.8, color=_colour(one.depth, depths), label=label)
        axes.set(xlabel="step", ylabel="cross-entropy")
    for axes in panels.values():
        axes.axhline(blind, color="black", linestyle=":")
    panels[True, True].legend(title="layers")
    figure.suptitle(f"Training curves, means of {CURVE_STEPS} steps; dotted: every pair has the share of positives")
    return figure


def _panels() -> tuple[Figure, dict[tuple[bool, bool], Axes]]:
    figure = Figure(figsize=(8, 6), layout="constrained")
    grid = figure.subplots(2, 2, sharex=True, sharey=True)
    panels = {}
    for row, shortcuts in enumerate((True, False)):
        for column, peepholes in enumerate((True, False)):
            axes = panels[shortcuts, peepholes] = grid[row, column]
            said = ["with" if option else "without" for option in (shortcuts, peepholes)]
            axes.set_title(f"{said[0]} shortcuts, {said[1]} peepholes")
    return figure, panels


def _colour(depth: int, depths: Sequence[int]) -> Any:
    return mpl.colormaps["viridis"](depths.index(depth) / max(len(depths), 2))
