"""Results of long computations, kept so that what is finished and unchanged is not computed again."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

from resblock.pairs import Dimer
from resblock.study.part import write_text


def remembered(directory: Path, name: str, key: str, compute: Callable[[], Any]) -> Any:
    """Give what `compute` returned when it was last called for this key, or call it.

    Parameters
    ----------
    directory : Path
        Of the kept results; made if missing.
    name : str
        Of the file, without ending; of results under one name the last is kept.
    key : str
        Everything that decides the result.
    compute : callable
        Returns plain values, as JSON has them.
    """
    path = directory / f"{name}.json"
    digest = hashlib.sha256(key.encode()).hexdigest()
    try:
        kept = json.loads(path.read_bytes())
        if kept["key"] == digest:
            return kept["result"]
    except (OSError, ValueError, KeyError, TypeError):
        pass  # nothing usable there: it is computed
    result = compute()
    directory.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps({"key": digest, "result": result}) + "\n")
    return result


def content(dimers: Sequence[Dimer]) -> str:
    """Tell dimers from others by content."""
    return " ".join(f"{dimer.code} {dimer.key} {len(dimer.feature_names)}" for dimer in dimers)


def code(modules: Sequence[ModuleType], packages: Sequence[str] = ()) -> str:
    """Tell modules from others by their text, and installed packages by their versions."""
    return " ".join(
        [*(inspect.getsource(module) for module in modules), *(f"{name} {version(name)}" for name in packages)]
    )
