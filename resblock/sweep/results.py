"""What a search, or a part of the study, gives: tables, figures and a few words on them."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path

from resblock.files import write_text

Cell = str | int | float | None


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
    _: KW_ONLY
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
    """What was found.

    Attributes
    ----------
    tables
        Whoever asked for them writes them.
    figures
        The SVG or PNG files to show, which are written already.
    text
        A few sentences, in Markdown: what it shows, and what was left out and why.
    complete
        False where something was left out that may be there another time.
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
