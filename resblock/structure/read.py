"""Protein residues of one partner from a PDB or mmCIF file."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NoReturn

import numpy as np
from Bio.PDB.kdtrees import KDTree
from numpy.typing import NDArray

from resblock.errors import InputError
from resblock.files import read_bytes
from resblock.structure.formats import parse_structure
from resblock.structure.partner import Partner, Residue, one_letter, parent_residue
from resblock.structure.sequence import places

#: Far more than any partner that can be docked; keeps the tessellation's memory under 2 GiB.
MAX_ATOMS = 250_000
MIN_RESIDUES = 2
#: No protein is wider. Padding values such as 9999 lie beyond it, and the tessellation aborts there.
MAX_RADIUS = 2_000.0
#: Closer than any bond and wider than rounding: two such atoms are one atom written twice.
MIN_ATOM_DISTANCE = 0.1
#: A peptide bond is 1.33 Angstrom long; the rest is room for poor models.
#: Alpha carbons of two chains nearer than this lie on one another, and so do the chains where this many do.
_SUPERPOSED_DISTANCE, _SUPERPOSED_SHARE = 1.0, 0.25
#: Names of chains, residues and atoms: visible signs but those that end a word or a text in other programs.
_NAME = re.compile(r"[^\s\x00-\x20\x7f-\U0010ffff\"'\\;]*")
_MAX_PEPTIDE_BOND = 2.0
_MAX_CA_DISTANCE = 4.5
#: Elements an amino acid can hold. `CA`, `CD`, `HG`... read as metals are names, not elements.
_RESIDUE_ELEMENTS = {"C", "N", "O", "S", "SE", "P", "F", "CL", "BR", "I", "B", "H", "D"}


def read_partner(path: str | os.PathLike[str], chains: Sequence[str] | None = None) -> Partner:
    """Read the protein of a structure file.

    The first model, the alternative location with the highest occupancy, heavy atoms only. Waters
    and ligands are dropped. Modified residues bonded into the chain stay and count as their parent;
    residues of unknown type stay as ``UNK``.

    Parameters
    ----------
    path
        PDB or mmCIF, plain or gzip; told apart by content.
    chains
        Author's chain names to keep, in this order; ``_`` means the blank name. All if None.

    Raises
    ------
    InputError
        The file or a chain is missing, the text is damaged, or the atoms cannot be those of a
        protein.
    """
    path = os.fspath(path)
    parsed = parse_structure(path, read_bytes(path))
    by_chain = {chain.id.strip(): chain for chain in parsed.model}
    protein = {name: list(_protein_residues(chain)) for name, chain in by_chain.items()}
    selected = _select_chains(path, chains, protein)
    records = [(name, *residue) for name in selected for residue in protein[name]]
    if not records:
        raise InputError(f"{path}: no protein residues; is this the right file?")
    partner = _partner(path, records, parsed.sequences, _left_out(by_chain, protein, selected))
    _check(partner)
    return partner


_Atoms = list[tuple[str, str, Any]]


def _select_chains(path: str, chains: Sequence[str] | None, protein: dict[str, list[Any]]) -> list[str]:
    with_protein = [name for name, residues in protein.items() if residues]
    if chains is None:
        return with_protein
    wanted = [name.strip().removeprefix("_") if name.strip() == "_" else name for name in chains]
    there = ", ".join(name or "_ (blank)" for name in with_protein) or "none"
    if not wanted:
        raise InputError(f"{path}: no chain was asked for; chains with protein: {there}")
    for name in wanted:
        if name not in with_protein:
            raise InputError(f"{path}: no protein in chain {name or '_'}; chains with protein: {there}")
    if len(set(wanted)) < len(wanted):
        raise InputError(f"{path}: a chain was asked for twice: {', '.join(wanted)}")
    return wanted


def _protein_residues(chain: Any) -> Iterator[tuple[Any, _Atoms]]:
    """Residues of a Biopython chain that are part of a protein, with their heavy atoms."""
    candidates = []
    for entry in chain:
        residue = _likeliest_residue(entry)
        atoms = _heavy_atoms(residue)
        candidates.append((residue, atoms, {name: xyz for name, _, xyz in atoms}))
    for k, (residue, atoms, positions) in enumerate(candidates):
        if "CA" not in positions or residue.id[0] == "W":
            continue
        if residue.id[0] != " ":
            # A HETATM residue is a modified residue if the chain runs through it, else a ligand.
            before = k > 0 and _bonded(candidates[k - 1][2], positions)
            after = k + 1 < len(candidates) and _bonded(positions, candidates[k + 1][2])
            if not (before or after):
                continue
        yield residue, atoms


def _left_out(by_chain: Mapping[str, Any], protein: Mapping[str, list[Any]], selected: Sequence[str]) -> list[str]:
    """What the partner does not hold: chains that were not asked for, and what is no protein in the others."""
    lines = [f"chain {name or '_'}" for name, residues in protein.items() if residues and name not in selected]
    others: Counter[str] = Counter()
    for name in selected:
        within = {residue.id for residue, _ in protein[name]}
        others.update(residue.get_resname().strip() for residue in by_chain[name] if residue.id not in within)
    return lines + [f"{count} {name}" for name, count in others.most_common()]


def _likeliest_residue(entry: Any) -> Any:
    """Take the alternative of a point mutation that has the highest occupancy; the first if equal."""
    if entry.is_disordered() != 2:
        return entry
    return max(entry.disordered_get_list(), key=lambda r: sum(a.get_occupancy() or 0.0 for a in r))


def _heavy_atoms(residue: Any) -> _Atoms:
    """Name, element and position of the heavy atoms; Biopython picks the highest occupancy."""
    atoms = []
    for atom in residue:
        name = atom.get_name()
        element = atom.element if atom.element in _RESIDUE_ELEMENTS else name.lstrip("0123456789")[:1]
        if element not in ("H", "D"):
            atoms.append((name, element or "X", atom.get_coord()))
    return atoms


def _bonded(before: dict[str, Any], after: dict[str, Any]) -> bool:
    """Whether the chain runs from one residue to the next; by C-alphas where atoms are missing."""
    if "C" in before and "N" in after:
        return bool(np.linalg.norm(before["C"] - after["N"]) <= _MAX_PEPTIDE_BOND)
    if "CA" in before and "CA" in after:
        return bool(np.linalg.norm(before["CA"] - after["CA"]) <= _MAX_CA_DISTANCE)
    return False


def _partner(
    path: str, records: Iterable[tuple[str, Any, _Atoms]], sequences: Mapping[str, str], left_out: Sequence[str]
) -> Partner:
    residues: list[Residue] = []
    names: list[str] = []
    elements: list[str] = []
    positions: list[Any] = []
    owner: list[int] = []
    linked: list[bool] = []
    previous: dict[str, Any] = {}
    for chain, entry, atoms in records:
        here = {name: xyz for name, _, xyz in atoms}
        linked.append(bool(residues) and residues[-1].chain == chain and _bonded(previous, here))
        previous = here
        name = entry.get_resname().strip()
        residues.append(
            Residue(
                chain=chain,
                number=int(entry.id[1]),
                insertion_code=entry.id[2].strip(),
                name=name,
                parent=parent_residue(name),
            )
        )
        for atom_name, element, xyz in atoms:
            names.append(atom_name)
            elements.append(element)
            positions.append(xyz)
            owner.append(len(residues) - 1)
    stated, index = _sequences(residues, sequences)
    return Partner(
        path=path,
        residues=tuple(residues),
        atom_names=tuple(names),
        elements=tuple(elements),
        coordinates=_as_written(np.array(positions, dtype=np.float32)),
        atom_residue=np.array(owner, dtype=np.int64),
        linked=np.array(linked, dtype=np.bool_),
        sequence=stated,
        sequence_index=index,
        left_out=tuple(left_out),
    )


def _sequences(residues: Sequence[Residue], sequences: Mapping[str, str]) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Stated sequence of every chain in order, and the place of every residue in that of its chain."""
    observed: dict[str, str] = {}
    for residue in residues:
        observed[residue.chain] = observed.get(residue.chain, "") + one_letter(residue.parent)
    stated = {chain: sequences.get(chain, "") for chain in observed}
    return tuple(stated.values()), np.concatenate([places(stated[chain], observed[chain]) for chain in observed])


def _as_written(coordinates: NDArray[np.float32]) -> NDArray[np.float64]:
    """Coordinates as the file has them: Biopython keeps float32, structure files three decimals.

    Without this, the same structure shifted by a whole number of Angstrom would differ by 1e-5.
    """
    exact = coordinates.astype(np.float64)
    decimal = exact.round(3)
    with np.errstate(invalid="ignore"):  # infinities are refused by `_check`
        near = np.abs(exact - decimal) <= np.spacing(np.abs(coordinates))
    return np.where(near, decimal, exact)


def _check(partner: Partner) -> None:
    """Refuse what no protein looks like, before a compiled library sees it."""

    def refuse(atom: int, what: str) -> NoReturn:
        where = partner.residues[partner.atom_residue[atom]]
        raise InputError(f"{partner.path}: {where} atom {partner.atom_names[atom]}: {what}")

    for residue in partner.residues:
        for what, name in (("chain", residue.chain), ("residue", residue.name), ("insertion", residue.insertion_code)):
            if not _NAME.fullmatch(name):
                raise InputError(f"{partner.path}: {what} name {name!r} has signs that no name has; rename it")
    for name in dict.fromkeys(partner.atom_names):
        if not _NAME.fullmatch(name.replace("'", "")):
            raise InputError(f"{partner.path}: atom name {name!r} has signs that no name has; rename it")
    if len(partner.residues) < MIN_RESIDUES:
        raise InputError(
            f"{partner.path}: only one protein residue ({partner.residues[0]}); a partner needs at least two"
        )
    xyz = partner.coordinates
    if len(xyz) > MAX_ATOMS:
        raise InputError(
            f"{partner.path}: {len(xyz)} protein atoms, more than the {MAX_ATOMS} that can be "
            "handled; choose the chains that matter"
        )
    broken = np.flatnonzero(~np.isfinite(xyz).all(axis=1))
    if len(broken):
        refuse(broken[0], "coordinates are not numbers; repair or remove the residue")
    distance = np.linalg.norm(xyz - np.median(xyz, axis=0), axis=1)
    if distance.max() > MAX_RADIUS:
        refuse(
            int(distance.argmax()),
            f"lies {distance.max():.0f} Angstrom from the rest (a placeholder such as 9999?); "
            "repair or remove the residue",
        )
    complete = np.zeros((3, len(partner.residues)), dtype=np.bool_)
    for atom, residue in zip(partner.atom_names, partner.atom_residue, strict=True):
        if atom in ("N", "CA", "C"):
            complete[("N", "CA", "C").index(atom), residue] = True
    if complete.all(axis=0).mean() < 0.5:
        raise InputError(
            f"{partner.path}: most residues lack backbone atoms (a C-alpha trace?); an all-atom structure is needed"
        )
    _check_superposed(partner)
    twins = KDTree(xyz - xyz.mean(axis=0), 10).neighbor_search(MIN_ATOM_DISTANCE)
    if twins:
        first, second = sorted((twins[0].index1, twins[0].index2))
        other = partner.residues[partner.atom_residue[second]]
        refuse(
            first,
            f"lies on atom {partner.atom_names[second]} of {other}; remove one of the two",
        )


def _check_superposed(partner: Partner) -> None:
    """Refuse chains that lie on one another: models of one structure, or copies that were never moved apart."""
    alpha = np.array([name == "CA" for name in partner.atom_names])
    owner, positions = partner.atom_residue[alpha], partner.coordinates[alpha]
    chain_of = np.searchsorted(partner.chain_starts, owner, side="right") - 1
    sizes = np.bincount(chain_of, minlength=len(partner.chains))
    on: Counter[tuple[int, int]] = Counter()
    for pair in KDTree(positions - positions.mean(axis=0), 10).neighbor_search(_SUPERPOSED_DISTANCE):
        first, second = sorted((int(chain_of[pair.index1]), int(chain_of[pair.index2])))
        if first != second:
            on[first, second] += 1
    for (first, second), count in on.items():
        if count >= max(_SUPERPOSED_SHARE * min(sizes[first], sizes[second]), 2):
            a, b = (partner.chains[k] or "(blank)" for k in (first, second))
            raise InputError(
                f"{partner.path}: chains {a} and {b} lie on one another (copies of one structure?); choose one"
            )
