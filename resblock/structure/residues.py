"""From the atoms of a model to the residues of its proteins: one conformer each, in the order of the chain."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

import gemmi
import numpy as np

from resblock.errors import InputError
from resblock.structure.geometry import pairs_within
from resblock.structure.names import CAPS, WATERS, is_residue_name, is_standard, parent_residue, standard_atom
from resblock.structure.partner import Residue
from resblock.structure.scales import BACKBONE_ATOMS
from resblock.structure.table import AtomTable, StructureFile

#: A peptide bond is 1.33 Angstrom long; the rest is room for poor models.
_MAX_PEPTIDE_BOND: Final = 2.0
_MAX_CA_DISTANCE: Final = 4.5
#: Two places of one atom, or of the alpha carbons of two kinds of residue, are alternatives up to this distance.
_ALTERNATIVE: Final = 3.0
#: A chain wider than this, Angstrom, is none.
_WIDEST: Final = 1e5
#: Elements of the twenty residues, and of selenium in place of sulphur.
_ELEMENTS: Final = {"C", "N", "O", "S", "SE", "H", "D"}


@dataclass
class Found:
    """A residue as it is read: heavy atoms by their standard names, one conformer.

    Attributes
    ----------
    residue
    positions, elements
        (3,) place and element of each atom, by name.
    b_factor
        Of its alpha carbon.
    occupancy
        Mean of its backbone atoms, of those with an alternative location's label if there are any.
    shared
        Backbone atoms without such a label.
    sure
        Whether its name or its place in a polymer says that it is a residue, bonded or not.
    order
        Place in the file.
    """

    residue: Residue
    positions: dict[str, np.ndarray]
    elements: dict[str, str]
    b_factor: float
    occupancy: float
    shared: set[str]
    sure: bool
    order: int


@dataclass
class Chain:
    """The protein of one chain, and what else it holds: how often, by residue name or by a remark."""

    residues: list[Found] = field(default_factory=list)
    others: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    linked: list[bool] = field(default_factory=list)


def chain_of(file: StructureFile, atoms: AtomTable) -> Chain:
    """The protein of one chain of a file, whose atoms these are.

    Raises
    ------
    InputError
        Two residues of a protein have one number.
    """
    chain = Chain()
    places: dict[tuple[int, str], list[Found]] = {}
    for rows in _groups(atoms):
        name = str(atoms.name[rows[0]])
        if name in WATERS or name in CAPS:
            chain.others["waters" if name in WATERS else name] += _copies(atoms, rows)
            continue
        chosen, unlabelled = _conformer(file, atoms, rows)
        found = _found(atoms, chosen, order=rows[0])
        if found is None:
            chain.others[_remark(atoms, rows)] += _copies(atoms, rows)
            continue
        if unlabelled:
            chain.others["second places of atoms"] += unlabelled
        places.setdefault((found.residue.number, found.residue.insertion_code), []).append(found)
    for alternatives in places.values():
        chain.residues.append(_likeliest(file, atoms, alternatives))
    _order(chain)
    return chain


def _copies(atoms: AtomTable, rows: Sequence[int]) -> int:
    """How many molecules have one name and number, as waters whose numbers have come round."""
    first = rows[0]
    same = (atoms.atom[rows] == atoms.atom[first]) & (atoms.alternative[rows] == atoms.alternative[first])
    return int(same.sum())


def _likeliest(file: StructureFile, atoms: AtomTable, alternatives: Sequence[Found]) -> Found:
    """Of the kinds of residue at one place the one whose backbone is likeliest, with the atoms that all share."""
    best = max(alternatives, key=lambda one: one.occupancy)
    for other in alternatives:
        if other is not best:
            _check_alternative(file, atoms, *sorted((best, other), key=lambda one: one.order))
            # What both have may stand under the name of one, without a label.
            for atom in other.shared - set(best.positions):
                best.positions[atom], best.elements[atom] = other.positions[atom], other.elements[atom]
    return best


def _groups(atoms: AtomTable) -> Iterable[list[int]]:
    """Rows of each residue name at each number and insertion code, in the order in which they begin."""
    groups: dict[tuple[int, str, str], list[int]] = {}
    keys = zip(atoms.number.tolist(), atoms.insertion_code.tolist(), atoms.name.tolist(), strict=True)
    for row, key in enumerate(keys):
        groups.setdefault(key, []).append(row)
    return groups.values()


def _conformer(file: StructureFile, atoms: AtomTable, rows: Sequence[int]) -> tuple[list[int], int]:
    """One row for each atom name: of the alternative location whose backbone, or else whose atoms, are likeliest.

    Also counts the atoms that are there twice without a label to tell the places apart.
    """
    chosen = _likeliest_label(atoms, rows)
    best: dict[str, int] = {}
    unlabelled = 0
    for row in rows:
        name = str(atoms.atom[row])
        before = best.setdefault(name, row)
        if before != row and atoms.alternative[row] == "" == atoms.alternative[before]:
            _check_twice(file, atoms, before, row)
            unlabelled += 1
        if _rank(atoms, row, chosen) > _rank(atoms, before, chosen):
            best[name] = row
    return list(best.values()), unlabelled


def _likeliest_label(atoms: AtomTable, rows: Sequence[int]) -> str:
    """Of the places that atoms have under several labels; the first of them may have none."""
    labelled = {str(atoms.atom[row]) for row in rows if atoms.alternative[row]}
    places = [row for row in rows if atoms.atom[row] in labelled]
    labels = dict.fromkeys(atoms.alternative[places].tolist())
    return max(labels, key=lambda label: _weight(atoms, places, label), default="")


def _weight(atoms: AtomTable, rows: Sequence[int], label: str) -> float:
    own = [row for row in rows if atoms.alternative[row] == label]
    return float(atoms.occupancy[_backbone(atoms, own) or own].mean())


def _backbone(atoms: AtomTable, rows: Sequence[int]) -> list[int]:
    return [row for row in rows if atoms.atom[row] in BACKBONE_ATOMS]


def _rank(atoms: AtomTable, row: int, chosen: str) -> tuple[bool, float]:
    return bool(atoms.alternative[row] == chosen), float(atoms.occupancy[row])


def _check_twice(file: StructureFile, atoms: AtomTable, first: int, second: int) -> None:
    """Refuse an atom that is written twice in places too far apart to be alternatives."""
    if np.linalg.norm(atoms.xyz[first] - atoms.xyz[second]) > _ALTERNATIVE and is_residue_name(str(atoms.name[second])):
        raise _same_number(file, atoms, second)


def _same_number(file: StructureFile, atoms: AtomTable, row: int) -> InputError:
    where = "line" if file.format == "pdb" else "atom_site row"
    return InputError(
        f"{file.path}: {where} {atoms.line[row]}: chain {atoms.chain[row] or '(blank)'} residue {atoms.name[row]} "
        f"{atoms.number[row]}{atoms.insertion_code[row]} atom {atoms.atom[row]}: this chain and residue number stand "
        "for another residue above; give each chain its own name"
    )


def _check_alternative(file: StructureFile, atoms: AtomTable, first: Found, second: Found) -> None:
    """Refuse two residues of one number that are no alternatives of one another."""
    if np.linalg.norm(first.positions["CA"] - second.positions["CA"]) > _ALTERNATIVE:
        raise _same_number(file, atoms, second.order)


def _found(atoms: AtomTable, rows: Sequence[int], order: int) -> Found | None:
    """A residue that may be part of a protein: one with an alpha carbon."""
    name = str(atoms.name[rows[0]])
    heavy = {str(atoms.atom[row]): row for row in rows if _element(atoms, row) not in ("H", "D")}
    known = is_residue_name(name)
    # Atoms called CA are in ions, lipids and caps as well.
    if not ({"CA"} if known else {"N", "CA", "C"}) <= set(heavy):
        return None
    parent = parent_residue(name, heavy)
    first = rows[0]
    backbone = _backbone(atoms, rows)
    # Of two kinds of residue each has a label, but for the atoms that they share.
    own = [row for row in backbone if atoms.alternative[row]] or backbone
    return Found(
        Residue(
            chain=str(atoms.chain[first]),
            number=int(atoms.number[first]),
            insertion_code=str(atoms.insertion_code[first]),
            name=name,
            parent=parent,
        ),
        {standard_atom(atom, parent): atoms.xyz[row] for atom, row in heavy.items()},
        {standard_atom(atom, parent): _element(atoms, row) or "X" for atom, row in heavy.items()},
        float(atoms.b_factor[heavy["CA"]]),
        occupancy=float(atoms.occupancy[own].mean()),
        shared={str(atoms.atom[row]) for row in backbone if not atoms.alternative[row]},
        # A standard amino acid that the file calls none of a polymer is a ligand, unless it is bonded.
        sure=known and (not bool(atoms.hetero[first]) or (bool(atoms.polymer[first]) and name != parent)),
        order=order,
    )


def _element(atoms: AtomTable, row: int) -> str:
    """Element of an atom; by its name where the file has none, or one that was made of the name."""
    element, atom = str(atoms.element[row]), str(atoms.atom[row])
    if is_standard(str(atoms.name[row])):
        is_one = element in _ELEMENTS
    else:
        # Carbons called CA, CD, CE, and hydrogens called HE1, HG2, HO3: a metal's atom has the metal's name.
        made = element in ("CA", "CD", "CE") or (element[:1] == "H" and len(element) > 1 and atom != element)
        is_one = gemmi.Element(element).atomic_number > 0 and not made
    return element if is_one else atom.lstrip("0123456789")[:1]


def _remark(atoms: AtomTable, rows: Sequence[int]) -> str:
    """How what is no residue is counted: a known one that lacks its alpha carbon by its number, others by name."""
    name, row = str(atoms.name[rows[0]]), rows[0]
    if is_residue_name(name) and {"N", "C", "O"} & set(atoms.atom[rows].tolist()):
        number = f"{atoms.number[row]}{atoms.insertion_code[row]}"
        return f"residue {atoms.chain[row] or '_'} {number} {name} (no alpha carbon)"
    return name


def _bonded(before: Found, after: Found) -> bool:
    """Whether the chain runs from one residue to the next; by C-alphas where atoms are missing."""
    if "C" in before.positions and "N" in after.positions:
        return bool(np.linalg.norm(before.positions["C"] - after.positions["N"]) <= _MAX_PEPTIDE_BOND)
    return bool(np.linalg.norm(before.positions["CA"] - after.positions["CA"]) <= _MAX_CA_DISTANCE)


def _order(chain: Chain) -> None:
    """Put residues in the order of their bonds, and leave out those that neither bond nor name makes a residue."""
    found = sorted(chain.residues, key=lambda one: one.order)
    following: dict[int, int] = {k: k + 1 for k in range(len(found) - 1) if _bonded(found[k], found[k + 1])}
    _join_loose_ends(found, following)
    preceded = set(following.values())
    members = [k for k, one in enumerate(found) if one.sure or k in following or k in preceded]
    for k in set(range(len(found))) - set(members):
        chain.others[found[k].residue.name] += 1
    chain.residues, chain.linked = [], []
    for segment in _segments(members, following):
        chain.residues += [found[k] for k in segment]
        chain.linked += [False, *[True] * (len(segment) - 1)]


def _join_loose_ends(found: Sequence[Found], following: dict[int, int]) -> None:
    """Bonds between residues that the file does not list one after the other, the shortest first."""
    preceded = set(following.values())
    ends = [k for k, one in enumerate(found) if k not in following and "C" in one.positions]
    starts = [k for k, one in enumerate(found) if k not in preceded and "N" in one.positions]
    points = np.array([*(found[k].positions["C"] for k in ends), *(found[k].positions["N"] for k in starts)])
    if not len(points) or not np.ptp(points, axis=0).max() < _WIDEST:
        return
    pairs = pairs_within(points, _MAX_PEPTIDE_BOND)
    pairs = pairs[(pairs[:, 0] < len(ends)) & (pairs[:, 1] >= len(ends))]
    length = np.linalg.norm(points[pairs[:, 0]] - points[pairs[:, 1]], axis=1)
    # The first residue of the segment that ends with a residue, and the last of the one that begins with it.
    first = {segment[-1]: segment[0] for segment in _segments(range(len(found)), following)}
    last = {start: end for end, start in first.items()}
    for row, column in pairs[np.argsort(length, kind="stable")].tolist():
        end, start = ends[row], starts[column - len(ends)]
        if end in first and start in last and first[end] != start:
            following[end] = start
            first[last[start]], last[first[end]] = first[end], last[start]
            del first[end], last[start]


def _segments(members: Sequence[int], following: dict[int, int]) -> list[list[int]]:
    """Bonded stretches, in the order in which the file begins them."""
    preceded = set(following.values())
    segments = []
    for head in (k for k in members if k not in preceded):
        segment = [head]
        while segment[-1] in following:
            segment.append(following[segment[-1]])
        segments.append(segment)
    return sorted(segments, key=min)
