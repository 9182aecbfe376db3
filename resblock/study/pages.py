"""The index of a study, for a text editor and for a browser."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

import resblock
from resblock.study.part import Finished
from resblock.sweep.results import Table

TITLE: Final = "The study of Liu & Gong 2019, reproduced"
#: Longer tables are linked to only.
LONGEST: Final = 100
_STYLE: Final = (
    "body{font:15px/1.5 sans-serif;max-width:70em;margin:2em auto;padding:0 1em}"
    "table{border-collapse:collapse;display:block;overflow-x:auto;margin:1em 0}"
    "th,td{border:1px solid #ccc;padding:.2em .6em;text-align:right}"
    "th:first-child,td:first-child{text-align:left}"
    "caption{text-align:left;font-weight:bold}img{max-width:100%}.note{color:#555}"
)


def markdown_page(parts: Sequence[Finished]) -> str:
    """All parts in Markdown."""
    blocks = [f"# {TITLE}", _made()]
    for part in parts:
        blocks += [f"## {part.title}", f"{part.result.text}\n\n{_about(part)}"]
        blocks += [f"![{figure.stem}]({part.name}/{figure.name})" for figure in part.result.figures]
        for table in part.result.tables:
            link = f"[CSV]({part.name}/{table.name}.csv)"
            short = f"**{table.title}**: {_long(table)} {table.note}"
            blocks += [table.markdown().rstrip() if len(table.rows) <= LONGEST else short, link]
    return "\n\n".join(blocks) + "\n"


def html_page(parts: Sequence[Finished]) -> str:
    """All parts as one page."""
    blocks = [f"<h1>{escape(TITLE)}</h1>", _paragraph(_made())]
    for part in parts:
        blocks += [f"<h2>{escape(part.title)}</h2>", _paragraph(part.result.text), _paragraph(_about(part), "note")]
        for figure in part.result.figures:
            blocks.append(f'<p><img src="{escape(part.name)}/{escape(figure.name)}" alt="{escape(figure.stem)}"></p>')
        for table in part.result.tables:
            link = f'<a href="{escape(part.name)}/{escape(table.name)}.csv">CSV</a>'
            shown = (
                _table(table) if len(table.rows) <= LONGEST else f"<p><b>{escape(table.title)}</b>: {_long(table)}</p>"
            )
            blocks += [shown, f'<p class="note">{escape(table.note)} {link}</p>']
    head = f'<meta charset="utf-8"><title>{escape(TITLE)}</title><style>{_STYLE}</style>'
    return "\n".join(['<!doctype html><html lang="en"><head>', head, "</head><body>", *blocks, "</body></html>"]) + "\n"


def _made() -> str:
    return f"Written by `resblock reproduce`, version {resblock.__version__}."


def _about(part: Finished) -> str:
    commit = f", commit {part.commit}" if part.commit else ""
    made = f" Made by `{part.command}`{commit}." if part.command else ""
    return f"{part.about} Computed in {part.seconds / 60:.1f} minutes.{made}"


def _long(table: Table) -> str:
    return f"{len(table.rows):,} rows."


def _paragraph(text: str, kind: str = "text") -> str:
    return "\n".join(f'<p class="{kind}">{escape(block)}</p>' for block in text.split("\n\n") if block.strip())


def _table(table: Table) -> str:
    def row(cells: Iterable[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    rows = [row(table.columns, "th"), *(row(cells, "td") for cells in table.cells())]
    return f"<table><caption>{escape(table.title)}</caption>" + "\n".join(rows) + "</table>"
