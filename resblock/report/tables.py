"""Ranked pairs as a CSV file and as a table for the terminal."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.markup import escape
from rich.table import Table

from resblock.pairs.tables import RankedPair
from resblock.structure import Partner, Residue

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


RESIDUE_COLUMNS = ("partner", "chain", "residue", "name", "best_score", "plddt")


def write_residues_csv(path: Path, partners: Mapping[str, tuple[Partner, NDArray[np.floating]]]) -> None:
    """Write every residue with its best score to a CSV file with the columns of `RESIDUE_COLUMNS`.

    Parameters
    ----------
    path : Path
    partners : mapping
        By role, a partner of N residues and the (N,) best scores of these, 0 where a residue is no candidate. The
        column ``plddt`` stays empty where the file is no prediction.
    """
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(RESIDUE_COLUMNS)
        for role, (partner, scores) in partners.items():
            confidence = [""] * len(partner) if partner.plddt is None else [f"{x:.2f}" for x in partner.plddt]
            writer.writerows(
                (role, *_cells(residue), f"{score:.9g}", plddt)
                for residue, score, plddt in zip(partner.residues, scores, confidence, strict=True)
            )


def pairs_table(ranked: Iterable[RankedPair], top: int = 10) -> Table:
    """Lay out the first `top` of the ranked pairs for the terminal."""
    table = Table(title="Residue pairs most likely to touch")
    table.add_column("rank", justify="right")
    table.add_column("score", justify="right")
    table.add_column("receptor")
    table.add_column("ligand")
    for pair in islice(ranked, top):
        table.add_row(str(pair.rank), f"{pair.score:.4f}", *map(_shown, (pair.receptor, pair.ligand)))
    return table


def _cells(residue: Residue) -> tuple[str, str, str]:
    return residue.chain, residue.label, residue.name


def _shown(residue: Residue) -> str:
    return escape(f"{residue.chain} {residue.name} {residue.label}".strip())
