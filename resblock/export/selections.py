"""Selections for PyMOL and ChimeraX, and plain lists of residues, all under the author's names and numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby
from typing import Final

from resblock.errors import InputError
from resblock.export.given import likeliest
from resblock.export.options import Options
from resblock.pairs.tables import Results, Side
from resblock.structure import Residue

#: Chains and labels that a command line of either program takes as they are.
_PLAIN: Final = re.compile(r"[A-Za-z0-9]*/-?[0-9]+[A-Za-z]?")


def pymol(results: Results, options: Options) -> dict[str, str]:
    """One selection for each partner, of any object that has its chains."""
    lines = []
    for side in results.sides:
        parts = []
        for chain, residues in _by_chain(side, options):
            numbers = "+".join(one.label.replace("-", "\\-") for one in residues)
            parts.append(f'(chain "{chain}" and resi {numbers})')
        lines.append(f"select {side.role}_marked, {' or '.join(parts)}")
    return {"selections.pml": "\n".join(lines) + "\n"}


def chimerax(results: Results, options: Options) -> dict[str, str]:
    """One name for each partner, of any model that has its chains."""
    lines = []
    for side in results.sides:
        parts = []
        for chain, residues in _by_chain(side, options):
            if not chain:
                raise InputError(
                    f"{side.partner.path}: a chain without a name cannot be selected in ChimeraX; name the chain, or "
                    "open view.cxc of the prediction"
                )
            parts.append(f"/{chain}:{','.join(one.label for one in residues)}")
        lines.append(f"name {side.role}_marked {' | '.join(parts)}")
    return {"selections.cxc": "\n".join(lines) + "\n"}


def residues(results: Results, options: Options) -> dict[str, str]:
    """Lists to paste: in one line, and one residue a line with its probability, the likeliest first."""
    files = {}
    for side in results.sides:
        found = likeliest(side, options.top)
        line = ",".join(f"{one.residue.chain}:{one.residue.label}" for one in found)
        rows = [f"{one.residue.chain}:{one.residue.label} {one.residue.name} {one.probability:.3f}" for one in found]
        files[f"{side.role}.txt"] = "\n".join([line, "", *rows]) + "\n"
    return files


def _by_chain(side: Side, options: Options) -> list[tuple[str, Sequence[Residue]]]:
    found = sorted(likeliest(side, options.top), key=lambda one: one.index)
    for one in found:
        if not _PLAIN.fullmatch(f"{one.residue.chain}/{one.residue.label}"):
            raise InputError(
                f"{side.partner.path}: {one.residue} has a name that a selection cannot hold; rename the chain"
            )
    return [(chain, [one.residue for one in of]) for chain, of in groupby(found, key=lambda one: one.residue.chain)]
