"""What kind of structure file it is, told by its content whatever its name."""

from __future__ import annotations

import codecs

from resblock.errors import InputError
from resblock.structure.bcif import is_bcif, read_bcif
from resblock.structure.cif import read_mmcif
from resblock.structure.pdb import read_pdb
from resblock.structure.table import StructureFile

_ZIP = b"PK\x03\x04"


def read_structure(path: str, content: bytes) -> StructureFile:
    """Read a PDB, mmCIF or BinaryCIF file.

    Parameters
    ----------
    path
        Named in the errors.
    content
        The file's bytes, decompressed.

    Raises
    ------
    InputError
        The content is of no such kind, holds no atoms, or is damaged.
    """
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise InputError(f"{path}: text in UTF-16; save it in UTF-8")
    if content.startswith(_ZIP):
        raise InputError(f"{path}: a zip archive; unpack it, and give the structure file in it")
    if is_bcif(content):
        return read_bcif(path, content)
    if b"\0" in content:
        raise InputError(f"{path}: not a text file; give a PDB or mmCIF file")
    text = content.decode("utf-8-sig", errors="replace")
    return read_mmcif(path, text) if _is_mmcif(text) else read_pdb(path, text)


def _is_mmcif(text: str) -> bool:
    for line in text.splitlines():
        word = line.strip()
        if word and not word.startswith("#"):
            return word.lower().startswith("data_")
    return False
