"""Both partners of a prediction, from whatever a user gives for them."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from resblock.errors import InputError
from resblock.files import STANDARD_INPUT
from resblock.structure import Partner, partner_of, read_file
from resblock.structure.fetch import locate

if TYPE_CHECKING:
    from resblock.structure import StructureFile

#: A file, an entry of a data bank, or a partner that has been read.
Source = str | os.PathLike[str] | Partner


def read_partners(
    receptor: Source,
    ligand: Source,
    receptor_chains: Sequence[str] | None = None,
    ligand_chains: Sequence[str] | None = None,
    *,
    model: int | None = None,
    assembly: str | None = None,
) -> tuple[Partner, Partner]:
    """Read both partners; a file that serves for both is read once.

    Parameters
    ----------
    receptor, ligand : path, str or Partner
        A structure file, ``-``, an entry such as ``1BRS:A`` or ``P11540``, or what was read already.
    receptor_chains, ligand_chains : sequence of str, optional
        Author's names of the chains that make the partner; all by default.
    model, assembly : optional
        Of files that have several models, or describe assemblies.

    Raises
    ------
    InputError
        If a file, chain, model or assembly cannot be used.
    """
    sources = (receptor, receptor_chains), (ligand, ligand_chains)
    if os.fspath(STANDARD_INPUT) == receptor == ligand:
        raise InputError("standard input gives one structure; name a file for the other")
    given = {os.fspath(source) for source, _ in sources if not isinstance(source, Partner)}
    opened = {source: _open(source) for source in sorted(given)}
    files = [file for file, _ in opened.values()]
    if assembly is not None and not any(file.assemblies for file in files):
        raise InputError(f"{_named(files)}: describes no assembly {assembly}; leave --assembly out")
    if model is not None and not any(file.has_models for file in files):
        raise InputError(f"{_named(files)}: has one model; leave --model out")
    first, second = (_partner(source, chains, opened, model, assembly) for source, chains in sources)
    return first, second


def _named(files: Sequence[StructureFile]) -> str:
    return files[0].path if files else "the partners given"


def _partner(
    source: Source,
    chains: Sequence[str] | None,
    opened: dict[str, tuple[StructureFile, Sequence[str] | None]],
    model: int | None,
    assembly: str | None,
) -> Partner:
    if isinstance(source, Partner):
        if chains is not None:
            raise InputError(f"{source.path}: has been read; choose chains in read_partner")
        return source
    file, own_chains = opened[os.fspath(source)]
    if chains is not None and own_chains is not None:
        raise InputError(f"{os.fspath(source)}: names chains, and so does an option; leave either out")
    return partner_of(
        file,
        chains if own_chains is None else own_chains,
        model=model if file.has_models else None,
        assembly=assembly if file.assemblies else None,
    )


def _open(source: str) -> tuple[StructureFile, Sequence[str] | None]:
    """A structure file, and the chains that were named together with it."""
    found = locate(source)
    file = read_file(found.path, found.name)
    return dataclasses.replace(file, remarks=(*filter(None, [found.remark]), *file.remarks)), found.chains
