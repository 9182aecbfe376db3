"""Files for programs that dock: HADDOCK, LightDock, pyDock, ClusPro, HDOCK."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from resblock.export.given import Given, as_pdb
from resblock.export.options import Options
from resblock.pairs.tables import Results
from resblock.structure import Residue

#: Effective distance of HADDOCK's ambiguous restraints: 2 A, 2 A less, none more.
_AMBIGUOUS: Final = "2.0 2.0 0.0"


def haddock(results: Results, options: Options) -> dict[str, str]:
    """Ambiguous restraints, lists of active and passive residues, and restraints that hold a partner's chains."""
    receptor, ligand = as_pdb(results, one_chain=True)
    active = receptor.marked(options.top), ligand.marked(options.top)
    restraints = [*_ambiguous(active[0], active[1]), *_ambiguous(active[1], active[0])]
    files = {"ambig.tbl": "\n".join(restraints), **_structures(receptor, ligand)}
    for given, residues in zip((receptor, ligand), active, strict=True):
        numbers = " ".join(str(residue.number) for residue in residues)
        files[f"{given.side.role}.act-pass"] = f"{numbers}\n\n"  # the second line is for passive ones
    bodies = [line for given in (receptor, ligand) for line in _bodies(given)]
    if bodies:
        files["unambig.tbl"] = "\n".join(bodies) + "\n"
    return files


def _ambiguous(active: Sequence[Residue], others: Sequence[Residue]) -> Iterator[str]:
    """Each active residue is to be near any of the other partner's."""
    choices = "\n     or\n".join(f"       (resi {one.number} and segid {one.chain})" for one in others)
    for residue in active:
        yield f"assign (resi {residue.number} and segid {residue.chain})\n(\n{choices}\n) {_AMBIGUOUS}\n"


def _bodies(given: Given) -> Iterator[str]:
    """Two distances between the alpha carbons of each chain and the next, which keep a partner in one piece."""
    partner = given.side.partner
    alpha = [k for k, name in enumerate(partner.atom_names) if name == "CA"]
    owner, positions = partner.atom_residue[alpha], partner.coordinates[alpha]
    chain_of = np.searchsorted(partner.chain_starts, owner, side="right") - 1
    for number in range(1, len(partner.chains)):
        before, after = np.flatnonzero(chain_of == number - 1), np.flatnonzero(chain_of == number)
        for first, second in ((before[0], after[-1]), (before[-1], after[0])):
            one, other = given.residues[owner[first]], given.residues[owner[second]]
            apart = float(np.linalg.norm(positions[first] - positions[second]))
            yield (
                f"assign (segid {one.chain} and resi {one.number} and name CA) "
                f"(segid {other.chain} and resi {other.number} and name CA) {apart:.3f} 0.0 0.0"
            )


def lightdock(results: Results, options: Options) -> dict[str, str]:
    """Residue restraints: R or L, then chain, name and number with insertion code."""
    receptor, ligand = as_pdb(results, insertion_codes=True)
    lines = [
        f"{letter} {one.chain}.{one.name}.{one.label}"
        for letter, given in (("R", receptor), ("L", ligand))
        for one in given.marked(options.top)
    ]
    return {"restraints.list": "\n".join(lines) + "\n", **_structures(receptor, ligand)}


def pydock(results: Results, options: Options) -> dict[str, str]:
    """The project's ini file with restraints of both partners."""
    receptor, ligand = as_pdb(results)
    sections = []
    for given in (receptor, ligand):
        chains = ",".join(dict.fromkeys(one.chain for one in given.residues))
        residues = ",".join(f"{one.chain}.{one.name.capitalize()}.{one.number}" for one in given.marked(options.top))
        role = given.side.role
        sections.append(f"[{role}]\npdb = {role}.pdb\nmol = {chains}\nnewmol = {chains}\nrestr = {residues}\n")
    return {"pydock.ini": "\n".join(sections), **_structures(receptor, ligand)}


def cluspro(results: Results, options: Options) -> dict[str, str]:
    """Attraction lists to paste: chain in small letters, a hyphen, the number."""
    receptor, ligand = as_pdb(results)
    lists = {
        f"{given.side.role}_attraction.txt": " ".join(
            f"{one.chain.lower()}-{one.number}" for one in given.marked(options.top)
        )
        + "\n"
        for given in (receptor, ligand)
    }
    return {**lists, **_structures(receptor, ligand)}


def hdock(results: Results, options: Options) -> dict[str, str]:
    """Binding sites, a residue a line: number, colon, chain."""
    receptor, ligand = as_pdb(results)
    sites = {
        f"{given.side.role}_site.txt": "".join(f"{one.number}:{one.chain}\n" for one in given.marked(options.top))
        for given in (receptor, ligand)
    }
    return {**sites, **_structures(receptor, ligand)}


def _structures(*given: Given) -> dict[str, str]:
    """The structures that the restraints are for, and a table of their numbers where these are not the author's."""
    files = {f"{one.side.role}.pdb": one.pdb() for one in given}
    return files | numbering(*given)


def numbering(*given: Given) -> dict[str, str]:
    """A table from the author's chains and numbers to those of the export, where any differ."""
    if not any(one.renamed for one in given):
        return {}
    rows = ["partner,chain,residue,name,exported_chain,exported_residue"]
    for one in given:
        rows += [
            f"{one.side.role},{before.chain},{before.label},{before.name},{after.chain},{after.label}"
            for before, after in zip(one.side.partner.residues, one.residues, strict=True)
        ]
    return {"numbering.csv": "\n".join(rows) + "\n"}
