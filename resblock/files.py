"""Bytes from and to the disk: plain or compressed in, all or nothing out, tensors with a description, and the cache."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import hashlib
import io
import json
import lzma
import os
import sys
import tempfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

import platformdirs

from resblock.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

T = TypeVar("T")

#: What opens a compressed file, by its first bytes, and what each is called.
_COMPRESSIONS: Final[Mapping[bytes, tuple[str, Callable[[IO[bytes]], Any]]]] = {
    b"\x1f\x8b": ("gzip", lambda stream: gzip.GzipFile(fileobj=stream)),
    b"BZh": ("bzip2", bz2.BZ2File),
    b"\xfd7zXZ\x00": ("xz", lzma.LZMAFile),
}
#: MiB of text that a file may hold, decompressed: a ribosome has 100. A few bytes can stand for any number of lines.
MAX_TEXT: Final = 512
#: Stands for the standard input in place of a path.
STANDARD_INPUT: Final = "-"
#: Entry of a safetensors file's metadata that describes the tensors, as JSON.
_DESCRIPTION: Final = "resblock"


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """Content of a file, decompressed where it is gzip, bzip2 or xz (told by its first bytes, not its name).

    `STANDARD_INPUT` is no file but what the process is given.

    Raises
    ------
    InputError
        The file is missing, unreadable, empty, damaged, or holds more than `max_text` MiB.
    """
    return decompressed(path, _content(path, (max_text() << 20) + 1))


def decompressed(name: str | os.PathLike[str], content: bytes) -> bytes:
    """What `read_bytes` gives for a file of this content; the name is for the errors."""
    limit = max_text()
    for magic, (kind, opened) in _COMPRESSIONS.items():
        if content.startswith(magic):
            try:
                with opened(io.BytesIO(content)) as stream:
                    content = stream.read((limit << 20) + 1)
            except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
                raise InputError(f"{name}: damaged {kind} file ({error}); copy or download it again") from None
            break
    if len(content) > limit << 20:
        raise InputError(
            f"{name}: holds more than {limit} MiB of text; cut out the chains that matter, or set RESBLOCK_MAX_TEXT"
        )
    if not content.strip():
        raise InputError(f"{name}: the file is empty; copy or download it again")
    return content


def max_text() -> int:
    """MiB of text that a file may hold: ``$RESBLOCK_MAX_TEXT``, else `MAX_TEXT`."""
    value = os.environ.get("RESBLOCK_MAX_TEXT") or str(MAX_TEXT)
    if not value.isdecimal() or not 0 < int(value) < 1 << 20:
        raise InputError(f"RESBLOCK_MAX_TEXT is {value!r}; it must be a whole number of MiB")
    return int(value)


def read_text(path: str | os.PathLike[str]) -> str:
    """Content of a text file in UTF-8.

    Raises
    ------
    InputError
        The file is missing, unreadable or no text.
    """
    try:
        return _content(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: cannot be read ({error})") from None


def _content(path: str | os.PathLike[str], limit: int = -1) -> bytes:
    """Bytes of a file, up to a limit if that is not negative."""
    if os.fspath(path) == STANDARD_INPUT:
        return sys.stdin.buffer.read(limit)
    try:
        with open(path, "rb") as stream:
            return stream.read(limit)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; check the path") from None
    except IsADirectoryError:
        raise InputError(f"{path}: is a directory; give a file") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: cannot be read ({reason})") from None


def write_atomically(path: str | os.PathLike[str], write: Callable[[IO[bytes]], object]) -> None:
    """Let `write` fill a temporary file beside `path`, then put it in place in one step.

    A reader, or another process writing the same path, sees the old file or the new one.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            write(stream)
        # mkstemp makes private files; results are shared like any other file of the user.
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(temporary, 0o666 & ~mask)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a text file in UTF-8, all or nothing."""
    write_atomically(path, lambda stream: stream.write(text.encode()))


class Container(NamedTuple):
    """What a safetensors file of this package holds: plain values that say what the tensors are, and the tensors."""

    description: dict[str, Any]
    tensors: dict[str, Tensor]


def write_container(
    path: str | os.PathLike[str], description: Mapping[str, Any], tensors: Mapping[str, Tensor]
) -> None:
    """Write what `read_container` reads, all or nothing; the same content gives the same bytes."""
    import safetensors.torch

    dense = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    # One entry: safetensors writes several in no fixed order.
    content = safetensors.torch.save(dense, {_DESCRIPTION: json.dumps(description)})
    write_atomically(path, lambda stream: stream.write(content))


def digest_of(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of tensors and their names, whatever their order."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(name.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def read_container(path: str | os.PathLike[str], format: str, version: int, what: str = "weights") -> Container:
    """Read a file of `write_container` whose description has this `format` and `format_version`; `what` it is to hold.

    Raises
    ------
    InputError
        If the file is missing, damaged, of another kind or of another version.
    """
    import safetensors

    def unusable(reason: object) -> InputError:
        return InputError(f"{path}: no usable {what} ({reason}); give a file that this version of resblock wrote")

    try:
        with safetensors.safe_open(path, framework="pt") as file:
            description = json.loads((file.metadata() or {}).get(_DESCRIPTION, "{}"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  no mapping
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; check the path") from None
    except (OSError, safetensors.SafetensorError) as error:
        raise unusable(f"no safetensors file: {error}") from None
    except ValueError as error:
        raise unusable(f"damaged metadata: {error}") from None
    if not isinstance(description, dict) or description.get("format") != format:
        found = description.get("format", "nothing") if isinstance(description, dict) else "nothing"
        raise unusable(f"holds {found}, wanted {format}")
    if description.get("format_version") != version:
        raise unusable(f"format version {description.get('format_version')}, wanted {version}")
    return Container(description, tensors)


def cache_directory() -> Path:
    """``$RESBLOCK_CACHE``, else the user's cache directory of this platform."""
    return Path(os.environ.get("RESBLOCK_CACHE") or platformdirs.user_cache_dir("resblock"))


def cached(
    entry: Path,
    compute: Callable[[], T],
    read: Callable[[Path], T],
    write: Callable[[IO[bytes], T], object],
) -> T:
    """Take a result from the file `entry`, or compute it and leave it there.

    Parameters
    ----------
    entry : Path
        Its name must change with everything that decides the result.
    compute : callable
    read : callable
        Of a file; it raises OSError, ValueError or EOFError where the file is missing or damaged.
    write : callable
        The result to a binary stream.
    """
    with contextlib.suppress(OSError, ValueError, EOFError):
        return read(entry)
    result = compute()
    # A cache that cannot be written (read-only home, full disk) costs time, nothing else.
    with contextlib.suppress(OSError):
        write_atomically(entry, lambda stream: write(stream, result))
    return result
