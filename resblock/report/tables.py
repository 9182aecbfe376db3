"""Pairs, residues and patches as rows, as CSV files and as a table for the terminal."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final

from rich.markup import escape
from rich.table import Table

from resblock.errors import InputError
from resblock.pairs.tables import Patch, RankedPair, Results, ScoredResidue
from resblock.structure import Residue

PAIR_COLUMNS: Final = (
    "rank",
    "score",
    "receptor_chain",
    "receptor_residue",
    "receptor_name",
    "ligand_chain",
    "ligand_residue",
    "ligand_name",
)
RESIDUE_COLUMNS: Final = (
    "partner",
    "chain",
    "residue",
    "name",
    "probability",
    "rank",
    "marked",
    "patch",
    "accessible_area",
    "best_score",
    "plddt",
    "glycan",
)
PATCH_COLUMNS: Final = ("partner", "patch", "residues", "expected", "probability", "area", "goes_with", "members")
#: Further columns where the complex is known.
PAIR_TRUTH: Final = "touches"
RESIDUE_TRUTH: Final = "in_interface"


def table(results: Results, name: str, top: int | None = None) -> tuple[tuple[str, ...], Iterator[tuple[Any, ...]]]:
    """Columns and rows of a table: ``pairs`` (the `top` ones, or all), ``residues`` or ``patches``.

    Residues are author numbers with insertion code (52A); a blank chain stays blank. What is not known is None.

    Raises
    ------
    InputError
        If there is no such table.
    """
    known = results.truth is not None
    if name == "pairs":
        return PAIR_COLUMNS + (PAIR_TRUTH,) * known, (_pair(pair, known) for pair in results.pairs[:top])
    if name == "residues":
        residues = (_residue(one, known) for side in results.sides for one in side.residues)
        return RESIDUE_COLUMNS + (RESIDUE_TRUTH,) * known, residues
    if name == "patches":
        return PATCH_COLUMNS, (_patch(patch) for side in results.sides for patch in side.patches)
    raise InputError(f"table {name!r}; choose pairs, residues or patches")


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a table; numbers have the nine digits that identify a float32, and what is not known stays empty."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([_cell(value) for value in row] for row in rows)


def pairs_table(
    ranked: Iterable[RankedPair], top: int = 10, title: str = "Residue pairs most likely to touch"
) -> Table:
    """Lay out the first `top` of the ranked pairs for the terminal."""
    shown = Table(title=title)
    shown.add_column("rank", justify="right")
    shown.add_column("score", justify="right")
    shown.add_column("receptor")
    shown.add_column("ligand")
    for pair in islice(ranked, top):
        shown.add_row(str(pair.rank), f"{pair.score:.4f}", *(escape(name(one)) for one in (pair.receptor, pair.ligand)))
    return shown


def name(residue: Residue) -> str:
    """Chain, name and number: ``A LEU 52A``."""
    return f"{residue.chain} {residue.name} {residue.label}".strip()


def _pair(pair: RankedPair, known: bool) -> tuple[Any, ...]:
    row = pair.rank, pair.score, *_cells(pair.receptor), *_cells(pair.ligand)
    return (*row, pair.touches) if known else row


def _residue(one: ScoredResidue, known: bool) -> tuple[Any, ...]:
    plddt = None if one.plddt is None else round(one.plddt, 2)
    row = (
        one.partner,
        *_cells(one.residue),
        one.probability,
        one.rank,
        one.marked,
        one.patch,
        round(one.area, 1),
        one.best_score,
        plddt,
        one.glycan,
    )
    return (*row, bool(one.in_interface)) if known else row


def _patch(patch: Patch) -> tuple[Any, ...]:
    members = " ".join(f"{one.residue.chain}:{one.residue.label}" for one in patch.residues)
    about = patch.partner, patch.rank, len(patch.residues), round(patch.expected, 2), round(patch.probability, 3)
    return (*about, round(patch.area, 1), patch.goes_with, members)


def _cells(residue: Residue) -> tuple[str, str, str]:
    return residue.chain, residue.label, residue.name


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return ""
    return f"{value:.9g}" if isinstance(value, float) else value
