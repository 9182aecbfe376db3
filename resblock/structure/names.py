"""Names of residues: which of the twenty each stands for, and which stand for none.

Modified residues are those of the PDB's chemical component dictionary, in the tables that Biopython
(`Bio.Data.PDBData`) and gemmi make of it; the names of force fields are here.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import gemmi
from Bio.Data.PDBData import protein_letters_1to3, protein_letters_3to1_extended

from resblock.structure.scales import SIDE_CHAIN_ATOMS, UNKNOWN

#: Names that simulations give to protonation states and bridges (Amber, CHARMM, GROMACS, GROMOS).
_FORCE_FIELDS: Final = {
    "HIS": "HSD HSE HSP HID HIE HIP HISD HISE HISH HISP HISA HISB HIS1 HIS2 HSC",
    "CYS": "CYX CYM CYSH CYS1 CYS2 CYN CYZ CYSS",
    "ASP": "ASH ASPH ASPP",
    "GLU": "GLH GLUH GLUP",
    "LYS": "LYN LYSH LYSN LYP LSN",
    "ARG": "ARN ARGN",
    "TYR": "TYM TYRU",
}
#: Letters of the dictionary that stand for none of the twenty, or for either of two.
_LETTERS: Final = {"U": "CYS", "O": "LYS", "B": "ASP", "Z": "GLU"}
_SIMULATED: Final = {name: parent for parent, names in _FORCE_FIELDS.items() for name in names.split()}
_STANDARD: Final = {name.upper(): name.upper() for name in protein_letters_1to3.values()}
#: Amber's names of residues at the ends of a chain.
_TERMINAL: Final = {
    f"{end}{name}": parent for end in "NC" for name, parent in (_STANDARD | _SIMULATED).items() if len(name) == 3
}
WATERS: Final = frozenset(
    (
        "HOH",
        "WAT",
        "DOD",
        "H2O",
        "SOL",
        "TIP",
        "TIP3",
        "TIP4",
        "TIP5",
        "T3P",
        "T4P",
        "TP3",
        "TP4",
        "TP5",
        "SPC",
        "OH2",
        "W",
    )
)
#: What blocks the ends of a chain: bonded into it, and no residue.
CAPS: Final = frozenset(("ACE", "NH2", "NME", "NMA", "FOR", "NHE", "NAC", "CT1", "CT2", "CT3", "NTER", "CTER"))
#: Atoms whose names force fields have changed, by parent; of any residue under the empty name.
_RENAMED: Final = {"ILE": {"CD": "CD1"}, "": {"OT1": "O", "OT2": "OXT", "OC1": "O", "OC2": "OXT"}}


def parent_residue(name: str, atoms: Collection[str] = ()) -> str:
    """One of the twenty residue names that `name` is a form of (MSE -> MET), else ``UNK``.

    Where a force field and the dictionary mean different residues by one name (HSE: histidine, homoserine), the atoms
    that are there decide.
    """
    by_dictionary = _of_dictionary(name)
    by_force_field = _SIMULATED.get(name) or (_TERMINAL.get(name) if by_dictionary == UNKNOWN else None)
    if by_force_field is None or by_force_field == by_dictionary:
        return by_dictionary
    if by_dictionary == UNKNOWN:
        return by_force_field
    return max(by_dictionary, by_force_field, key=lambda parent: _likeness(parent, atoms))


def _of_dictionary(name: str) -> str:
    letter = protein_letters_3to1_extended.get(name)
    if letter is None:  # D-amino acids are in gemmi's table alone
        component = gemmi.find_tabulated_residue(name)
        letter = component.one_letter_code.upper() if component.is_amino_acid() else "X"
    return str(_LETTERS.get(letter) or protein_letters_1to3.get(letter, UNKNOWN)).upper()


def _likeness(parent: str, atoms: Collection[str]) -> float:
    expected, found = set(SIDE_CHAIN_ATOMS.get(parent, ())), set(atoms)
    return len(expected & found) / max(len(expected), 1)


def is_residue_name(name: str) -> bool:
    """Whether a name is known to be that of an amino acid in a chain."""
    return name == UNKNOWN or parent_residue(name) != UNKNOWN


def is_standard(name: str) -> bool:
    """Whether a name is that of one of the twenty, by the dictionary or by a force field."""
    return name in _STANDARD or name in _SIMULATED or name in _TERMINAL


def nucleic_acid(name: str) -> str:
    """``DNA`` or ``RNA`` where a name is that of a nucleotide, else empty."""
    kind = gemmi.find_tabulated_residue(name).kind
    return {gemmi.ResidueKind.DNA: "DNA", gemmi.ResidueKind.RNA: "RNA"}.get(kind, "")


def standard_atom(name: str, parent: str) -> str:
    """An atom's name as the PDB has it, where a force field has another."""
    return _RENAMED.get(parent, {}).get(name) or _RENAMED[""].get(name, name)


def one_letter(parent: str) -> str:
    """One-letter code of one of the twenty residue names; ``X`` for ``UNK``."""
    return str(protein_letters_3to1_extended.get(parent, "X"))
