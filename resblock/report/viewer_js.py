"""3Dmol.js, which draws structures in the report: where it comes from, and that it is what it should be.

The one module that names a place to load it from.
"""

from __future__ import annotations

import base64
import hashlib
import os
import time
from importlib.resources import files
from pathlib import Path
from typing import Final

from resblock.errors import InputError
from resblock.files import cache_directory, write_atomically

VERSION: Final = "2.5.5"
#: Of build/3Dmol-min.js in the package 3dmol of npm (BSD-3).
SHA256: Final = "f7cc78921ae72e7623e89cdd111434f58c2efddd2ffda1cd212644b406fb8016"
SHA384: Final = "OsczYbldvrHgslr9fFp/i4GiLSeuw9l+QIlv99ITw8soOwXcoGeflFMLg+CU/X1d"
URL: Final = "https://cdn.jsdelivr.net/npm/3dmol@{version}/build/3Dmol-min.js"
#: Seconds that a report waits for it, and for which a failure is remembered.
PATIENCE: Final = 3.0
REMEMBERED: Final = 24 * 3600.0
_LIMIT: Final = 4 << 20


def viewer_url() -> str:
    """Where it is: ``$RESBLOCK_VIEWER_URL``, else `URL`."""
    return os.environ.get("RESBLOCK_VIEWER_URL") or URL.format(version=VERSION)


def integrity() -> str:
    """What a page that links it tells the browser to compare."""
    return f"sha384-{SHA384}"


def find_viewer(path: str | os.PathLike[str] | None = None) -> tuple[str | None, str]:
    """Its text, or None, and a remark the first time that it cannot be had.

    Looked for in the package, then in the cache directory, and last at `viewer_url`, once a day.

    Parameters
    ----------
    path : path, optional
        A file of it, which is then put into the cache.

    Raises
    ------
    InputError
        If that file cannot be read or is another one.
    """
    entry = cache_directory() / f"3Dmol-{VERSION}.js"
    if path is not None:
        try:
            content = Path(path).read_bytes()
        except OSError as error:
            raise InputError(f"{os.fspath(path)}: cannot be read ({error.strerror}); check the path") from None
        if not _is_it(content):
            raise InputError(
                f"{os.fspath(path)}: is not 3Dmol.js {VERSION} (another checksum); give build/3Dmol-min.js of 3dmol "
                f"{VERSION}"
            )
        _keep(entry, content)
        return content.decode(), ""
    for place in (files("resblock") / "report" / "assets" / "3Dmol-min.js", entry):
        if place.is_file() and _is_it(content := place.read_bytes()):
            return content.decode(), ""
    return _downloaded(entry)


def _downloaded(entry: Path) -> tuple[str | None, str]:
    from resblock.structure.download import DownloadError, Patience, download

    url, failure = viewer_url(), entry.with_suffix(".failed")
    if failure.is_file() and time.time() - failure.stat().st_mtime < REMEMBERED:
        return None, ""
    try:
        content = download(url, _LIMIT, Patience(stall=PATIENCE, whole=PATIENCE, attempts=1))
        if not _is_it(content):
            raise DownloadError("it has another checksum")
    except DownloadError as error:
        _keep(failure, b"")
        return None, f"3Dmol.js could not be had ({error}); the report links {url} (--viewer-js FILE embeds it)"
    _keep(entry, content)
    return content.decode(), ""


def _keep(entry: Path, content: bytes) -> None:
    """Put it into the cache; one that cannot be written costs a download, nothing else."""
    try:
        write_atomically(entry, lambda stream: stream.write(content))
    except OSError:
        return


def _is_it(content: bytes) -> bool:
    return hashlib.sha256(content).hexdigest() == SHA256


def content_hash(text: str) -> str:
    """A script or style as a content security policy names it."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
