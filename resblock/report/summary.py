"""What was read and what was written, for programs: summary.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from resblock.files import write_text
from resblock.structure import Partner
from resblock.structure.features import LOW_PLDDT, notes

#: Raised when the meaning of an entry changes, or one goes.
SCHEMA: Final = 1


def write_summary(path: Path, receptor: Partner, ligand: Partner, pairs: Mapping[str, int]) -> None:
    """Write summary.json, whose entries docs/predict.md describes.

    Parameters
    ----------
    path : Path
    receptor, ligand : Partner
        As read.
    pairs : mapping
        Entries of ``pairs``.
    """
    content = {"schema": SCHEMA, "receptor": _about(receptor), "ligand": _about(ligand), "pairs": dict(pairs)}
    write_text(path, json.dumps(content, indent=2) + "\n")


def _about(partner: Partner) -> dict[str, Any]:
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
    }
    if partner.plddt is not None:
        low = [
            f"{residue.chain}:{residue.label}"
            for residue, plddt in zip(partner.residues, partner.plddt, strict=True)
            if plddt < LOW_PLDDT
        ]
        about["plddt"] = {"mean": round(float(partner.plddt.mean()), 2), "below_50": low}
    return about
