"""All files of one prediction, in one directory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from resblock.pairs.tables import RankedBlock, RankedPair
from resblock.report.parquet import write_pairs_parquet
from resblock.report.structures import structure_file_name, write_scored_structure
from resblock.report.summary import write_summary
from resblock.report.tables import write_pairs_csv, write_residues_csv
from resblock.report.viewers import View, write_chimerax_script, write_pymol_script
from resblock.structure import Partner


def write_report(
    directory: Path,
    ranked: Sequence[RankedPair],
    receptor: Partner,
    ligand: Partner,
    *,
    receptor_scores: NDArray[np.floating],
    ligand_scores: NDArray[np.floating],
    total: int | None = None,
    all_pairs: Iterable[RankedBlock] | None = None,
    shown: int = 10,
) -> list[Path]:
    """Write the tables, both scored structures, the viewers' scripts and summary.json into a directory.

    Parameters
    ----------
    directory : Path
        An existing directory. Files are written in place: for all or nothing, give a temporary
        directory and rename it.
    ranked : sequence of RankedPair
        The pairs, best first; all of them go into pairs.csv.
    receptor, ligand : Partner
        The partners as read.
    receptor_scores, ligand_scores : (N,) array
        Best score of each residue of a partner, 0 where it is no candidate.
    total : int, optional
        How many pairs were ranked; by default those given.
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
    view = View(
        receptor=receptor,
        ligand=ligand,
        receptor_file=structure_file_name("receptor", receptor),
        ligand_file=structure_file_name("ligand", ligand),
        pairs=ranked[:shown],
    )
    scores = {"receptor": (receptor, receptor_scores), "ligand": (ligand, ligand_scores)}
    write_pairs_csv(directory / "pairs.csv", ranked)
    write_residues_csv(directory / "residues.csv", scores)
    if all_pairs is not None:
        write_pairs_parquet(directory / "pairs.parquet", all_pairs, receptor.residues, ligand.residues)
    write_scored_structure(directory / view.receptor_file, receptor, receptor_scores)
    write_scored_structure(directory / view.ligand_file, ligand, ligand_scores)
    write_pymol_script(directory / "view.pml", view)
    write_chimerax_script(directory / "view.cxc", view)
    pairs = {"ranked": len(ranked) if total is None else total, "in_pairs_csv": len(ranked)}
    write_summary(directory / "summary.json", receptor, ligand, pairs)
    return sorted(directory.iterdir())
