"""What a prediction leaves behind: a table, scored structures and scripts that show them."""

from resblock.report.files import write_report
from resblock.report.structures import structure_file_name, write_scored_structure
from resblock.report.tables import pairs_table, write_pairs_csv
from resblock.report.viewers import write_chimerax_script, write_pymol_script

__all__ = [
    "pairs_table",
    "structure_file_name",
    "write_chimerax_script",
    "write_pairs_csv",
    "write_pymol_script",
    "write_report",
    "write_scored_structure",
]
