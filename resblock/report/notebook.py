"""A prediction as a notebook shows it."""

from __future__ import annotations

from html import escape

from resblock.pairs.tables import Results
from resblock.report.tables import name
from resblock.report.words import FIRST, answer, truth


def notebook_html(results: Results) -> str:
    """Sentences and the first pairs as a piece of HTML; names from files are text."""
    sentences = "".join(f"<p>{escape(line)}</p>" for line in (*answer(results), *truth(results)))
    rows = "".join(
        f"<tr><td>{pair.rank}</td><td>{pair.score:.4f}</td><td>{escape(name(pair.receptor))}</td>"
        f"<td>{escape(name(pair.ligand))}</td></tr>"
        for pair in results.pairs[:FIRST]
    )
    heading = "<tr><th>rank</th><th>score</th><th>receptor</th><th>ligand</th></tr>"
    return f"{sentences}<table><thead>{heading}</thead><tbody>{rows}</tbody></table>"
