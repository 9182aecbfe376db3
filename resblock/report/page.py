"""The report: one HTML page with the answer, structures, tables, the map of all pairs and the chains."""

from __future__ import annotations

import base64
import dataclasses
import json
import os
import re
import string
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from resblock.files import write_text
from resblock.pairs.tables import Results, Side
from resblock.report.tables import name
from resblock.report.viewer_js import content_hash, find_viewer, integrity, viewer_url
from resblock.report.words import FIRST, answer, truth
from resblock.structure import Partner, Residue
from resblock.structure.features import notes
from resblock.structure.write import pdb_text

SCRIPTS: Final = ("main.js", "tables.js", "map.js", "chains.js", "structures.js")
#: Pairs in the table, and cells of the map: beyond these, the best of a few pairs share a cell.
ROWS: Final = 500
CELLS: Final = 1_000_000
_LETTERS: Final = string.ascii_letters


def write_page(path: Path, results: Results, viewer_js: str | os.PathLike[str] | None = None) -> list[str]:
    """Write the report as one HTML page; gives remarks about it.

    Parameters
    ----------
    path : Path
    results : Results
    viewer_js : path, optional
        A file of 3Dmol.js to embed; without it, as `resblock.report.viewer_js.find_viewer` finds it.

    Raises
    ------
    InputError
        If that file cannot be used.
    """
    viewer, remark = find_viewer(viewer_js)
    write_text(path, page(results, viewer))
    return [remark] if remark else []


def page(results: Results, viewer: str | None) -> str:
    """The page, with the text of 3Dmol.js, or a link to it in its place."""
    source = files("resblock") / "report" / "assets"
    style = (source / "page.css").read_text(encoding="utf-8")
    script = "\n".join((source / part).read_text(encoding="utf-8") for part in SCRIPTS)
    if viewer is None:
        tag = f'<script src="{escape(viewer_url())}" integrity="{integrity()}" crossorigin="anonymous"></script>'
        origin = escape(viewer_url())
    else:
        tag, origin = f"<script>{viewer}</script>", content_hash(viewer)
    policy = (
        f"default-src 'none'; script-src {content_hash(script)} {origin}; style-src {content_hash(style)}; "
        "img-src data: blob:; worker-src blob:; base-uri 'none'; form-action 'none'"
    )
    sentences = [*answer(results), *truth(results)]
    parts = {
        "policy": policy,
        "title": escape(_title(results)),
        "style": style,
        "answer": "".join(f"<p>{escape(line)}</p>" for line in sentences),
        "how": _how(results, "" if viewer else f"linked from {viewer_url()}, which needs a connection"),
        "data": json.dumps(_data(results), separators=(",", ":")).replace("<", "\\u003c"),
        "viewer": tag,
        "script": script,
    }
    template = (source / "page.html").read_text(encoding="utf-8")
    # In one pass: what is put in may hold such marks itself.
    return re.sub(r"@(\w+)@", lambda match: parts[match[1]], template)


def _title(results: Results) -> str:
    receptor, ligand = (Path(side.partner.path).name for side in results.sides)
    return f"Where {receptor} and {ligand} touch"


def _how(results: Results, linked: str) -> str:
    read = [side.partner.contents for side in results.sides]
    remarks = [line for side in results.sides for line in notes(side.partner)] or ["none"]
    trained = f"weights {results.weights}"
    if results.trained_on:
        trained += f", trained on {results.trained_on} complexes"
    items = {
        "Score of a pair": "the probability that the two residues touch, if the two proteins bind. It is small because "
        "few pairs do: one in some 500. Read the first ten to fifty pairs, not the first.",
        "Probability of a residue": "of being in the interface, from all of its pairs. Read residues before pairs: the "
        "list knows better where a partner binds than which residue meets which.",
        "Patches": "marked residues that lie side by side on the surface; each goes with the patch of the other "
        "partner that it has most contacts with.",
        "What it does not say": "whether the two bind at all. Proteins that never meet get a list, too.",
        "Model": f"{trained}; resblock {results.version}.",
        "Command": results.command,
        "Read": "; ".join(read),
        **({"Viewer": linked} if linked else {}),
        "Notes": "; ".join(remarks),
    }
    rows = "".join(f"<dt>{escape(term)}</dt><dd>{escape(text)}</dd>" for term, text in items.items())
    return f"<dl>{rows}</dl>"


def _data(results: Results) -> dict[str, Any]:
    places = [{residue: k for k, residue in enumerate(side.partner.residues)} for side in results.sides]
    known = results.truth is not None
    pairs = [
        {
            "rank": pair.rank,
            "score": round(pair.score, 7),
            "receptor": places[0][pair.receptor],
            "ligand": places[1][pair.ligand],
            **({"touches": pair.touches} if known else {}),
        }
        for pair in results.pairs[:ROWS]
    ]
    shown = results.pairs[:FIRST]
    first = [places[0][pair.receptor] for pair in shown], [places[1][pair.ligand] for pair in shown]
    receptor, ligand = (
        _side(side, list(dict.fromkeys(of)), candidates)
        for side, of, candidates in zip(results.sides, first, results.candidates, strict=True)
    )
    return {
        "known": known,
        "total": len(results.pairs),
        "pairs": pairs,
        "map": _map(results),
        "receptor": receptor,
        "ligand": ligand,
    }


def _side(side: Side, first: list[int], candidates: NDArray[np.int64]) -> dict[str, Any]:
    partner = side.partner
    starts = np.searchsorted(partner.atom_residue, np.arange(len(partner) + 1)).tolist()
    bounds = [*partner.chain_starts.tolist(), len(partner)]
    return {
        "source": partner.contents,
        "first": first,
        "candidates": candidates.tolist(),
        "structure": pdb_text(_plain(side), 100 * side.probabilities),
        "chains": [
            {"name": chain, "start": start, "stop": stop}
            for chain, start, stop in zip(partner.chains, bounds[:-1], bounds[1:], strict=True)
        ],
        "residues": [
            {
                "name": name(one.residue),
                "label": one.residue.label,
                "probability": round(one.probability, 5),
                "rank": one.rank,
                "marked": one.marked,
                "patch": one.patch,
                "area": round(one.area, 1),
                "plddt": None if one.plddt is None else round(one.plddt, 1),
                "inside": bool(one.in_interface),
                "atoms": [starts[one.index] + 1, starts[one.index + 1] - starts[one.index]],
            }
            for one in side.residues
        ],
        "patches": [
            {
                "rank": patch.rank,
                "residues": [one.index for one in patch.residues],
                "area": round(patch.area, 1),
                "expected": round(patch.expected, 2),
                "goes_with": patch.goes_with,
            }
            for patch in side.patches
        ],
    }


def _plain(side: Side) -> Partner:
    """The partner under names and numbers that any reader takes; the page finds atoms by their serial numbers."""
    partner = side.partner
    chain_of = np.searchsorted(partner.chain_starts, np.arange(len(partner)), side="right") - 1
    residues = tuple(
        Residue(_LETTERS[chain % len(_LETTERS)], number % 9999 + 1, "", one.parent, one.parent)
        for number, (one, chain) in enumerate(zip(partner.residues, chain_of.tolist(), strict=True))
    )
    return dataclasses.replace(partner, residues=residues, coordinates=_facing(side))


def _facing(side: Side) -> NDArray[np.float64]:
    """(A, 3) coordinates turned so that the likely residues face the reader, who looks along z, and x is wide."""
    partner = side.partner
    centred = partner.coordinates - partner.coordinates.mean(axis=0)
    towards: NDArray[np.float64] = side.probabilities[partner.atom_residue] @ centred
    length = np.linalg.norm(towards)
    if length < 1e-6:
        return np.asarray(centred)
    depth = towards / length
    flat = centred - np.outer(centred @ depth, depth)
    width = np.linalg.svd(flat.T @ flat)[0][:, 0]
    return np.asarray(centred @ np.column_stack([width, np.cross(depth, width), depth]))


def _map(results: Results) -> dict[str, Any]:
    """Log-odds as 16-bit numbers between the lowest and the highest, the best of `step` by `step` pairs a cell."""
    scores = np.clip(results.scores.astype(np.float64), 1e-12, 1 - 1e-12)
    log_odds = np.log(scores) - np.log1p(-scores)
    step = int(np.ceil(np.sqrt(log_odds.size / CELLS)))
    low, high = float(log_odds.min()), float(log_odds.max())
    if step > 1:
        starts = [np.arange(0, size, step) for size in log_odds.shape]
        log_odds = np.maximum.reduceat(np.maximum.reduceat(log_odds, starts[0], axis=0), starts[1], axis=1)
    values = np.round((log_odds - low) / max(high - low, 1e-9) * 65535).astype("<u2")
    touching = [] if results.truth is None else np.unique(np.argwhere(results.truth) // step, axis=0).tolist()
    return {
        "rows": values.shape[0],
        "columns": values.shape[1],
        "step": step,
        "low": low,
        "high": high,
        "values": base64.b64encode(values.tobytes()).decode(),
        "truth": touching,
    }
