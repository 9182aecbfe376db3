"""All files of one prediction, in one directory."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from resblock.pairs.tables import RankedBlock, Results
from resblock.report.molviewspec import write_molviewspec
from resblock.report.parquet import write_pairs_parquet
from resblock.report.structures import structure_file_name, write_scored_structure
from resblock.report.summary import write_summary
from resblock.report.tables import table, write_csv
from resblock.report.viewers import View, write_chimerax_script, write_pymol_script

TABLES: Final = ("pairs", "residues", "patches")


def write_report(
    directory: Path,
    results: Results,
    top: int | None = None,
    *,
    all_pairs: Iterable[RankedBlock] | None = None,
    shown: int = 10,
) -> list[Path]:
    """Write the tables, both scored structures, the viewers' scripts and summary.json into a directory.

    Parameters
    ----------
    directory : Path
        An existing directory. Files are written in place: for all or nothing, give a temporary
        directory and rename it.
    results : Results
    top : int, optional
        Pairs in pairs.csv; all by default.
    all_pairs : iterable of RankedBlock, optional
        Every pair, for pairs.parquet.
    shown : int
        How many of the first pairs the viewers show.

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    ImportError
        If there are `all_pairs` and pyarrow is not installed.
    """
    receptor, ligand = results.receptor.partner, results.ligand.partner
    view = View(
        receptor=receptor,
        ligand=ligand,
        receptor_file=structure_file_name("receptor", receptor),
        ligand_file=structure_file_name("ligand", ligand),
        pairs=results.pairs[:shown],
    )
    for name in TABLES:
        write_csv(directory / f"{name}.csv", *table(results, name, top))
    if all_pairs is not None:
        write_pairs_parquet(directory / "pairs.parquet", all_pairs, receptor.residues, ligand.residues)
    for file, side in zip((view.receptor_file, view.ligand_file), results.sides, strict=True):
        write_scored_structure(directory / file, side.partner, side.probabilities)
    write_pymol_script(directory / "view.pml", view)
    write_chimerax_script(directory / "view.cxc", view)
    write_molviewspec(directory / "view.mvsj", view)
    write_summary(directory / "summary.json", results, len(results.pairs[:top]))
    return sorted(directory.iterdir())
