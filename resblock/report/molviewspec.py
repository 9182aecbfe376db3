"""The first pairs in Mol*: view.mvsj, a scene in MolViewSpec.

Format: https://molstar.org/mol-view-spec-docs/
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from resblock.files import write_text
from resblock.pairs.tables import RankedPair
from resblock.report.viewers import LIGAND_COLOUR, RECEPTOR_COLOUR, View
from resblock.structure import Residue

_VERSION: Final = "1.4"
#: The format wants a time; the same prediction is to give the same file.
_TIME: Final = "1970-01-01T00:00:00+00:00"


def write_molviewspec(path: Path, view: View) -> None:
    """Write a scene with both structures side by side, the residues of the shown pairs as sticks with labels."""
    files = {"receptor": view.receptor_file, "ligand": view.ligand_file}
    children = [
        _structure(view, role, file, [0.0, 0.0, 0.0] if role == "receptor" else view.shift().tolist())
        for role, file in files.items()
    ]
    canvas = {"kind": "canvas", "params": {"background_color": "#ffffff"}}
    scene = {
        "kind": "single",
        "root": {"kind": "root", "children": [*children, canvas]},
        "metadata": {"version": _VERSION, "timestamp": _TIME, "title": "Residue pairs predicted to touch"},
    }
    write_text(path, json.dumps(scene, indent=1) + "\n")


def _structure(view: View, role: str, file: str, shift: list[float]) -> dict[str, Any]:
    colour = RECEPTOR_COLOUR if role == "receptor" else LIGAND_COLOUR
    shown: dict[Residue, list[int]] = {}
    for pair in view.pairs:
        shown.setdefault(_of(pair, role), []).append(pair.rank)
    children = [
        {"kind": "transform", "params": {"translation": shift}},
        _component("polymer", [_representation("cartoon", f"#{colour}")]),
    ]
    for residue, ranks in shown.items():
        text = f"{residue.name} {residue.label} ({', '.join(map(str, ranks))})"
        parts = [
            _representation("ball_and_stick", f"#{view.colour(ranks[0])}"),
            {"kind": "label", "params": {"text": text}},
        ]
        children.append(_component(_selector(residue), parts))
    structure = {"kind": "structure", "params": {"type": "model"}, "children": children}
    kind = "mmcif" if file.endswith(".cif") else "pdb"
    parsed = {"kind": "parse", "params": {"format": kind}, "children": [structure]}
    return {"kind": "download", "params": {"url": file}, "children": [parsed]}


def _of(pair: RankedPair, role: str) -> Residue:
    return pair.receptor if role == "receptor" else pair.ligand


def _selector(residue: Residue) -> dict[str, Any]:
    """A residue by the author's names."""
    selector: dict[str, Any] = {"auth_asym_id": residue.chain, "auth_seq_id": residue.number}
    if residue.insertion_code:
        selector["pdbx_PDB_ins_code"] = residue.insertion_code
    return selector


def _component(selector: Any, children: list[dict[str, Any]]) -> dict[str, Any]:
    return {"kind": "component", "params": {"selector": selector}, "children": children}


def _representation(kind: str, colour: str) -> dict[str, Any]:
    return {
        "kind": "representation",
        "params": {"type": kind},
        "children": [{"kind": "color", "params": {"color": colour}}],
    }
