"""Scripts that show the first pairs in PyMOL and ChimeraX, as in figure 6 of the paper."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from resblock.pairs.tables import RankedPair
from resblock.structure import Partner, Residue

RECEPTOR_COLOUR = "9eb8d6"  # pale blue
LIGAND_COLOUR = "b3d1a8"  # pale green
FIRST_COLOUR, LAST_COLOUR = "b2182b", "fdd049"  # dark red for rank 1, yellow for the last

#: Free space between the partners when they are shown side by side, in Angstrom.
SIDE_BY_SIDE_GAP = 15.0


@dataclass(frozen=True)
class View:
    """What a viewer script shows.

    Attributes
    ----------
    receptor, ligand : Partner
        The two partners as read.
    receptor_file, ligand_file : str
        Names of their scored structures, in the directory of the script.
    pairs : sequence of RankedPair
        The pairs to show, best first.
    """

    receptor: Partner
    ligand: Partner
    receptor_file: str
    ligand_file: str
    pairs: Sequence[RankedPair]

    def shift(self) -> NDArray[np.float64]:
        """Translation (3,) in Angstrom that puts the ligand beside the receptor, along x."""
        receptor, ligand = self.receptor.coordinates, self.ligand.coordinates
        shift: NDArray[np.float64] = (_middle(receptor) - _middle(ligand)).round(3)
        widths = np.ptp(receptor[:, 0]) + np.ptp(ligand[:, 0])
        shift[0] += round(widths / 2 + SIDE_BY_SIDE_GAP, 3)
        return shift

    def shown_residues(self) -> Iterator[tuple[Partner, Residue, list[int]]]:
        """Each residue of the shown pairs with its ranks, in order of its best rank."""
        ranks: dict[tuple[bool, Residue], list[int]] = {}
        for pair in self.pairs:
            ranks.setdefault((True, pair.receptor), []).append(pair.rank)
            ranks.setdefault((False, pair.ligand), []).append(pair.rank)
        for (is_receptor, residue), found in ranks.items():
            yield (self.receptor if is_receptor else self.ligand), residue, found

    def colour(self, rank: int) -> str:
        """Six hexadecimal digits, from `FIRST_COLOUR` to `LAST_COLOUR` over the shown ranks."""
        last = max(pair.rank for pair in self.pairs)
        fraction = (rank - 1) / (last - 1) if last > 1 else 0.0
        first, other = bytes.fromhex(FIRST_COLOUR), bytes.fromhex(LAST_COLOUR)
        return bytes(round(a + fraction * (b - a)) for a, b in zip(first, other, strict=True)).hex()


def write_pymol_script(path: Path, view: View) -> None:
    """Write a PyMOL script; run it with `pymol view.pml`."""

    def select(partner: Partner, residue: Residue) -> str:
        name = "receptor" if partner is view.receptor else "ligand"
        if not _is_plain(residue):
            first, last = _serial_numbers(partner, residue)
            return f"({name} and id {first}-{last})"
        number = residue.label.replace("-", "\\-")  # a bare minus would mean a range
        return f'({name} and chain "{residue.chain}" and resi {number})'

    x, y, z = view.shift()
    lines = [
        *_introduction(view, "# In PyMOL: pymol view.pml, or File > Run Script."),
        "# The files lie beside this script, wherever PyMOL was started.",
        "import os, pymol",
        "os.chdir(os.path.dirname(os.path.abspath(pymol.__script__)))",
        f"load {view.receptor_file}, receptor",
        f"load {view.ligand_file}, ligand",
        "",
        "# Side by side: where the two files put the partners tells nothing about the complex.",
        f"translate [{x:.3f}, {y:.3f}, {z:.3f}], ligand, camera=0",
        "",
        "bg_color white",
        "hide everything",
        "show cartoon",
        f"color 0x{RECEPTOR_COLOUR}, receptor",
        f"color 0x{LIGAND_COLOUR}, ligand",
        "set label_color, black",
        "set label_font_id, 7",
        "set label_size, 16",
        "set label_position, (2, 0, 6)",
        "",
        "# Residues of the first pairs: sticks, coloured by their best rank.",
    ]
    for partner, residue, ranks in view.shown_residues():
        chosen = select(partner, residue)
        lines += [
            f"show sticks, {chosen}",
            f"color 0x{view.colour(ranks[0])}, {chosen}",
            f"label {chosen} and name CA, {pymol_string(_label(residue, ranks))}",
        ]
    lines += ["", "# Each pair as a selection, to click on in the panel."]
    lines += [
        f"select pair_{pair.rank}, {select(view.receptor, pair.receptor)} or {select(view.ligand, pair.ligand)}"
        for pair in view.pairs
    ]
    lines += [
        "deselect",
        "orient",
        "",
        "# To colour by probability instead (the B-factor is 100 x that of a residue to be in the interface):",
        "# spectrum b, white_red",
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_chimerax_script(path: Path, view: View) -> None:
    """Write a ChimeraX command file; open it in ChimeraX."""

    def select(partner: Partner, residue: Residue) -> str:
        model = "#1" if partner is view.receptor else "#2"
        # ChimeraX has no way to write a blank chain.
        if residue.chain and _is_plain(residue):
            return f"{model}/{residue.chain}:{residue.label}"
        first, last = _serial_numbers(partner, residue)
        return f"({model}@@serial_number>={first} & {model}@@serial_number<={last})"

    x, y, z = view.shift()
    lines = [
        *_introduction(view, "# In ChimeraX, nothing else open: File > Open, or: chimerax view.cxc"),
        f"open {view.receptor_file} id 1 name receptor",
        f"open {view.ligand_file} id 2 name ligand",
        "",
        "# Side by side: where the two files put the partners tells nothing about the complex.",
        f"move {x:.3f},{y:.3f},{z:.3f} coordinateSystem #1 models #2",
        "",
        "set bgColor white",
        "hide #1,2 atoms",
        "cartoon #1,2",
        f"color #1 #{RECEPTOR_COLOUR}",
        f"color #2 #{LIGAND_COLOUR}",
        "",
        "# Residues of the first pairs: sticks, coloured by their best rank.",
    ]
    for partner, residue, ranks in view.shown_residues():
        chosen = select(partner, residue)
        lines += [
            f"show {chosen} atoms",
            f"style {chosen} stick",
            f"color {chosen} #{view.colour(ranks[0])}",
            f"label {chosen} residues text {chimerax_string(_label(residue, ranks))} color black",
        ]
    lines += ["", "# Each pair by name, to select with: select pair_1"]
    lines += [
        f"name pair_{pair.rank} {select(view.receptor, pair.receptor)} | {select(view.ligand, pair.ligand)}"
        for pair in view.pairs
    ]
    lines += [
        "view",
        "",
        "# To colour by probability instead (the B-factor is 100 x that of a residue to be in the interface):",
        "# color byattribute bfactor #1,2 palette white:red",
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _introduction(view: View, how: str) -> list[str]:
    return [
        "# Residue pairs predicted to touch, written by resblock predict.",
        how,
        f"# {view.receptor_file} is the receptor (pale blue), {view.ligand_file} the ligand (pale green).",
        f"# Sticks: the residues of the first {len(view.pairs)} pairs, from dark red (rank 1) to yellow (last).",
        "# Labels: residue name and number, and in brackets the ranks of its pairs.",
        "# All pairs are in pairs.csv.",
        "",
    ]


def _label(residue: Residue, ranks: Sequence[int]) -> str:
    return f"{residue.name} {residue.label} ({', '.join(map(str, ranks))})"


def pymol_string(text: str) -> str:
    """A text as PyMOL's label command takes it: a literal of Python, which runs what else stands there.

    PyMOL splits a line at semicolons before it looks at quotes, so what is no word or harmless sign becomes ``?``.
    """
    return f'"{_harmless(text)}"'


def chimerax_string(text: str) -> str:
    """A text as one argument of a ChimeraX command: in quotes, and without what would end it; that becomes ``?``."""
    return f'"{_harmless(text)}"'


def _harmless(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9 _+*.,()'-]", "?", text)


def _is_plain(residue: Residue) -> bool:
    """Whether chain, number and insertion code need no quotes, which neither program has for all of them."""
    return re.fullmatch(r"[A-Za-z0-9_]*/-?[0-9]+[A-Za-z]?", f"{residue.chain}/{residue.label}") is not None


def _serial_numbers(partner: Partner, residue: Residue) -> tuple[int, int]:
    """First and last serial number of a residue's atoms in the written structure."""
    atoms = np.flatnonzero(partner.atom_residue == partner.residues.index(residue))
    return int(atoms[0]) + 1, int(atoms[-1]) + 1


def _middle(coordinates: NDArray[np.float64]) -> NDArray[np.float64]:
    middle: NDArray[np.float64] = (coordinates.min(axis=0) + coordinates.max(axis=0)) / 2
    return middle
