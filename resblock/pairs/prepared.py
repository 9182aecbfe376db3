"""Prepared complexes on the disk: one ``.npz`` file each, without pickle.

Entries of the complex: ``format_version`` and every attribute of `resblock.pairs.Complex` but the partners; and for
each partner, with ``receptor_`` or ``ligand_`` before the name, every attribute of
`resblock.structure.PartnerFeatures`, its residues as an entry for each field. Whatever a model may need is in it, but
for what a network computes.
"""

from __future__ import annotations

import contextlib
import math
import os
import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, get_args

import numpy as np
from numpy.typing import DTypeLike, NDArray

from resblock.errors import InputError
from resblock.files import write_atomically
from resblock.pairs.complex import Complex, Conformation
from resblock.structure.backbone import Backbone
from resblock.structure.features import PartnerFeatures
from resblock.structure.partner import Residue
from resblock.structure.scales import BACKBONE_ATOMS

#: Raise it whenever the meaning of a stored array changes.
FORMAT_VERSION: Final = 5

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
_NAMES: Final = ("code", "key", "origin", "kind", "cluster")
_TEXTS: Final = ("feature_names", "sequence", "left_out")
_ARRAYS: Final = ("features", "centres", "surface", "sequence_index")


def save_complex(path: str | os.PathLike[str], complex: Complex) -> None:
    """Write a complex to a file, all or nothing."""
    arrays: dict[str, Any] = {
        "format_version": np.int64(FORMAT_VERSION),
        **{name: np.str_(getattr(complex, name)) for name in _NAMES},
        "conformations": np.array(complex.conformations, dtype=np.str_),
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
        receptor, ligand = (_partner_from(arrays, role) for role in ("receptor", "ligand"))
        pairs = (len(receptor), len(ligand))
        return Complex(
            receptor=receptor,
            ligand=ligand,
            contact_area=_known(arrays, "contact_area", pairs),
            distance=_known(arrays, "distance", pairs),
            lost_contacts=int(arrays["lost_contacts"]),
            conformations=_conformations(arrays["conformations"].tolist()),
            **{name: str(arrays[name]) for name in _NAMES},
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
    return [load_complex(path) for path in complex_paths(directory, codes)]


def complex_paths(directory: str | os.PathLike[str], codes: Sequence[str] | None = None) -> list[Path]:
    """Files of the prepared complexes of a directory, sorted by code, or of those of `codes` in that order.

    Raises
    ------
    InputError
        The directory or a complex is missing.
    """
    directory = Path(directory)
    if not directory.is_dir():
        raise InputError(f"{directory}: no such directory; run `resblock prepare` first")
    if codes is None:
        paths = sorted(directory.glob("*.npz"), key=lambda path: path.stem)
        if not paths:
            raise InputError(f"{directory}: no prepared complexes; run `resblock prepare` first")
        return paths
    paths = [directory / f"{code}.npz" for code in codes]
    for code, path in zip(codes, paths, strict=True):
        if not path.is_file():
            raise InputError(f"{directory}: no prepared complex {code}; run `resblock prepare`")
    return paths


@contextlib.contextmanager
def _open(path: str | os.PathLike[str]) -> Iterator[Mapping[str, NDArray[Any]]]:
    """The archive's arrays, each read when asked for; what goes wrong meanwhile is the file's fault."""
    try:
        archive = np.load(path, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile) or archive.zip is None:
            raise ValueError("not an .npz archive")
        with archive:
            _check_sizes(archive.zip)
            version = int(archive["format_version"])
            if version != FORMAT_VERSION:
                raise ValueError(f"format version {version}, this program reads {FORMAT_VERSION}")
            yield archive
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; check the path") from None
    except _DAMAGED as error:
        reason = error.args[0] if isinstance(error, KeyError) else error  # KeyError puts quotes around it
        raise InputError(f"{path}: not a usable prepared complex ({reason}); run `resblock prepare`") from None


def _checked(arrays: Mapping[str, NDArray[Any]], name: str, dtype: DTypeLike, shape: tuple[int, ...]) -> NDArray[Any]:
    """An array of a known type and shape."""
    array = arrays[name]
    if array.dtype != dtype or array.shape != shape:
        raise ValueError(f"{name} is {array.dtype} of shape {array.shape}, which does not fit the rest")
    return array


def _check_sizes(archive: zipfile.ZipFile) -> None:
    """Refuse entries that say they hold more numbers than bytes, before memory is taken for these."""
    for entry in archive.infolist():
        with archive.open(entry) as stream:
            read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
            shape, _, dtype = read_header[np.lib.format.read_magic(stream)](stream)
            if math.prod(shape) * dtype.itemsize != entry.file_size - stream.tell():
                raise ValueError(f"{entry.filename} is not as long as it says")


def _known(arrays: Mapping[str, NDArray[Any]], name: str, pairs: tuple[int, int]) -> NDArray[np.float32] | None:
    """A pair table, which may be unknown."""
    if arrays[name].size == 0:
        return None
    table = _checked(arrays, name, np.float32, pairs)
    if (table < 0).any():
        raise ValueError(f"{name} holds negative numbers")
    return table


def _conformations(names: Any) -> tuple[Conformation, Conformation]:
    if len(names) != 2 or not set(names) <= set(get_args(Conformation)):
        raise ValueError(f"conformations are {names}")
    return names[0], names[1]


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
    residues = tuple(Residue(*values) for values in zip(*columns, strict=True))
    texts: dict[str, Any] = {name: tuple(arrays[f"{role}_{name}"].tolist()) for name in _TEXTS}
    n, columns_of_features = len(residues), len(texts["feature_names"])

    def table(name: str, dtype: DTypeLike, *shape: int) -> NDArray[Any]:
        return _checked(arrays, f"{role}_{name}", dtype, (n, *shape))

    partner = PartnerFeatures(
        path=str(arrays[f"{role}_path"]),
        residues=residues,
        backbone=Backbone(table("backbone", np.float64, len(BACKBONE_ATOMS), 3), table("linked", np.bool_)),
        features=table("features", np.float32, columns_of_features),
        centres=table("centres", np.float32, 3),
        surface=table("surface", np.bool_),
        sequence_index=table("sequence_index", np.int64),
        **texts,
    )
    if len(partner.sequence) != len(partner.chains):
        raise ValueError(f"{role}_sequence has {len(partner.sequence)} chains, not {len(partner.chains)}")
    return partner
