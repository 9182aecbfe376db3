"""PDB and mmCIF text to the first model of a Biopython structure."""

from __future__ import annotations

import io
import warnings
from typing import Any, NamedTuple

from Bio.PDB.MMCIFParser import MMCIFParser
from Bio.PDB.PDBParser import PDBParser

from resblock.errors import InputError
from resblock.structure.sequence import stated_sequences

_COORDINATE_COLUMNS = {"x": slice(30, 38), "y": slice(38, 46), "z": slice(46, 54)}
_OCCUPANCY = slice(54, 60)


class Parsed(NamedTuple):
    """First model of a file as a `Bio.PDB.Model.Model`, and the sequences that the file states, by chain."""

    model: Any
    sequences: dict[str, str]


def parse_structure(path: str, content: bytes) -> Parsed:
    """First model of a PDB or mmCIF file, told apart by the first line.

    Parameters
    ----------
    path
        Named in the errors.
    content
        The file's bytes, decompressed.

    Raises
    ------
    InputError
        The content is not text, holds no atoms, or is damaged.
    """
    if b"\0" in content:
        raise InputError(f"{path}: not a text file; give a PDB or mmCIF file")
    text = content.decode("utf-8", errors="replace")
    mmcif = _is_mmcif(text)
    structure = _parse_mmcif(path, text) if mmcif else _parse_pdb(path, text)
    return Parsed(_first_model(path, structure), stated_sequences(text, mmcif))


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
    parser: Any = MMCIFParser  # Biopython is partly typed
    return _parse(path, "mmCIF file", parser(), text)


def _parse_pdb(path: str, text: str) -> Any:
    parser: Any = PDBParser
    return _parse(path, "PDB file", parser(), "".join(_atom_lines(path, text)))


def _parse(path: str, kind: str, parser: Any, text: str) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return parser.get_structure("partner", io.StringIO(text))
    # The parsers meet damaged text with whatever their next step happens to raise.
    except Exception as error:
        missing = isinstance(error, KeyError)
        reason = f"{error.args[0]} is missing" if missing else " ".join(str(error).split())
        raise InputError(f"{path}: damaged {kind} ({reason[:120]}); copy or download it again") from None


def _atom_lines(path: str, text: str) -> list[str]:
    """Atom records of the first model, checked, and without what misleads the parser.

    Docking-benchmark files have END between chains, and the entry's name and a line number where
    newer files have segment and element.
    """
    lines: list[str] = []
    seen: set[str] = set()
    names: dict[str, str] = {}
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
        if _occupancy(line).strip() in ("nan", "inf", "-inf"):
            raise InputError(
                f"{path}: line {number}: occupancy {line[_OCCUPANCY]!r} (columns 55-60) is not a number; repair it"
            )
        if line[16] == " ":
            # The parser would drop the second copy, or add its atoms to the residue before.
            residue, name, atom = record + line[21:27], line[17:20], record + line[12:27]
            if atom in seen or names.setdefault(residue, name) != name:
                raise InputError(
                    f"{path}: line {number}: chain {line[21].strip() or '(blank)'} residue "
                    f"{name.strip()} {line[22:27].strip()} atom {line[12:16].strip()}: this chain "
                    "and residue number stand for another residue above; give each chain its own "
                    "name"
                )
            seen.add(atom)
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
