"""What was read, predicted and written, for programs: summary.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from resblock.files import write_text
from resblock.pairs.tables import Results, Side
from resblock.report.words import answer, truth
from resblock.structure.features import LOW_PLDDT, notes

#: Raised when the meaning of an entry changes, or one goes.
SCHEMA: Final = 1


def write_summary(path: Path, results: Results, in_pairs_csv: int) -> None:
    """Write summary.json, whose entries docs/predict.md describes.

    Parameters
    ----------
    path : Path
    results : Results
    in_pairs_csv : int
        Pairs in pairs.csv.
    """
    content: dict[str, Any] = {
        "schema": SCHEMA,
        "version": results.version,
        "command": results.command,
        "weights": results.weights,
        "answer": [*answer(results), *truth(results)],
        "marking": results.marking,
        "expectations": None if results.expectations is None else results.expectations.as_dict(),
        "receptor": _about(results.receptor),
        "ligand": _about(results.ligand),
        "pairs": {"ranked": len(results.pairs), "in_pairs_csv": in_pairs_csv},
    }
    write_text(path, json.dumps(content, indent=2) + "\n")


def _about(side: Side) -> dict[str, Any]:
    partner = side.partner
    starts = [*partner.chain_starts.tolist(), len(partner)]
    chains = [
        {"name": name, "residues": stop - start, "sequence": sequence}
        for name, sequence, start, stop in zip(partner.chains, partner.sequence, starts[:-1], starts[1:], strict=True)
    ]
    about: dict[str, Any] = {
        "source": partner.path,
        "format": partner.format,
        "read": list(partner.remarks),
        "chains": chains,
        "left_out": list(partner.left_out),
        "notes": notes(partner),
        "plddt": None,
        "marked": [f"{one.residue.chain}:{one.residue.label}" for one in side.marked],
        "patches": [
            {
                "residues": [f"{one.residue.chain}:{one.residue.label}" for one in patch.residues],
                "area": round(patch.area, 1),
                "probability": round(patch.probability, 4),
                "expected": round(patch.expected, 3),
                "goes_with": patch.goes_with,
            }
            for patch in side.patches
        ],
    }
    if partner.plddt is not None:
        low = [
            f"{residue.chain}:{residue.label}"
            for residue, plddt in zip(partner.residues, partner.plddt, strict=True)
            if plddt < LOW_PLDDT
        ]
        about["plddt"] = {"mean": round(float(partner.plddt.mean()), 2), "below_50": low}
    return about
