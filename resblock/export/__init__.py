"""What the next program reads: restraints, constraints, hotspots and selections of a prediction."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from resblock.errors import InputError
from resblock.export.cofolding import boltz, chai, protenix
from resblock.export.design import bindcraft, boltzgen, rfdiffusion
from resblock.export.docking import cluspro, haddock, hdock, lightdock, pydock
from resblock.export.options import Options
from resblock.export.selections import chimerax, pymol, residues
from resblock.files import write_text
from resblock.pairs.tables import Results

#: From a format to what makes its files: their contents by name.
FORMATS: Final[Mapping[str, Callable[[Results, Options], dict[str, str]]]] = {
    one.__name__: one
    for one in (
        haddock, lightdock, pydock, cluspro, hdock, boltz, chai, protenix, rfdiffusion, bindcraft, boltzgen, pymol,
        chimerax, residues,
    )
}  # fmt: skip


def export(results: Results, format: str, directory: Path, options: Options) -> list[Path]:
    """Write the files of a format into a directory; they are listed.

    Raises
    ------
    InputError
        If there is no such format, or it cannot hold the partners.
    """
    check_formats([format])
    files = FORMATS[format](results, options)
    for name, text in files.items():
        write_text(directory / name, text)
    return [directory / name for name in files]


def check_formats(formats: list[str]) -> None:
    """Refuse what is no format (`InputError`)."""
    for format in formats:
        if format not in FORMATS:
            raise InputError(f"format {format!r} is unknown; choose from {', '.join(FORMATS)}")


__all__ = ["FORMATS", "Options", "check_formats", "export"]
