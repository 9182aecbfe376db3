"""BinaryCIF to the columns of its categories. Specification: https://github.com/molstar/BinaryCIF (version 0.3).

Biotite's decoder would bring 55 MB of packages, and Biopython's is private and computes interval quantization wrongly.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any, Final

import msgpack
import numpy as np
from numpy.typing import NDArray

from resblock.errors import InputError
from resblock.structure.cif import Column, joined_blocks, read_block
from resblock.structure.table import StructureFile

#: More atoms than any entry of the PDB has. Run lengths say in a few bytes how often a value stands.
MAX_ROWS: Final = 5_000_000

_TYPES: Final = {1: "<i1", 2: "<i2", 3: "<i4", 4: "<u1", 5: "<u2", 6: "<u4", 32: "<f4", 33: "<f8"}
#: What unpacking and decoding of damaged files raise; msgpack's own errors are ValueErrors.
_DAMAGED: Final = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError)
#: What the mask of a column says: the value is there, does not apply (.), or is unknown (?).
_PRESENT: Final = 0

_Encoding = Mapping[str, Any]


def is_bcif(content: bytes) -> bool:
    """Whether it can be BinaryCIF: a map of MessagePack with data blocks."""
    return content[:1] in {*(bytes([k]) for k in range(0x80, 0x90)), b"\xde", b"\xdf"} and b"dataBlocks" in content


def read_bcif(path: str, content: bytes) -> StructureFile:
    """Read a BinaryCIF file.

    Raises
    ------
    InputError
        There are no atoms, or the file is damaged.
    """
    try:
        blocks = [(str(block["header"]), _categories(block)) for block in msgpack.unpackb(content)["dataBlocks"]]
    except _DAMAGED as error:
        raise _damaged(path, error) from None
    with_atoms = [(name, categories) for name, categories in blocks if "_atom_site" in categories]
    if not with_atoms:
        raise InputError(f"{path}: no atoms found (no _atom_site); is this the whole file?")
    return joined_blocks(
        path,
        [name for name, _ in with_atoms],
        [read_block(path, _column_of(path, categories)) for _, categories in with_atoms],
    )


def _damaged(path: str, error: Exception) -> InputError:
    return InputError(
        f"{path}: damaged BinaryCIF file ({' '.join(str(error).split())[:120]}); copy or download it again"
    )


def _categories(block: Mapping[str, Any]) -> dict[str, dict[str, Mapping[str, Any]]]:
    """Encoded columns by category and name."""
    return {
        str(category["name"]): {str(column["name"]): {**column, "rows": category["rowCount"]} for column in
                                category["columns"]}
        for category in block["categories"]
    }  # fmt: skip


def _column_of(path: str, categories: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> Column:
    def column(tag: str) -> NDArray[np.str_] | None:
        category, _, name = tag.partition(".")
        encoded = categories.get(category, {}).get(name)
        if encoded is None:
            return None
        try:
            return _text(encoded)
        except _DAMAGED as error:
            raise _damaged(path, error) from None

    return column


def _text(column: Mapping[str, Any]) -> NDArray[np.str_]:
    """The values of a column as CIF would write them; empty where there is none."""
    rows = column["rows"]
    if not 0 <= rows <= MAX_ROWS:
        raise ValueError(f"{rows} rows; at most {MAX_ROWS} can be read")
    values = _decoded(column["data"])
    if values.shape != (rows,):
        raise ValueError(f"{column['name']} has {len(values)} values for {rows} rows")
    text = values.astype(np.str_)
    if column["mask"] is not None:
        mask = _decoded(column["mask"])
        text = np.where(mask == _PRESENT, text, "")
    return text


def _decoded(data: Mapping[str, Any]) -> NDArray[Any]:
    """Undo the encodings of a data array, the last one first."""
    values = data["data"]
    for encoding in reversed(data["encoding"]):
        values = _DECODERS[encoding["kind"]](values, encoding)
    return np.asarray(values)


def _byte_array(values: bytes, encoding: _Encoding) -> NDArray[Any]:
    return np.frombuffer(values, _TYPES[encoding["type"]])


def _fixed_point(values: NDArray[Any], encoding: _Encoding) -> NDArray[np.float64]:
    return np.asarray(values / encoding["factor"], dtype=np.float64)


def _interval_quantization(values: NDArray[Any], encoding: _Encoding) -> NDArray[np.float64]:
    step = (encoding["max"] - encoding["min"]) / (encoding["numSteps"] - 1)
    return np.asarray(encoding["min"] + values * step, dtype=np.float64)


def _run_length(values: NDArray[Any], encoding: _Encoding) -> NDArray[Any]:
    counts = values[1::2].astype(np.int64)
    if (counts < 0).any() or counts.sum() != encoding["srcSize"] or encoding["srcSize"] > MAX_ROWS:
        raise ValueError("run lengths do not add up")
    return np.repeat(values[::2], counts)


def _delta(values: NDArray[Any], encoding: _Encoding) -> NDArray[np.int64]:
    return np.asarray(encoding["origin"] + np.cumsum(values, dtype=np.int64))


def _integer_packing(values: NDArray[Any], encoding: _Encoding) -> NDArray[np.int64]:
    """Sum what stands for one number: values at a limit of the type say that the next belongs to it."""
    limits = np.iinfo(values.dtype)
    goes_on = (values == limits.max) | ((values == limits.min) & (limits.min < 0))
    ends = np.flatnonzero(~goes_on)
    if len(ends) != encoding["srcSize"] or (len(values) and goes_on[-1]):
        raise ValueError("packed integers end too soon")
    total = np.cumsum(values, dtype=np.int64)[ends]
    return np.diff(total, prepend=0)


def _string_array(values: bytes, encoding: _Encoding) -> NDArray[np.str_]:
    indices = _decoded({"data": values, "encoding": encoding["dataEncoding"]})
    offsets = _decoded({"data": encoding["offsets"], "encoding": encoding["offsetEncoding"]})
    text = encoding["stringData"]
    words = np.array([text[a:b] for a, b in pairwise(offsets)] or [""], dtype=np.str_)
    if len(indices) and (indices.min() < -1 or indices.max() >= len(words)):
        raise ValueError("strings that are not there")
    if words.itemsize * len(indices) > MAX_ROWS * 64:
        raise ValueError("strings too long")
    return np.where(indices < 0, "", words[indices])


_DECODERS: Final[Mapping[str, Callable[[Any, _Encoding], Any]]] = {
    "ByteArray": _byte_array,
    "FixedPoint": _fixed_point,
    "IntervalQuantization": _interval_quantization,
    "RunLength": _run_length,
    "Delta": _delta,
    "IntegerPacking": _integer_packing,
    "StringArray": _string_array,
}
