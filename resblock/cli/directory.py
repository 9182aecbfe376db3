"""A directory of results that appears whole or not at all."""

from __future__ import annotations

import ctypes
import os
import shutil
import tempfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from resblock.errors import InputError

#: Of Linux's renameat2: paths are relative to the working directory, and the two are exchanged.
_WORKING_DIRECTORY, _EXCHANGE = -100, 2


def check_replaceable(directory: Path, sign: Collection[str], own: Collection[str], inputs: Sequence[Path]) -> None:
    """Refuse a directory whose content is not what an earlier call left there.

    Parameters
    ----------
    directory : Path
        May be missing or empty.
    sign : collection of str
        Names that an earlier call's directory has.
    own : collection of str
        All names it may have.
    inputs : sequence of Path
        Files that must not lie in it.

    Raises
    ------
    InputError
        If the directory, or what stands in its place, must stay.
    """
    if not os.path.lexists(directory):
        return
    if not directory.is_dir():
        raise InputError(f"{directory}: exists and is no directory; give another --out")
    content = {entry.name for entry in directory.iterdir()}
    if not content:
        return
    foreign = sorted(content - set(own))
    if foreign or not set(sign) <= content:
        what = f"holds {foreign[0]}" if foreign else "is not empty"
        raise InputError(f"{directory}: {what}, which no earlier prediction wrote; give another --out")
    for path in inputs:
        if path.resolve().parent == directory.resolve():
            raise InputError(f"{directory}: holds the input {path.name}, which would be replaced; give another --out")


@contextmanager
def written_whole(directory: Path) -> Iterator[Path]:
    """Give a temporary directory beside `directory` that takes its place at the end, or vanishes on an error.

    Raises
    ------
    InputError
        If nothing can be written there.
    """
    target = directory.resolve()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
    except OSError as error:
        raise InputError(f"{directory}: cannot be written ({error.strerror})") from None
    try:
        new = temporary / "new"
        new.mkdir()
        yield new
        _put_in_place(new, target, temporary / "old")
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _put_in_place(new: Path, target: Path, old: Path) -> None:
    """Let `new` take the place of `target`, which goes to `old` if it exists."""
    if not target.exists() or not _exchanged(new, target):
        if target.exists():
            os.rename(target, old)
        os.rename(new, target)


def _exchanged(one: Path, other: Path) -> bool:
    """Exchange two directories in one step, where the system can: a process killed between two renames leaves none."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    paths = os.fsencode(one), os.fsencode(other)
    return bool(rename(_WORKING_DIRECTORY, paths[0], _WORKING_DIRECTORY, paths[1], _EXCHANGE) == 0)
