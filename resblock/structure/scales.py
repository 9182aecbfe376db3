"""Published numbers per residue or atom type; every table names its source."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

UNKNOWN: Final = "UNK"

BACKBONE_ATOMS: Final = ("N", "CA", "C", "O")

#: Heavy side-chain atoms of the twenty residues, names as in the Protein Data Bank.
SIDE_CHAIN_ATOMS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        name: tuple(atoms.split())
        for name, atoms in {
            "ALA": "CB",
            "ARG": "CB CG CD NE CZ NH1 NH2",
            "ASN": "CB CG OD1 ND2",
            "ASP": "CB CG OD1 OD2",
            "CYS": "CB SG",
            "GLN": "CB CG CD OE1 NE2",
            "GLU": "CB CG CD OE1 OE2",
            "GLY": "",
            "HIS": "CB CG ND1 CD2 CE1 NE2",
            "ILE": "CB CG1 CG2 CD1",
            "LEU": "CB CG CD1 CD2",
            "LYS": "CB CG CD CE NZ",
            "MET": "CB CG SD CE",
            "PHE": "CB CG CD1 CD2 CE1 CE2 CZ",
            "PRO": "CB CG CD",
            "SER": "CB OG",
            "THR": "CB OG1 CG2",
            "TRP": "CB CG CD1 CD2 NE1 CE2 CE3 CZ2 CZ3 CH2",
            "TYR": "CB CG CD1 CD2 CE1 CE2 CZ OH",
            "VAL": "CB CG1 CG2",
        }.items()
    }
)

RESIDUE_NAMES: Final = tuple(SIDE_CHAIN_ATOMS)

#: Normalised consensus hydropathy. Eisenberg, Schwarz, Komaromy & Wall, J. Mol. Biol. 179:125
#: (1984). An unknown residue is neutral.
EISENBERG: Final[Mapping[str, float]] = MappingProxyType(
    {
        "ALA": 0.62, "ARG": -2.53, "ASN": -0.78, "ASP": -0.90, "CYS": 0.29,
        "GLN": -0.85, "GLU": -0.74, "GLY": 0.48, "HIS": -0.40, "ILE": 1.38,
        "LEU": 1.06, "LYS": -1.50, "MET": 0.64, "PHE": 1.19, "PRO": 0.12,
        "SER": -0.18, "THR": -0.05, "TRP": 0.81, "TYR": 0.26, "VAL": 1.08,
        UNKNOWN: 0.0,
    }
)  # fmt: skip

#: Hydropathy index. Kyte & Doolittle, J. Mol. Biol. 157:105 (1982). An unknown residue is neutral.
KYTE_DOOLITTLE: Final[Mapping[str, float]] = MappingProxyType(
    {
        "ALA": 1.8, "ARG": -4.5, "ASN": -3.5, "ASP": -3.5, "CYS": 2.5,
        "GLN": -3.5, "GLU": -3.5, "GLY": -0.4, "HIS": -3.2, "ILE": 4.5,
        "LEU": 3.8, "LYS": -3.9, "MET": 1.9, "PHE": 2.8, "PRO": -1.6,
        "SER": -0.8, "THR": -0.7, "TRP": -0.9, "TYR": -1.3, "VAL": 4.2,
        UNKNOWN: 0.0,
    }
)  # fmt: skip

#: Accessible area of residue X in an extended Ala-X-Ala, square Angstrom: `standard.data` of
#: NACCESS, Hubbard & Thornton, University College London (1993). Residues of unknown type are
#: mostly traced as backbone with a C-beta, so they take alanine's.
REFERENCE_AREA: Final[Mapping[str, float]] = MappingProxyType(
    {
        "ALA": 107.95, "ARG": 238.76, "ASN": 143.94, "ASP": 140.39, "CYS": 134.28,
        "GLN": 178.50, "GLU": 172.25, "GLY": 80.10, "HIS": 182.88, "ILE": 175.12,
        "LEU": 178.63, "LYS": 200.81, "MET": 194.15, "PHE": 199.48, "PRO": 136.13,
        "SER": 116.50, "THR": 139.27, "TRP": 249.36, "TYR": 212.76, "VAL": 151.44,
        UNKNOWN: 107.95,
    }
)  # fmt: skip

#: Side-chain pKa in water, the model values of PROPKA 3. Olsson, Sondergaard, Rostkowski & Jensen,
#: J. Chem. Theory Comput. 7:525 (2011). Residues not listed do not titrate.
MODEL_PKA: Final[Mapping[str, float]] = MappingProxyType(
    {"ASP": 3.8, "GLU": 4.5, "HIS": 6.5, "CYS": 9.0, "TYR": 10.0, "LYS": 10.5, "ARG": 12.5}
)

#: Stands in for the pKa of a residue that does not titrate: neutral water.
NEUTRAL_PKA: Final = 7.0

#: Charge of a side chain in neutral water, elementary charges; half-protonated histidine by its model
#: pKa of 6.5 and the Henderson-Hasselbalch equation.
CHARGE: Final[Mapping[str, float]] = MappingProxyType({"ARG": 1.0, "LYS": 1.0, "HIS": 0.24, "ASP": -1.0, "GLU": -1.0})

#: Volume of a residue in a protein, cubic Angstrom. Zamyatnin, Prog. Biophys. Mol. Biol. 24:107 (1972).
VOLUME: Final[Mapping[str, float]] = MappingProxyType(
    {
        "ALA": 88.6, "ARG": 173.4, "ASN": 114.1, "ASP": 111.1, "CYS": 108.5,
        "GLN": 143.8, "GLU": 138.4, "GLY": 60.1, "HIS": 153.2, "ILE": 166.7,
        "LEU": 166.7, "LYS": 168.6, "MET": 162.9, "PHE": 189.9, "PRO": 112.7,
        "SER": 89.0, "THR": 116.1, "TRP": 227.8, "TYR": 193.6, "VAL": 140.0,
    }
)  # fmt: skip

#: Types over-represented in interfaces between proteins that also exist apart: Jones & Thornton,
#: J. Mol. Biol. 272:121 (1997).
STICKY: Final = frozenset({"PHE", "TRP", "TYR", "MET", "ILE", "LEU", "VAL", "HIS"})

#: Carbons with three neighbours; every residue's carbonyl C is one more.
_SP2_CARBONS: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "ARG": frozenset({"CZ"}),
        "ASN": frozenset({"CG"}),
        "ASP": frozenset({"CG"}),
        "GLN": frozenset({"CD"}),
        "GLU": frozenset({"CD"}),
        "HIS": frozenset({"CG", "CD2", "CE1"}),
        "PHE": frozenset({"CG", "CD1", "CD2", "CE1", "CE2", "CZ"}),
        "TRP": frozenset({"CG", "CD1", "CD2", "CE2", "CE3", "CZ2", "CZ3", "CH2"}),
        "TYR": frozenset({"CG", "CD1", "CD2", "CE1", "CE2", "CZ"}),
    }
)

#: By element where the atom type is not one of a standard residue: NACCESS `vdw.radii` for N, O and
#: S; Bondi, J. Phys. Chem. 68:441 (1964), for the rest.
_ELEMENT_RADII: Final[Mapping[str, float]] = MappingProxyType(
    {"C": 1.87, "N": 1.65, "O": 1.40, "S": 1.85, "SE": 1.90, "P": 1.80, "F": 1.47, "CL": 1.75,
     "BR": 1.85, "I": 1.98}
)  # fmt: skip
_OTHER_RADIUS: Final = 1.80


def atom_radius(parent: str, atom: str, element: str) -> float:
    """Van der Waals radius of a heavy atom, Angstrom: NACCESS (Chothia, Nature 254:304, 1975).

    Parameters
    ----------
    parent
        One of the twenty residue names, or ``UNK``.
    atom, element
        Atom name (``CG1``) and element symbol in capitals (``C``).
    """
    if element == "C" and (atom == "C" or atom in _SP2_CARBONS.get(parent, ())):
        return 1.76
    if parent == "LYS" and atom == "NZ":
        return 1.50
    return _ELEMENT_RADII.get(element, _OTHER_RADIUS)
