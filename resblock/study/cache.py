"""Results of long computations of a part, so that what is finished and unchanged is not computed again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from resblock.files import cached
from resblock.pairs import Complex


def cached_values(directory: Path, name: str, key: Sequence[Any], compute: Callable[[], Any]) -> Any:
    """Take plain values from a file, or compute them and leave them there.

    Parameters
    ----------
    directory : Path
        Made if missing.
    name : str
        Of the file, for a reader.
    key : sequence
        Everything that decides the result, as plain values: versions of what computes it among them, never its text.
    compute : callable
        Returns values that JSON has.
    """
    digest = hashlib.sha256(json.dumps(key).encode()).hexdigest()[:16]
    return cached(
        directory / f"{name}-{digest}.json",
        compute,
        lambda path: json.loads(path.read_bytes()),
        lambda stream, values: stream.write(json.dumps(values).encode()),
    )


def content(complexes: Sequence[Complex]) -> list[tuple[str, str]]:
    """Tell complexes from others by what they were prepared from."""
    return [(one.code, one.key) for one in complexes]
