"""PDB text to a table of atoms, strictly by columns.

Format: https://www.wwpdb.org/documentation/file-format, with what programs add to it: segment names in columns 73-76,
residue numbers beyond 9999 in hybrid-36 or hexadecimal, residue names of four letters, chain names of two.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from resblock.errors import InputError
from resblock.structure.assembly import assemblies_of_pdb
from resblock.structure.names import CAPS, WATERS, is_residue_name, one_letter, parent_residue
from resblock.structure.table import AtomTable, StructureFile

_WIDTH: Final = 80
_AXES: Final = {"x": slice(30, 38), "y": slice(38, 46), "z": slice(46, 54)}
_NUMBER, _OCCUPANCY, _B_FACTOR, _SEGMENT, _ELEMENT = (
    slice(22, 26), slice(54, 60), slice(60, 66), slice(72, 76), slice(76, 78),
)  # fmt: skip
_FLOAT: Final = frozenset("0123456789+-. ")
#: Serial numbers of six digits begin where the record's name ends.
_RECORD: Final = re.compile(r"(?:ATOM(?=[ 0-9]{2}|\s*$)|HETATM|MODEL|ENDMDL|END|TER)(?![A-Z])", re.IGNORECASE)
_SHIFTED: Final = re.compile(r"\s+(?:ATOM  |HETATM)", re.IGNORECASE)
#: After this number four columns hold no decimal one.
_LAST_DECIMAL: Final = 9999


class _Lines(NamedTuple):
    """Atom records: their text, place in the file, model, and whether they come before a TER of their chain."""

    text: list[str]
    line: list[int]
    model: list[int]
    polymer: list[bool]


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
    chains, by_segment = _with_segments(names, chains, field(_SEGMENT), letters[:, 76:80])
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
    remarks = ("chains are named by segments (columns 73-76)",) if by_segment else ()
    return StructureFile(path, "pdb", atoms, _sequences(text), _is_predicted(text), remarks, assemblies_of_pdb(text))


def _atom_lines(path: str, text: str) -> _Lines:
    lines = _Lines([], [], [], [])
    model, models, after_end = 1, set[int](), False
    seen, ended, with_ter = set[str](), set[str](), set[str]()
    for number, line in enumerate(text.splitlines(), start=1):
        record = _RECORD.match(line)
        if record is None:
            if _SHIFTED.match(line):
                raise InputError(f"{path}: line {number} begins with blanks, which shifts its columns; repair the line")
            continue
        kind = record[0].upper().rstrip()
        if kind == "MODEL":
            model = _model_number(line, models)
            ended, seen = set(), set()
        elif kind in ("END", "ENDMDL"):
            after_end = True
        elif kind == "TER":
            if lines.text:
                ended.add(lines.text[-1][20:22])
                with_ter.add(lines.text[-1][20:22])
        else:
            if len(line) < _AXES["z"].stop:
                raise InputError(
                    f"{path}: line {number} ends before its coordinates (truncated file?); copy or download it again"
                )
            # Frames may be told apart by END alone; in other files END stands between chains.
            if after_end:
                after_end = False
                if line[12:27] in seen:
                    model, ended, seen = max(models) + 1, set(), set()
            seen.add(line[12:27])
            lines.text.append(_plain(line))
            lines.line.append(number)
            lines.model.append(model)
            models.add(model)
            lines.polymer.append(line[20:22] not in ended)
    # Where no TER ends a chain, nothing says of an atom behind it that it is part of the polymer.
    lines.polymer[:] = [
        before and line[20:22] in with_ter for before, line in zip(lines.polymer, lines.text, strict=True)
    ]
    return lines


def _model_number(line: str, taken: Collection[int]) -> int:
    """The number that the file gives a model, or the next one where it gives none, or one for the second time."""
    word = line[6:20].strip()
    number = int(word) if re.fullmatch(r"[0-9]{1,9}", word) else None
    return max(taken, default=0) + 1 if number is None or number in taken else number


def _plain(line: str) -> str:
    """A line of an atom; of a water, where it is and what its number is does not matter, and may be damaged."""
    if line[17:20].strip() in WATERS or line[17:21].strip() in WATERS:
        return f"{line[:22]}   0 {'   '}{'   0.000' * 3}{'':26}{line[80:]}"
    return line


def _names_and_chains(
    names: NDArray[np.str_], between: NDArray[np.str_], chains: NDArray[np.str_]
) -> tuple[NDArray[np.str_], NDArray[np.str_]]:
    """Column 21 is blank, the fourth letter of a residue name that has four, or the first of a chain name of two.

    A chain has residues of other names than those of four letters, too.
    """
    longer, pairs = np.char.add(names, between), np.char.add(between, chains)
    fourth = np.zeros(len(names), dtype=np.bool_)
    for pair in np.unique(pairs[between != ""]).tolist():
        here = (pairs == pair) & (between != "")
        of_four = all(map(_is_known, np.unique(longer[here]).tolist()))
        fourth[here] = of_four or not any(map(_is_known, np.unique(names[here]).tolist()))
    return np.where(fourth, longer, names), np.where(fourth, chains, pairs)


def _is_known(name: str) -> bool:
    return is_residue_name(name) or name in WATERS or name in CAPS


def _with_segments(
    names: NDArray[np.str_], chains: NDArray[np.str_], segments: NDArray[np.str_], last: NDArray[np.str_]
) -> tuple[NDArray[np.str_], bool]:
    """Segment names where no residue has a chain name; not the entry's name that old files have there, and a number."""
    known = np.unique(names)[[is_residue_name(name) for name in np.unique(names).tolist()]]
    protein = np.isin(names, known)
    if (chains[protein] != "").any() or (segments[protein] == "").all():
        return chains, False
    if np.char.isdigit(last[protein]).any(axis=1).mean() > 0.5:
        return chains, False
    return np.where(chains == "", segments, chains), True


def _numbers(path: str, lines: _Lines, written: NDArray[np.str_]) -> NDArray[np.int64]:
    """Residue numbers: decimal, hybrid-36 (A000 follows 9999), or hexadecimal (2710 follows 9999)."""
    numbers = np.empty(len(written), dtype=np.int64)
    word, value, hexadecimal, reached = "", 0, False, False
    for row, following in enumerate(written.tolist()):
        if following != word:
            hexadecimal |= reached and bool(re.fullmatch(r"2710|[0-9][0-9A-F]*[A-F][0-9A-F]*", following))
            found = _number(following, value if hexadecimal else None)
            if found is None:
                raise InputError(
                    f"{path}: line {lines.line[row]}: residue number {lines.text[row][_NUMBER]!r} (columns 23-26) "
                    "is not a whole number; repair the line"
                )
            reached |= found == _LAST_DECIMAL
            word, value = following, found
        numbers[row] = value
    return numbers


def _number(word: str, before: int | None) -> int | None:
    """A residue number, in hexadecimal files the reading that is nearer to the one before; None if it is none."""
    decimal = int(word) if re.fullmatch(r"[+-]?[0-9]+", word) else None
    if before is not None and re.fullmatch(r"[0-9A-F]{4}", word):
        options = [int(word, 16)] if decimal is None else [int(word, 16), decimal]
        return min(options, key=lambda number: abs(number - before))
    if decimal is not None:
        return decimal
    if re.fullmatch(r"[A-Z][0-9A-Z]{3}", word):
        return int(word, 36) - 10 * 36**3 + 10_000
    if re.fullmatch(r"[a-z][0-9a-z]{3}", word):
        return int(word, 36) + 16 * 36**3 + 10_000
    return None


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
            chain = line[10:12].strip()
            found[chain] = found.get(chain, "") + letters
    return found


#: Lines by which programs say in the header that they predicted the structure, or that the B-factors are pLDDT.
_PREDICTED: Final = re.compile("PLDDT|(?:ALPHAFOLD|ESMFOLD|COLABFOLD|OPENFOLD|BOLTZ|CHAI).*PREDICT")
#: An experiment may name such a program, as the source of its starting model.
_EXPERIMENT: Final = re.compile(r"^EXPDTA(?!.*THEORETICAL)", re.MULTILINE)


def _is_predicted(text: str) -> bool:
    """Whether the lines before the first atom call the B-factor pLDDT, or name a program that writes it there."""
    header = re.split(r"^(?:ATOM|HETATM|MODEL)", text, maxsplit=1, flags=re.MULTILINE)[0].upper()
    return bool(_PREDICTED.search(header)) and not _EXPERIMENT.search(header)
