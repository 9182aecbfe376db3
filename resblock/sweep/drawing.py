"""One look for all figures, and files that are the same for the same figure."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from resblock.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Pixels per inch of figures as PNG.
_RESOLUTION: Final = 150


@contextmanager
def style() -> Iterator[None]:
    """Draw in here."""
    import matplotlib as mpl

    with mpl.rc_context({"svg.hashsalt": "resblock", "svg.fonttype": "none", "font.size": 8}):
        yield


def save_figure(figure: Figure, out: Path, name: str) -> Path:
    """Write NAME.svg and NAME.png, the same bytes for the same figure; gives the SVG."""
    path = out / f"{name}.svg"
    with style():
        write_atomically(path, lambda stream: figure.savefig(stream, format="svg", metadata={"Date": None}))
        write_atomically(
            path.with_suffix(".png"),
            lambda stream: figure.savefig(stream, format="png", dpi=_RESOLUTION, metadata={"Software": None}),
        )
    return path
