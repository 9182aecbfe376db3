"""Hotspots for programs that design binders: RFdiffusion, BindCraft, BoltzGen."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from itertools import groupby
from typing import Final

from resblock.errors import InputError
from resblock.export.docking import numbering
from resblock.export.given import Given, as_pdb
from resblock.export.options import HOTSPOTS, Options
from resblock.pairs.tables import Results
from resblock.structure import Residue

#: Residues of a binder, fewest and most, in the files to start from.
BINDER: Final = (70, 100)


def rfdiffusion(results: Results, options: Options) -> dict[str, str]:
    """Arguments of its inference script: the target's contigs and the hotspots."""
    given, hotspots = _target(results, options)
    spots = ",".join(f"{one.chain}{one.number}" for one in hotspots)
    chains = [list(of) for _, of in groupby(given.residues, key=lambda one: one.chain)]
    contigs = " ".join(f"{'/'.join(_stretches(chain))}/0" for chain in chains)
    arguments = (
        "inference.input_pdb=target.pdb",
        f"'contigmap.contigs=[{contigs} {BINDER[0]}-{BINDER[1]}]'",
        f"'ppi.hotspot_res=[{spots}]'",
    )
    return {"arguments.txt": "\n".join(arguments) + "\n", **_files(given)}


def bindcraft(results: Results, options: Options) -> dict[str, str]:
    """Settings of a target."""
    given, hotspots = _target(results, options)
    settings = {
        "design_path": "designs",
        "binder_name": "binder",
        "starting_pdb": "target.pdb",
        "chains": ",".join(dict.fromkeys(one.chain for one in given.residues)),
        "target_hotspot_residues": ",".join(f"{one.chain}{one.number}" for one in hotspots),
        "lengths": list(BINDER),
        "number_of_final_designs": 100,
    }
    return {"target.json": json.dumps(settings, indent=4) + "\n", **_files(given)}


def boltzgen(results: Results, options: Options) -> dict[str, str]:
    """A design specification; residues are counted from 1 in each chain, and the structure is numbered so."""
    given, hotspots = _target(results, options)
    counted = _counted(given)
    place = dict(zip(given.residues, counted.residues, strict=True))
    lines = [
        "entities:",
        "  - protein:",
        "      id: X",
        f"      sequence: {BINDER[0]}..{BINDER[1]}",
        "  - file:",
        "      path: target.pdb",
        "      include:",
    ]
    chains = list(dict.fromkeys(one.chain for one in counted.residues))
    if "X" in chains:
        raise InputError(f"{given.side.partner.path}: chain X is the binder's; rename the chain")
    for chain in chains:
        lines += ["        - chain:", f"            id: {chain}"]
    lines.append("      binding_types:")
    for chain in chains:
        numbers = ",".join(str(place[one].number) for one in hotspots if one.chain == chain)
        if numbers:
            lines += ["        - chain:", f"            id: {chain}", f'            binding: "{numbers}"']
    return {"boltzgen.yaml": "\n".join(lines) + "\n", **_files(counted)}


def _target(results: Results, options: Options) -> tuple[Given, list[Residue]]:
    """The target, and its likeliest residues of one patch: a binder cannot be in two places."""
    given = next(one for one in as_pdb(results) if one.side.role == options.target)
    if not given.side.patches:
        raise InputError(f"no residue of the {options.target} is marked; give another --cutoff")
    chosen = given.side.patches[0].residues[: options.top or HOTSPOTS]
    return given, [given.residues[one.index] for one in sorted(chosen, key=lambda one: one.index)]


def _counted(given: Given) -> Given:
    counts: dict[str, int] = {}
    residues = []
    for one in given.residues:
        counts[one.chain] = counts.get(one.chain, 0) + 1
        residues.append(dataclasses.replace(one, number=counts[one.chain], insertion_code=""))
    return Given(given.side, tuple(residues))


def _stretches(chain: Sequence[Residue]) -> list[str]:
    """Numbers of a chain without gaps: ``A5-79``."""
    made: list[list[int]] = []
    for one in chain:
        if made and one.number == made[-1][1] + 1:
            made[-1][1] = one.number
        else:
            made.append([one.number, one.number])
    return [f"{chain[0].chain}{first}-{last}" for first, last in made]


def _files(given: Given) -> dict[str, str]:
    return {"target.pdb": given.pdb(), **numbering(given)}
