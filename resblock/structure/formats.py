"""PDB and mmCIF text to the first model of a Biopython structure."""

from __future__ import annotations

import io
import warnings
from typing import Any

from Bio.PDB.MMCIFParser import MMCIFParser
from Bio.PDB.PDBExceptions import PDBConstructionException, PDBConstructionWarning
from Bio.PDB.PDBParser import PDBParser

from resblock.errors import InputError

_COORDINATE_COLUMNS = {"x": slice(30, 38), "y": slice(38, 46), "z": slice(46, 54)}
_OCCUPANCY = slice(54, 60)


def parse_structure(path: str, content: bytes) -> Any:
    """First model of a PDB or mmCIF file, told apart by the first line.

    Parameters
    ----------
    path
        Named in the errors.
    content
        The file's bytes, decompressed.

    Returns
    -------
    Bio.PDB.Model.Model

    Raises
    ------
    InputError
        The content is not text, holds no atoms, or is damaged.
    """
    if b"\0" in content:
        raise InputError(f"{path}: not a text file; give a PDB or mmCIF file")
    text = content.decode("utf-8", errors="replace")
    if _is_mmcif(text):
        return _first_model(path, _parse_mmcif(path, text))
    return _first_model(path, _parse_pdb(path, text))


def _is_mmcif(text: str) -> bool:
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            return line.lower().startswith("data_")
    return False


def _first_model(path: str, structure: Any) -> Any:
    model = next(iter(structure), None)
    if model is None or next(model.get_atoms(), None) is None:
        raise InputError(f"{path}: no atoms found; is this a PDB or mmCIF file?")
    return model


def _parse_mmcif(path: str, text: str) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PDBConstructionWarning)
            parser: Any = MMCIFParser  # Biopython is partly typed
            return parser().get_structure("partner", io.StringIO(text))
    # The parser meets damaged text with whatever its next step happens to raise.
    except (PDBConstructionException, ValueError, KeyError, IndexError, TypeError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{path}: damaged mmCIF ({reason[:120]}); copy or download it again") from None


def _parse_pdb(path: str, text: str) -> Any:
    lines = _atom_lines(path, text)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", PDBConstructionWarning)
            parser: Any = PDBParser
            structure = parser().get_structure("partner", io.StringIO("".join(lines)))
    except (PDBConstructionException, ValueError, KeyError, IndexError, TypeError) as error:
        raise InputError(
            f"{path}: damaged PDB file ({' '.join(str(error).split())[:120]}); copy or download it again"
        ) from None
    for warning in caught:
        # The parser would go on to add such a residue's atoms to the one before.
        if "Blank altlocs in duplicate residue" in str(warning.message):
            residue = str(warning.message).partition("duplicate residue ")[2].partition(" at line")
            raise InputError(
                f"{path}: two residues with different names share chain and number "
                f"{residue[0]}; give each chain its own name"
            )
    return structure


def _atom_lines(path: str, text: str) -> list[str]:
    """Atom records of the first model, checked, and without what misleads the parser.

    Docking-benchmark files have END between chains, and the entry's name and a line number where
    newer files have segment and element.
    """
    lines: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        record = line[:6].upper()
        if record == "ENDMDL" and lines:
            break
        if record not in ("ATOM  ", "HETATM"):
            continue
        if len(line) < _COORDINATE_COLUMNS["z"].stop:
            raise InputError(
                f"{path}: line {number} ends before its coordinates (truncated file?); copy or download it again"
            )
        try:
            int(line[22:26])
        except ValueError:
            raise InputError(
                f"{path}: line {number}: residue number {line[22:26]!r} (columns 23-26) "
                "is not a whole number; repair the line"
            ) from None
        for axis, columns in _COORDINATE_COLUMNS.items():
            try:
                float(line[columns])
            except ValueError:
                raise InputError(
                    f"{path}: line {number}: {axis} coordinate {line[columns]!r} (columns "
                    f"{columns.start + 1}-{columns.stop}) is not a number; repair the line"
                ) from None
        lines.append(f"{record}{line[6:54]}{_occupancy(line)}  0.00{'':10}{_element(line)}\n")
    if not lines:
        raise InputError(f"{path}: no ATOM records and not mmCIF; is this a structure file?")
    return lines


def _occupancy(line: str) -> str:
    """The occupancy field, full where the file has none."""
    try:
        return f"{float(line[_OCCUPANCY]):6.2f}"[:6]
    except ValueError:
        return "  1.00"


def _element(line: str) -> str:
    """The element field where it can be one, else blank: the parser then goes by the name."""
    element = line[76:78]
    return f"{element:2}" if element.strip().isalpha() else "  "
