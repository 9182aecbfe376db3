"""What a user gives for a partner: a file, standard input, or an entry of a data bank with its chains.

Identifiers: https://www.wwpdb.org/documentation/pdb-id-extension-faq, https://www.uniprot.org/help/accession_numbers.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from resblock.errors import InputError
from resblock.files import STANDARD_INPUT

if TYPE_CHECKING:
    from resblock.structure.download import Patience

_PDB: Final = re.compile(r"(?:pdb_0000)?([1-9][a-z0-9]{3})|(pdb_[1-9a-z][a-z0-9]{7})", re.IGNORECASE | re.ASCII)
#: UniProt's own expression, and the number of an isoform.
_UNIPROT: Final = re.compile(
    r"(?:[OPQ][0-9][A-Z0-9]{3}[0-9]|[A-NR-Z][0-9](?:[A-Z][A-Z0-9]{2}[0-9]){1,2})(?:-[1-9][0-9]?)?",
    re.IGNORECASE | re.ASCII,
)


@dataclass(frozen=True)
class Identifier:
    """An entry of a data bank, and the chains that are wanted of it."""

    bank: Literal["PDB", "UniProt"]
    name: str
    """``1BRS``, ``pdb_1000abcd``, ``P11540``, ``P04637-2``."""
    chains: tuple[str, ...] | None = None
    """Author's chain names; all if None."""


@dataclass(frozen=True)
class Located:
    """A structure on this machine."""

    path: str
    """Of the file, or `STANDARD_INPUT`."""
    name: str
    """As messages call it: the path that was given, or the entry."""
    chains: tuple[str, ...] | None = None
    """Chains that were asked for together with the entry; None where none were."""
    remark: str = ""
    """Where it comes from, in a line, if that is not the file that was given."""


def locate(source: str, patience: Patience | None = None) -> Located:
    """Find the structure that a user means, and download it where it is not at hand.

    Parameters
    ----------
    source
        ``-``, the path of a file (which wins over an entry of this name), or an entry of the PDB archive or a UniProt
        accession, with chains after a colon: ``1BRS``, ``1brs:A,D``, ``pdb_00001brs:A``, ``P11540``.
    patience
        How long a download may take.

    Raises
    ------
    InputError
        It is none of these, there is no such entry, or it cannot be downloaded.
    """
    if source == STANDARD_INPUT:
        return Located(STANDARD_INPUT, "standard input")
    if os.path.exists(source) and not os.path.isdir(source):
        return Located(source, source)
    identifier = parse_identifier(source)
    if identifier is None:
        shown = source if source.isprintable() and source else repr(source)
        if os.path.isdir(source):
            raise InputError(f"{shown}: is a directory; give a file")
        raise InputError(
            f"{shown}: no such file, and neither an entry of the PDB archive (such as 1BRS or 1BRS:A,D) nor a UniProt "
            "accession (such as P11540); check the path"
        )
    # What speaks to servers takes a while to import.
    from resblock.structure import banks

    path, remark = banks.find(identifier, patience)
    return Located(str(path), identifier.name, identifier.chains, remark)


def parse_identifier(source: str) -> Identifier | None:
    """Tell an entry of the PDB archive or a UniProt accession, with chains or without; None where it is neither.

    Raises
    ------
    InputError
        It is an entry, but there are no names of chains after its colon.
    """
    entry, colon, names = (part.strip() for part in source.partition(":"))
    chains = tuple(name.strip() for name in names.split(",")) if colon else None
    if name := pdb_name(entry):
        identifier = Identifier("PDB", name, chains)
    elif _UNIPROT.fullmatch(entry):
        identifier = Identifier("UniProt", entry.upper(), chains)
    else:
        return None
    if chains is not None and not all(name.isprintable() and name and ":" not in name for name in chains):
        raise InputError(
            f"{entry}: {names!r} after the colon are no names of chains; give them as {entry}:A or {entry}:A,D"
        )
    return identifier


def pdb_name(text: str) -> str | None:
    """One spelling for an entry of the PDB archive, the classic one where there is one; None where it is no entry."""
    match = _PDB.fullmatch(text)
    if match is None:
        return None
    classic, extended = match.groups()
    return classic.upper() if classic else extended.lower()
