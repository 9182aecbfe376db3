"""What every part of the study gets, and what it gives: tables, figures and a few words on them.

A part is a module with ``run(study: Study) -> Result``. It trains through `resblock.study.models.trained`, so that what
is finished and unchanged is not trained again, and writes figures with `save_figure`.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from resblock.evaluation.splits import Split, codes_of
from resblock.files import write_atomically
from resblock.pairs import Dimer, load_dimers
from resblock.structure.features import feature_names
from resblock.study.random_ranks import DRAWS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Cell = str | int | float | None

#: Pixels per inch of figures as PNG.
_RESOLUTION: Final = 150


@dataclass(frozen=True)
class Study:
    """What a part gets.

    Attributes
    ----------
    data
        Directory of prepared dimers.
    out
        The part's own directory, which exists.
    runs
        Directory of the training runs, which all parts share.
    split
        Part of every complex that the study uses.
    seeds
        Of trainings; at least one.
    quick
        Small networks, few epochs: a check that everything runs, whose figures mean nothing.
    device
        auto, cpu or cuda.
    structures
        Directory of the benchmark's files, `CODE/receptor_unbound.pdb.gz` and so on; None if there is none.
    draws
        Numbers of random orders to draw, each at least 2.
    progress
        Called with what is being done.
    """

    data: Path
    out: Path
    runs: Path
    split: Split
    seeds: tuple[int, ...]
    quick: bool = False
    device: str = "auto"
    structures: Path | None = None
    draws: tuple[int, ...] = DRAWS
    progress: Callable[[str], object] = field(default=lambda what: None)

    def dimers(self, part: str, features: str = "paper") -> list[Dimer]:
        """Prepared dimers of one part of the split, with the columns of one feature set.

        Raises
        ------
        InputError
            If one is missing or was prepared without these features.
        """
        return load_dimers(self.data, codes_of(self.split, part), feature_names(features))

    def offers(self, features: str) -> bool:
        """Whether the test dimers have the columns of a feature set."""
        first = codes_of(self.split, "test")[:1]
        return all(set(feature_names(features)) <= set(dimer.feature_names) for dimer in load_dimers(self.data, first))

    def about(self) -> str:
        """On what is measured, for notes: numbers of dimers by part, and seeds."""
        counts = ", ".join(f"{len(codes_of(self.split, part))} {part}" for part in ("train", "validation", "test"))
        seeds = ", ".join(map(str, self.seeds))
        return f"Complexes: {counts}. Seeds: {seeds}.{' Quick setting: the figures mean nothing.' * self.quick}"


@dataclass(frozen=True)
class Table:
    """Rows under named columns.

    Attributes
    ----------
    name
        Of the files, without ending.
    title
        One line.
    columns
        Headings, with units.
    rows
        As many cells as columns; None where there is nothing to say.
    note
        On what exactly it was measured.
    """

    name: str
    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[Cell, ...]]
    note: str

    def csv(self) -> str:
        """All digits, the headings first."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows(["" if cell is None else cell for cell in row] for row in self.rows)
        return text.getvalue()

    def cells(self) -> list[list[str]]:
        """Rows for a reader: four digits."""
        return [[readable(cell) for cell in row] for row in self.rows]

    def markdown(self) -> str:
        """Title, table and note."""
        lines = ["| " + " | ".join(cells) + " |" for cells in (self.columns, ["---"] * len(self.columns))]
        lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in self.cells()]
        return "\n".join([f"**{self.title}**", "", *lines, "", self.note, ""])

    def write(self, directory: Path) -> None:
        """Write NAME.csv and NAME.md."""
        for ending, content in (("csv", self.csv()), ("md", self.markdown())):
            write_text(directory / f"{self.name}.{ending}", content)


@dataclass(frozen=True)
class Result:
    """What a part found.

    Attributes
    ----------
    tables
        `reproduce` writes them.
    figures
        The SVG or PNG files to show, which the part has written into `Study.out`.
    text
        A few sentences, in Markdown: what it shows, and what was left out and why.
    complete
        False where something was left out that may be there another time: the next call does the part again.
    """

    tables: Sequence[Table] = ()
    figures: Sequence[Path] = ()
    text: str = ""
    complete: bool = True


def readable(cell: Cell) -> str:
    """A cell for a reader: four digits of a number, - for nothing."""
    if cell is None:
        return "-"
    if isinstance(cell, float):
        return f"{cell:.4g}" if abs(cell) < 1e4 else f"{cell:,.0f}"
    return f"{cell:,}" if isinstance(cell, int) else cell


@contextmanager
def style() -> Iterator[None]:
    """Draw in here: one look for all figures, and the same figure is the same file."""
    import matplotlib as mpl

    with mpl.rc_context({"svg.hashsalt": "resblock", "svg.fonttype": "none", "font.size": 8}):
        yield


def save_figure(figure: Figure, out: Path, name: str) -> Path:
    """Write NAME.svg and NAME.png, the same bytes for the same figure; gives the SVG."""
    path = out / f"{name}.svg"
    with style():
        write_atomically(path, lambda stream: figure.savefig(stream, format="svg", metadata={"Date": None}))
        png = path.with_suffix(".png")
        write_atomically(
            png,
            lambda stream: figure.savefig(stream, format="png", dpi=_RESOLUTION, metadata={"Software": None}),
        )
    return path


def write_text(path: Path, content: str) -> None:
    """Write UTF-8, all or nothing."""
    write_atomically(path, lambda stream: stream.write(content.encode()))
