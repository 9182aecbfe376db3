"""PDB text to a table of atoms, strictly by columns.

Format: https://www.wwpdb.org/documentation/file-format, with what programs add to it: segment names in columns 73-76,
residue numbers beyond 9999 in hybrid-36 or hexadecimal, residue names of four letters, chain names of two.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from resblock.errors import InputError
from resblock.structure.assembly import assemblies_of_pdb
from resblock.structure.names import is_residue_name, one_letter, parent_residue
from resblock.structure.table import AtomTable, StructureFile

_WIDTH: Final = 80
_AXES: Final = {"x": slice(30, 38), "y": slice(38, 46), "z": slice(46, 54)}
_NUMBER, _OCCUPANCY, _B_FACTOR, _SEGMENT, _ELEMENT = (
    slice(22, 26), slice(54, 60), slice(60, 66), slice(72, 76), slice(76, 78),
)  # fmt: skip
_FLOAT: Final = frozenset("0123456789+-. ")


class _Lines(NamedTuple):
    """Atom records: their text, place in the file, model, and whether they come before their chain's TER."""

    text: list[str]
    line: list[int]
    model: list[int]
    polymer: list[bool]
    remarks: list[str]


def read_pdb(path: str, text: str) -> StructureFile:
    """Read a PDB file.

    Raises
    ------
    InputError
        There are no atoms, or a line is damaged.
    """
    lines = _atom_lines(path, text)
    if not lines.text:
        raise InputError(f"{path}: no ATOM records and not mmCIF; is this a structure file?")
    columns = np.array([line.ljust(_WIDTH)[:_WIDTH] for line in lines.text], dtype=f"U{_WIDTH}")
    letters = columns.view("U1").reshape(len(columns), _WIDTH)

    def field(place: slice) -> NDArray[np.str_]:
        return np.char.strip(np.ascontiguousarray(letters[:, place]).view(f"U{place.stop - place.start}").ravel())

    names, chains = _names_and_chains(field(slice(17, 20)), field(slice(20, 21)), field(slice(21, 22)))
    chains, by_segment = _with_segments(chains, field(_SEGMENT), letters[:, 76:80])
    atoms = AtomTable(
        line=np.array(lines.line, dtype=np.int64),
        model=np.array(lines.model, dtype=np.int64),
        chain=chains,
        subchain=chains,
        number=_numbers(path, lines, field(_NUMBER)),
        insertion_code=field(slice(26, 27)),
        name=names,
        hetero=letters[:, 0] == "H",
        polymer=np.array(lines.polymer, dtype=np.bool_),
        atom=field(slice(12, 16)),
        element=_elements(field(_ELEMENT)),
        alternative=field(slice(16, 17)),
        occupancy=_optional(path, lines, letters, "occupancy", _OCCUPANCY, 1.0),
        b_factor=_optional(path, lines, letters, "B-factor", _B_FACTOR, 0.0),
        xyz=np.column_stack([_coordinates(path, lines, letters, axis, place) for axis, place in _AXES.items()]),
    )
    remarks = [*lines.remarks, *(["chains are named by segments (columns 73-76)"] if by_segment else [])]
    return StructureFile(
        path, "pdb", atoms, _sequences(text), _is_predicted(text), tuple(remarks), assemblies_of_pdb(text)
    )


def _atom_lines(path: str, text: str) -> _Lines:
    lines = _Lines([], [], [], [], [])
    model, ended = 1, set[str]()
    seen: set[str] = set()
    after_end = False
    for number, line in enumerate(text.splitlines(), start=1):
        record = line[:6].upper().rstrip()
        if record == "MODEL":
            if lines.text:
                model += 1
            ended, seen, after_end = set(), set(), False
        elif record == "END":
            after_end = True
        elif record == "TER":
            if lines.text:
                ended.add(lines.text[-1][20:22])
        elif record in ("ATOM", "HETATM"):
            if len(line) < _AXES["z"].stop:
                raise InputError(
                    f"{path}: line {number} ends before its coordinates (truncated file?); copy or download it again"
                )
            # Frames may be told apart by END alone; in other files END stands between chains.
            if after_end:
                after_end = False
                if line[12:27] in seen:
                    model, ended, seen = model + 1, set(), set()
            seen.add(line[12:27])
            lines.text.append(line)
            lines.line.append(number)
            lines.model.append(model)
            lines.polymer.append(line[20:22] not in ended)
    return lines


def _names_and_chains(
    names: NDArray[np.str_], between: NDArray[np.str_], chains: NDArray[np.str_]
) -> tuple[NDArray[np.str_], NDArray[np.str_]]:
    """Column 21 is blank, the fourth letter of a residue name that has four, or the first of a chain name of two."""
    if (between != "").mean() > 0.5:  # few residues have four letters, and HISA is HIS of a chain AA otherwise
        return names, np.char.add(between, chains)
    longer = np.char.add(names, between)
    known = {name: is_residue_name(name) for name in np.unique(longer[between != ""]).tolist()}
    fourth = np.array([known.get(name, False) for name in longer.tolist()], dtype=np.bool_) & (between != "")
    return np.where(fourth, longer, names), np.where(fourth, chains, np.char.add(between, chains))


def _with_segments(
    chains: NDArray[np.str_], segments: NDArray[np.str_], last: NDArray[np.str_]
) -> tuple[NDArray[np.str_], bool]:
    """Segment names where no atom has a chain name; not the entry's name that old files have there, before a number."""
    legacy = np.char.isdigit(last).any(axis=1).mean() > 0.5
    if (chains != "").any() or (segments == "").all() or legacy:
        return chains, False
    return segments, True


def _numbers(path: str, lines: _Lines, written: NDArray[np.str_]) -> NDArray[np.int64]:
    """Residue numbers: decimal, hybrid-36 (A000 follows 9999), or hexadecimal (2710 follows 9999)."""
    values = dict[str, int]()
    odd = [word for word in np.unique(written).tolist() if not re.fullmatch(r"[+-]?[0-9]+", word)]
    hexadecimal = any(re.fullmatch(r"[0-9][0-9A-Fa-f]{3}", word) for word in odd)
    for word in np.unique(written).tolist():
        if word not in odd:
            values[word] = int(word)
        elif hexadecimal and re.fullmatch(r"[0-9A-Fa-f]{4}", word):
            values[word] = int(word, 16)
        elif re.fullmatch(r"[A-Z][0-9A-Z]{3}", word):
            values[word] = int(word, 36) - 10 * 36**3 + 10_000
        elif re.fullmatch(r"[a-z][0-9a-z]{3}", word):
            values[word] = int(word, 36) + 16 * 36**3 + 10_000
        else:
            at = int(np.flatnonzero(written == word)[0])
            raise InputError(
                f"{path}: line {lines.line[at]}: residue number {lines.text[at][_NUMBER]!r} (columns 23-26) "
                "is not a whole number; repair the line"
            )
    numbers = np.array([values[word] for word in written.tolist()], dtype=np.int64)
    if hexadecimal:
        # What follows 9999 and looks decimal is hexadecimal, too.
        beyond = np.cumsum(numbers == 9999) > 0
        decimal = beyond & (numbers < 9999) & (np.char.str_len(written) == 4)
        numbers[decimal] = [int(word, 16) for word in written[decimal].tolist()]
    return numbers


def _coordinates(path: str, lines: _Lines, letters: NDArray[np.str_], axis: str, place: slice) -> NDArray[np.float64]:
    values, wrong = _floats(letters, place)
    if len(wrong):
        at = int(wrong[0])
        raise InputError(
            f"{path}: line {lines.line[at]}: {axis} coordinate {lines.text[at][place]!r} (columns "
            f"{place.start + 1}-{place.stop}) is not a number; repair the line"
        )
    return values


def _optional(
    path: str, lines: _Lines, letters: NDArray[np.str_], what: str, place: slice, default: float
) -> NDArray[np.float64]:
    """A column that may be blank or cut off, but not hold what is no finite number."""
    blank = (letters[:, place] == " ").all(axis=1)
    filled = letters.copy()
    filled[blank, place.start] = "0"
    values, wrong = _floats(filled, place)
    for at in wrong.tolist():
        word = lines.text[at][place].strip()
        if re.fullmatch(r"[-+]?(nan|inf|infinity)", word, re.IGNORECASE):
            raise InputError(
                f"{path}: line {lines.line[at]}: {what} {lines.text[at][place]!r} (columns {place.start + 1}-"
                f"{place.stop}) is not a number; repair it"
            )
        values[at] = default
    values[blank] = default
    return values


def _floats(letters: NDArray[np.str_], place: slice) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Numbers of a column, and the rows in which it holds none; no exponents, no underscores."""
    words = np.char.strip(np.ascontiguousarray(letters[:, place]).view(f"U{place.stop - place.start}").ravel())
    try:
        if np.isin(letters[:, place], list(_FLOAT)).all():
            return words.astype(np.float64), np.empty(0, dtype=np.int64)
    except ValueError:
        pass
    values, wrong = np.zeros(len(words)), []
    for row, word in enumerate(words.tolist()):
        try:
            values[row] = float(word) if _FLOAT.issuperset(word) else _no_number(word)
        except ValueError:
            wrong.append(row)
    return values, np.array(wrong, dtype=np.int64)


def _no_number(word: str) -> float:
    raise ValueError(word)


def _elements(written: NDArray[np.str_]) -> NDArray[np.str_]:
    """The element field where it can be one."""
    return np.where(np.char.isalpha(written), np.char.upper(written), "")


def _sequences(text: str) -> dict[str, str]:
    """Sequences of the SEQRES records; of damaged ones what can be read."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        if line.startswith("SEQRES"):
            letters = "".join(one_letter(parent_residue(name)) for name in line[19:70].split())
            found[line[11:12].strip()] = found.get(line[11:12].strip(), "") + letters
    return found


#: Words by which prediction servers say in the header that the B-factors are a confidence.
_PREDICTED: Final = re.compile("ALPHAFOLD|PLDDT|ESMFOLD|COLABFOLD")
#: An experiment may name such a program, as the source of its starting model.
_EXPERIMENT: Final = re.compile(r"^EXPDTA(?!.*THEORETICAL)", re.MULTILINE)


def _is_predicted(text: str) -> bool:
    """Whether the lines before the first atom call the B-factor pLDDT, or name a program that writes it there."""
    header = re.split(r"^(?:ATOM|HETATM|MODEL)", text, maxsplit=1, flags=re.MULTILINE)[0].upper()
    return bool(_PREDICTED.search(header)) and not _EXPERIMENT.search(header)
