"""Protein residues of one partner from a structure file."""

from __future__ import annotations

import dataclasses
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from resblock.errors import InputError
from resblock.files import STANDARD_INPUT, read_bytes
from resblock.structure.assembly import build_assembly, larger_unit
from resblock.structure.formats import read_structure
from resblock.structure.geometry import pairs_within
from resblock.structure.glycans import glycosylated
from resblock.structure.models import choose_model, original_name
from resblock.structure.names import is_residue_name, nucleic_acid, one_letter
from resblock.structure.partner import Partner, Residue
from resblock.structure.residues import Chain, Found, chain_of
from resblock.structure.sequence import places
from resblock.structure.table import AtomTable, StructureFile

#: Far more than any partner that can be docked; keeps the tessellation's memory under 2 GiB.
MAX_ATOMS = 250_000
MIN_RESIDUES = 2
#: No protein is wider. Padding values such as 9999 lie beyond it, and the tessellation aborts there.
MAX_RADIUS = 2_000.0
#: Closer than any bond and wider than rounding: two such atoms are one atom written twice.
MIN_ATOM_DISTANCE = 0.1
#: Raise it whenever other residues or atoms are read of the same file: prepared data are then redone.
READING_VERSION = 1
#: Chains that are named where they are left out.
_MAX_LISTED = 12
#: Alpha carbons of two chains nearer than this lie on one another, and so do the chains where this many do.
_SUPERPOSED_DISTANCE, _SUPERPOSED_SHARE = 1.0, 0.25
#: Names of chains, residues and atoms: visible signs but those that end a word or a text in other programs.
_NAME = re.compile(r"[^\s\x00-\x20\x7f-\U0010ffff\"'\\;]*")


def read_partner(
    path: str | os.PathLike[str],
    chains: Sequence[str] | None = None,
    *,
    model: int | None = None,
    assembly: str | None = None,
) -> Partner:
    """Read the protein of a structure file: `partner_of` of `read_file`.

    Raises
    ------
    InputError
        As these do.
    """
    return partner_of(read_file(path), chains, model=model, assembly=assembly)


def read_file(path: str | os.PathLike[str], name: str | None = None) -> StructureFile:
    """Read all atoms of a structure file.

    Parameters
    ----------
    path
        PDB, mmCIF or BinaryCIF, plain, gzip, bzip2 or xz; told apart by content. ``-`` is the standard input.
    name
        What messages call it; the path by default.

    Raises
    ------
    InputError
        The file is missing, empty, damaged or of no such kind.
    """
    content = read_bytes(path)
    if name is None:
        name = "standard input" if os.fspath(path) == STANDARD_INPUT else os.fspath(path)
    return read_structure(name, content)


def partner_of(
    file: StructureFile,
    chains: Sequence[str] | None = None,
    *,
    model: int | None = None,
    assembly: str | None = None,
) -> Partner:
    """Choose the protein of a structure file.

    One model, one conformer of each residue (the likeliest by the occupancy of its backbone), heavy atoms only. Waters,
    ligands, nucleic acids and residues without an alpha carbon are left out, and said to be. Modified residues that are
    bonded into the chain, or that the file gives a place in it, count as their parent; residues of unknown type stay as
    ``UNK``. Residues follow one another as they are bonded, else as the file lists them.

    Parameters
    ----------
    file
        From `read_file`.
    chains
        Author's chain names to keep, in this order; ``_`` means the blank name. All if None.
    model
        Number of the model, where there are several. The first if None; all, where they are copies of one another in
        other places.
    assembly
        Identifier of a biological assembly that the file describes; the atoms as they stand in the file if None.

    Raises
    ------
    InputError
        A chain, the model or the assembly is missing, or the atoms cannot be those of a protein.
    """
    atoms, about_models = _atoms(file, model, assembly)
    sizes = _protein_sizes(atoms)
    selected = _select_chains(file.path, chains, sizes)
    # What is wrong with a protein that was not asked for does not matter.
    by_chain = {
        name: chain_of(file, atoms[atoms.chain == name]) for name, size in sizes.items() if name in selected or not size
    }
    if not any(chain.residues for chain in by_chain.values()):
        raise InputError(f"{file.path}: no protein residues; is this the right file?")
    others = [name for name, size in sizes.items() if size and name not in selected]
    partner = _partner(
        file,
        {name: by_chain[name] for name in selected},
        [*_listed(others), *_left_out(by_chain)],
        (*about_models, *file.remarks),
    )
    _check(partner)
    return dataclasses.replace(partner, glycosylated=glycosylated(partner, atoms))


def _atoms(file: StructureFile, model: int | None, assembly: str | None) -> tuple[AtomTable, list[str]]:
    """The atoms that were asked for, and which these are."""
    if assembly is None:
        atoms, about = choose_model(file, model)
        return atoms, [about, *filter(None, [larger_unit(file)])]
    atoms, about = choose_model(file, int(file.atoms.model[0]) if model is None else model)
    return build_assembly(file, atoms, assembly), [about, f"assembly {assembly}"]


def _protein_sizes(atoms: AtomTable) -> dict[str, int]:
    """How many residues each chain seems to have, in the order of the file."""
    names = np.unique(atoms.name)
    known = names[[is_residue_name(name) for name in names.tolist()]]
    columns = atoms.chain, atoms.number, atoms.insertion_code

    def places(of: NDArray[np.bool_]) -> set[tuple[str, int, str]]:
        return set(zip(*(column[of].tolist() for column in columns), strict=True))

    alpha = atoms.atom == "CA"
    backbones = places(alpha) & places(atoms.atom == "N") & places(atoms.atom == "C")
    counts = Counter(chain for chain, _, _ in backbones | places(alpha & np.isin(atoms.name, known)))
    return {name: counts[name] for name in dict.fromkeys(atoms.chain.tolist())}


def _select_chains(path: str, chains: Sequence[str] | None, sizes: Mapping[str, int]) -> list[str]:
    with_protein = {name: size for name, size in sizes.items() if size}
    if chains is None:
        return list(with_protein)
    wanted = ["" if name.strip() == "_" else name.strip() for name in chains]
    there = ", ".join(f"{name or '_ (blank)'} ({size} residues)" for name, size in with_protein.items()) or "none"
    if not wanted:
        raise InputError(f"{path}: no chain was asked for; chains with protein: {there}")
    for name in wanted:
        if name not in with_protein:
            raise InputError(f"{path}: no protein in chain {name or '_'}; chains with protein: {there}")
    if len(set(wanted)) < len(wanted):
        raise InputError(f"{path}: a chain was asked for twice: {', '.join(wanted)}")
    return wanted


def _listed(chains: Sequence[str]) -> list[str]:
    """Chains by name, or by number where these are many."""
    return [f"chain {name or '_'}" for name in chains] if len(chains) <= _MAX_LISTED else [f"{len(chains)} chains"]


def _left_out(by_chain: Mapping[str, Chain]) -> list[str]:
    """What is no protein."""
    lines, others = [], Counter[str]()
    for name, chain in by_chain.items():
        nucleic = {what: kind for what in chain.others if (kind := nucleic_acid(what))}
        lines += [f"{kind} chain {name or '_'}" for kind in dict.fromkeys(nucleic.values())]
        others.update({what: count for what, count in chain.others.items() if what not in nucleic})
    words = {what: what if what.isprintable() else repr(what) for what in others}
    return lines + [words[what] if "(" in what else f"{count} {words[what]}" for what, count in others.most_common()]


def _partner(
    file: StructureFile, chains: Mapping[str, Chain], left_out: Sequence[str], remarks: tuple[str, ...]
) -> Partner:
    found = [residue for chain in chains.values() for residue in chain.residues]
    residues = tuple(one.residue for one in found)
    stated, index = _sequences(residues, file.sequences)
    return Partner(
        path=file.path,
        residues=residues,
        atom_names=tuple(name for one in found for name in one.positions),
        elements=tuple(element for one in found for element in one.elements.values()),
        coordinates=np.array([xyz for one in found for xyz in one.positions.values()], dtype=np.float64),
        atom_residue=np.repeat(np.arange(len(found)), [len(one.positions) for one in found]),
        linked=np.array([linked for chain in chains.values() for linked in chain.linked], dtype=np.bool_),
        sequence=stated,
        sequence_index=index,
        left_out=tuple(left_out),
        remarks=remarks,
        format=file.format,
        plddt=_plddt(found) if file.confidence else None,
    )


def _plddt(residues: Sequence[Found]) -> NDArray[np.float64]:
    """Confidence of every residue, 0 to 100; some programs write 0 to 1."""
    values = np.array([residue.b_factor for residue in residues])
    return values * 100.0 if values.max() <= 1.0 else values


def _sequences(residues: Sequence[Residue], sequences: Mapping[str, str]) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Stated sequence of every chain in order, and the place of every residue in that of its chain."""
    observed: dict[str, str] = {}
    for residue in residues:
        observed[residue.chain] = observed.get(residue.chain, "") + one_letter(residue.parent)
    stated = {chain: sequences.get(chain) or sequences.get(original_name(chain), "") for chain in observed}
    return tuple(stated.values()), np.concatenate([places(stated[chain], observed[chain]) for chain in observed])


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
    twins = pairs_within(xyz, MIN_ATOM_DISTANCE)
    if len(twins):
        first, second = twins[0]
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
    for first, second in np.sort(chain_of[pairs_within(positions, _SUPERPOSED_DISTANCE)], axis=1).tolist():
        if first != second:
            on[first, second] += 1
    for (first, second), count in on.items():
        if count >= max(_SUPERPOSED_SHARE * min(sizes[first], sizes[second]), 2):
            a, b = (partner.chains[k] or "(blank)" for k in (first, second))
            raise InputError(
                f"{partner.path}: chains {a} and {b} lie on one another (copies of one structure?); choose one"
            )
