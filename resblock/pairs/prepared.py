"""Prepared complexes on the disk: one ``.npz`` file each, without pickle.

Entries of the complex: ``format_version``, ``key``, ``code``, ``lost_contacts``, ``contact_area``, ``distance``; and
for each partner, with ``receptor_`` or ``ligand_`` before the name, every attribute of
`resblock.structure.PartnerFeatures`. Whatever a model may need is in it, but for what a network computes.
"""

from __future__ import annotations

import contextlib
import os
import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from resblock.errors import InputError
from resblock.files import write_atomically
from resblock.pairs.complex import Complex
from resblock.structure.backbone import Backbone
from resblock.structure.features import PartnerFeatures
from resblock.structure.partner import Residue

#: Raise it whenever the meaning of a stored array changes.
FORMAT_VERSION: Final = 4

#: What reading a damaged archive raises.
_DAMAGED: Final = (
    OSError,
    ValueError,
    TypeError,
    KeyError,
    EOFError,
    SyntaxError,  # a header is a Python literal
    tokenize.TokenError,
    RuntimeError,  # an entry marked as encrypted, or packed in an unknown way
    zipfile.BadZipFile,
    zlib.error,
)

#: Stands for a pair table that is not known: were it left out, a damaged file could pass for one without.
_UNKNOWN: Final = np.empty((0, 0), dtype=np.float32)
_RESIDUE_FIELDS: Final = ("chain", "number", "insertion_code", "name", "parent")
_TEXTS: Final = ("feature_names", "sequence", "left_out")
_ARRAYS: Final = ("features", "centres", "surface", "sequence_index")


def save_complex(path: str | os.PathLike[str], complex: Complex) -> None:
    """Write a complex to a file, all or nothing."""
    arrays: dict[str, Any] = {
        "format_version": np.int64(FORMAT_VERSION),
        "key": np.str_(complex.key),
        "code": np.str_(complex.code),
        "lost_contacts": np.int64(complex.lost_contacts),
        "contact_area": _UNKNOWN if complex.contact_area is None else complex.contact_area,
        "distance": _UNKNOWN if complex.distance is None else complex.distance,
    }
    for role, partner in (("receptor", complex.receptor), ("ligand", complex.ligand)):
        arrays |= {f"{role}_{name}": value for name, value in _partner_arrays(partner).items()}
    write_atomically(path, lambda stream: np.savez_compressed(stream, **arrays))


def load_complex(path: str | os.PathLike[str]) -> Complex:
    """Read what `save_complex` wrote.

    Raises
    ------
    InputError
        The file is missing, damaged, of another kind or of another format version.
    """
    with _open(path) as arrays:
        return Complex(
            code=str(arrays["code"]),
            receptor=_partner_from(arrays, "receptor"),
            ligand=_partner_from(arrays, "ligand"),
            contact_area=_known(arrays["contact_area"]),
            distance=_known(arrays["distance"]),
            lost_contacts=int(arrays["lost_contacts"]),
            key=str(arrays["key"]),
        )


def stored_key(path: str | os.PathLike[str]) -> str | None:
    """Key of a prepared complex without reading the rest; None if there is no usable file."""
    try:
        with _open(path) as arrays:
            return str(arrays["key"])
    except InputError:
        return None


def load_complexes(directory: str | os.PathLike[str], codes: Sequence[str] | None = None) -> list[Complex]:
    """Prepared complexes of a directory, sorted by code, or those of `codes` in that order.

    Raises
    ------
    InputError
        The directory or a complex is missing, or a file is unusable.
    """
    directory = Path(directory)
    if not directory.is_dir():
        raise InputError(f"{directory}: no such directory; run `resblock prepare` first")
    if codes is None:
        paths = sorted(directory.glob("*.npz"))
        if not paths:
            raise InputError(f"{directory}: no prepared complexes; run `resblock prepare` first")
    else:
        paths = [directory / f"{code}.npz" for code in codes]
        for code, path in zip(codes, paths, strict=True):
            if not path.is_file():
                raise InputError(f"{directory}: no prepared complex {code}; run `resblock prepare`")
    return [load_complex(path) for path in paths]


@contextlib.contextmanager
def _open(path: str | os.PathLike[str]) -> Iterator[Mapping[str, NDArray[Any]]]:
    """The archive's arrays, each read when asked for; what goes wrong meanwhile is the file's fault."""
    try:
        archive = np.load(path, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise ValueError("not an .npz archive")
        with archive:
            version = int(archive["format_version"])
            if version != FORMAT_VERSION:
                raise ValueError(f"format version {version}, this program reads {FORMAT_VERSION}")
            yield archive
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; check the path") from None
    except _DAMAGED as error:
        reason = error.args[0] if isinstance(error, KeyError) else error  # KeyError puts quotes around it
        raise InputError(f"{path}: not a usable prepared complex ({reason}); run `resblock prepare`") from None


def _known(table: NDArray[np.float32]) -> NDArray[np.float32] | None:
    return table if table.size else None


def _partner_arrays(partner: PartnerFeatures) -> dict[str, NDArray[Any]]:
    columns = {field: [getattr(residue, field) for residue in partner.residues] for field in _RESIDUE_FIELDS}
    arrays = {
        field: np.array(values, dtype=np.int64 if field == "number" else np.str_) for field, values in columns.items()
    }
    return {
        **arrays,
        **{name: np.array(getattr(partner, name), dtype=np.str_) for name in _TEXTS},
        **{name: getattr(partner, name) for name in _ARRAYS},
        "path": np.array(partner.path, dtype=np.str_),
        "backbone": partner.backbone.atoms,
        "linked": partner.backbone.linked,
    }


def _partner_from(arrays: Mapping[str, NDArray[Any]], role: str) -> PartnerFeatures:
    columns = [arrays[f"{role}_{field}"].tolist() for field in _RESIDUE_FIELDS]
    texts: dict[str, Any] = {name: tuple(arrays[f"{role}_{name}"].tolist()) for name in _TEXTS}
    tables: dict[str, Any] = {name: arrays[f"{role}_{name}"] for name in _ARRAYS}
    return PartnerFeatures(
        path=str(arrays[f"{role}_path"]),
        residues=tuple(Residue(*values) for values in zip(*columns, strict=True)),
        backbone=Backbone(arrays[f"{role}_backbone"], arrays[f"{role}_linked"]),
        **texts,
        **tables,
    )
