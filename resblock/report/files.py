"""All files of one prediction, in one directory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from resblock.pairs.tables import RankedPair
from resblock.report.structures import structure_file_name, write_scored_structure
from resblock.report.tables import write_pairs_csv
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
    shown: int = 10,
) -> list[Path]:
    """Write pairs.csv, both scored structures, view.pml and view.cxc into a directory.

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
        Best score of each residue of a partner, 0 where it is not on the surface.
    shown : int
        How many of the first pairs the viewers show.

    Returns
    -------
    list of Path
        The files written.
    """
    view = View(
        receptor=receptor,
        ligand=ligand,
        receptor_file=structure_file_name("receptor", receptor),
        ligand_file=structure_file_name("ligand", ligand),
        pairs=ranked[:shown],
    )
    paths = [directory / name for name in ("pairs.csv", view.receptor_file, view.ligand_file, "view.pml", "view.cxc")]
    table, receptor_file, ligand_file, pymol, chimerax = paths
    write_pairs_csv(table, ranked)
    write_scored_structure(receptor_file, receptor, receptor_scores)
    write_scored_structure(ligand_file, ligand, ligand_scores)
    write_pymol_script(pymol, view)
    write_chimerax_script(chimerax, view)
    return paths
