"""What a prediction leaves behind: tables, scored structures, scripts that show them, and sentences."""

from resblock.report.files import write_report
from resblock.report.notebook import notebook_html
from resblock.report.page import write_page
from resblock.report.structures import structure_file_name, write_scored_structure
from resblock.report.tables import pairs_table, table
from resblock.report.viewers import write_chimerax_script, write_pymol_script
from resblock.report.words import answer, truth

__all__ = [
    "answer",
    "notebook_html",
    "pairs_table",
    "structure_file_name",
    "table",
    "truth",
    "write_chimerax_script",
    "write_page",
    "write_pymol_script",
    "write_report",
    "write_scored_structure",
]
