"""Ranked pairs as a CSV file and as a table for the terminal."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from rich.table import Table

from resblock.pairs.tables import RankedPair
from resblock.structure import Residue

PAIR_COLUMNS = (
    "rank",
    "score",
    "receptor_chain",
    "receptor_residue",
    "receptor_name",
    "ligand_chain",
    "ligand_residue",
    "ligand_name",
)


def write_pairs_csv(path: Path, ranked: Iterable[RankedPair]) -> None:
    """Write ranked pairs to a CSV file with the columns of `PAIR_COLUMNS`.

    Residues are author numbers with insertion code (52A); a blank chain stays blank. Scores have
    the nine digits that identify a float32.
    """
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(PAIR_COLUMNS)
        writer.writerows(
            (pair.rank, f"{pair.score:.9g}", *_cells(pair.receptor), *_cells(pair.ligand)) for pair in ranked
        )


def pairs_table(ranked: Iterable[RankedPair], top: int = 10) -> Table:
    """Lay out the first `top` of the ranked pairs for the terminal."""
    table = Table(title="Residue pairs most likely to touch")
    table.add_column("rank", justify="right")
    table.add_column("score", justify="right")
    table.add_column("receptor")
    table.add_column("ligand")
    for pair in islice(ranked, top):
        table.add_row(str(pair.rank), f"{pair.score:.4f}", _readable(pair.receptor), _readable(pair.ligand))
    return table


def _cells(residue: Residue) -> tuple[str, str, str]:
    return residue.chain, residue.label, residue.name


def _readable(residue: Residue) -> str:
    return f"{residue.chain} {residue.name} {residue.label}".strip()
