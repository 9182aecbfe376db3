"""The study in one directory: which parts there are, what is done already, and the pages that show it.

OUT/index.md, OUT/index.html   all parts that are finished
OUT/PART/                      tables (CSV and Markdown), figures (SVG and PNG), and result.json
OUT/runs/                      training runs, which the parts share
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Any, Final, NamedTuple

import numpy as np

import resblock
from resblock.errors import InputError
from resblock.evaluation import splits
from resblock.evaluation.splits import SHARES, Part, Split, find_list, random_split, read_split
from resblock.files import write_text
from resblock.pairs import Complex
from resblock.study.cache import content
from resblock.study.pages import html_page, markdown_page
from resblock.study.part import Finished, Study
from resblock.study.random_ranks import DRAWS
from resblock.sweep.results import Result, Table
from resblock.training.choice import load_usable
from resblock.training.config import DataConfig


class Entry(NamedTuple):
    """A part: its module, its title, and the settings of a `Study` that decide its result and not that of others."""

    module: str
    title: str
    settings: tuple[str, ...] = ()


PARTS: Final[Mapping[str, Entry]] = {
    "homology": Entry("homology", "Split and homology"),
    "sweep": Entry("depth_and_units", "Tables 1 and 2: depth and units"),
    "table3": Entry("table3", "Table 3: the first positive, and a random order", ("draws",)),
    "compare": Entry("compare", "Tables 4 and 5: other methods, and one thing taken away"),
    "figure4": Entry("figure4", "Figure 4: models and dimers"),
    "figure6": Entry("figure6", "Figure 6: the first pairs of four proteins", ("structures",)),
    "gradients": Entry("gradients", "The gradient through depth"),
}
RESULT: Final = "result.json"
RANDOM: Final = "random"
#: Dimers of each part of the split that the quick setting takes: the smallest.
QUICK: Final[Mapping[Part, int]] = {"train": 12, "validation": 3, "test": 4}


def reproduce(
    data: str | os.PathLike[str],
    out: str | os.PathLike[str],
    names: Sequence[str] = (),
    *,
    quick: bool = False,
    seeds: Sequence[int] = (1, 2, 3),
    split: str = "paper_test",
    structures: str | os.PathLike[str] | None = None,
    device: str = "auto",
    progress: Callable[[str], object] = lambda what: None,
    draws: Sequence[int] = DRAWS,
    commit: str = "",
) -> list[Finished]:
    """Compute the parts that are not there yet and write the index.

    A part is there if it was finished with the same version, data, split, seeds and settings.

    Parameters
    ----------
    data : path
        Directory of prepared complexes; those of more than two chains are left out, as in the paper.
    out : path
        The study's directory; made if missing.
    names : sequence of str
        Parts, by their names in `PARTS`; all without.
    quick : bool
        Few dimers, small networks, few epochs, one seed.
    seeds : sequence of int
        Of the trainings; the first one also divides the dimers.
    split : str
        `random` for 6:2:2 by the seed, or a list for `resblock.evaluation.splits.find_list`. Where the list names test
        dimers only, the others are divided into train and validation by the seed.
    structures : path, optional
        The benchmark's own files, for the figure of structures.
    device : {"auto", "cpu", "cuda"}
    progress : callable
        Called with what is being done.
    draws : sequence of int
        Numbers of random orders that the table of the first positives is compared with.
    commit : str
        What the tables are made with, for a reader of them.

    Raises
    ------
    InputError
        If a part is unknown, a number of draws is impossible, or the data do not fit.
    """
    _check(names, seeds, draws)
    # Before anything is computed: what a part cannot be imported without is missed now.
    modules = {name: importlib.import_module(f"resblock.study.{PARTS[name].module}") for name in names or PARTS}
    data, out = Path(data), Path(out)
    _claim(out)
    dimers = [one for one in load_usable(data, DataConfig()) if one.contact_area is not None]
    parts = divide(dimers, split, seeds[0], quick)
    for name, module in modules.items():
        directory = out / name
        directory.mkdir(parents=True, exist_ok=True)
        study = Study(
            data=data,
            out=directory,
            runs=out / "runs",
            split=parts,
            seeds=tuple(seeds[:1] if quick else seeds),
            device=device,
            progress=progress,
            quick=quick,
            structures=None if structures is None else Path(structures),
            draws=tuple(draws),
        )
        made = {"command": command(name, study, split), "commit": commit}
        _run(name, module, study, [one for one in dimers if one.code in parts], made=made)
        write_index(out)
    return finished(out)


def _check(names: Sequence[str], seeds: Sequence[int], draws: Sequence[int]) -> None:
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        raise InputError(f"part {unknown[0]!r} is unknown; the parts are {', '.join(PARTS)}")
    if not seeds:
        raise InputError("no seeds; give at least one")
    impossible = [number for number in draws if not 2 <= number < 2**63]
    if impossible or not draws:
        raise InputError(f"draws {', '.join(map(str, impossible)) or 'missing'}; give numbers from 2 to below 2**63")


def divide(dimers: Sequence[Complex], split: str, seed: int, quick: bool = False) -> Split:
    """Part of every dimer that the study uses; see `reproduce`.

    Raises
    ------
    InputError
        If a part of the split would be empty.
    """
    codes = sorted(dimer.code for dimer in dimers)
    if split == RANDOM:
        parts = dict(random_split(codes, seed))
    else:
        listed = read_split(find_list(split))
        parts = {code: part for code, part in listed.items() if code in codes}
        if set(listed.values()) == {"test"}:
            parts |= _train_and_validation([code for code in codes if code not in listed], seed)
    for part in splits.PARTS:
        if part not in parts.values():
            raise InputError(
                f"split {split!r}: no prepared dimer in the part {part}; prepare more, or use --split random"
            )
    if not quick:
        return parts
    size = {dimer.code: len(dimer.labels()) for dimer in dimers}
    smallest = {
        part: sorted((code for code in parts if parts[code] == part), key=lambda code: (size[code], code))[:number]
        for part, number in QUICK.items()
    }
    return {code: part for part, members in smallest.items() for code in members}


def _train_and_validation(codes: Sequence[str], seed: int) -> dict[str, Part]:
    shuffled = np.random.default_rng(seed).permutation(sorted(codes)).tolist()
    train, validation, _ = SHARES
    first = len(codes) - max(1, round(len(codes) * validation / (train + validation)))
    return {code: "train" if number < first else "validation" for number, code in enumerate(shuffled)}


def command(name: str, study: Study, split: str) -> str:
    """The command line that does a part again, with paths by their last names: pages are read on other machines."""
    words = ["resblock", "reproduce", _last(study.data), "--out", _last(study.out.parent), "--part", name]
    words += ["--quick"] if study.quick else []
    words += ["--seeds", ",".join(map(str, study.seeds)), "--split", Path(split).name]
    words += ["--structures", _last(study.structures)] if study.structures else []
    words += ["--device", study.device] if study.device != "auto" else []
    words += ["--draws", ",".join(map(str, study.draws))] if study.draws != DRAWS else []
    return shlex.join(words)


def _last(path: Path) -> str:
    return path.resolve().name


def _claim(out: Path) -> None:
    """Make the directory, or see that the one there is a study's."""
    if out.exists() and (not out.is_dir() or (any(out.iterdir()) and not _of_a_study(out))):
        raise InputError(f"{out}: exists and is no study; give another --out")
    out.mkdir(parents=True, exist_ok=True)


def _of_a_study(out: Path) -> bool:
    return {entry.name for entry in out.iterdir()} <= {*PARTS, "runs", "index.md", "index.html"}


def _run(name: str, module: ModuleType, study: Study, dimers: Sequence[Complex], *, made: Mapping[str, str]) -> None:
    """Run a part unless its result is there, made from the same; `made` says how, beside the result."""
    key = _key(name, module.VERSION, study, dimers)
    stored = _stored(study.out)
    if stored is not None and stored["key"] == key:
        return
    study.progress(PARTS[name].title)
    start = time.perf_counter()
    result: Result = module.run(study)
    seconds = time.perf_counter() - start
    for table in result.tables:
        table.write(study.out)
    stored_result = {
        "key": key if result.complete else None,
        "about": study.about(),
        **made,
        "seconds": round(seconds, 1),
        "tables": [asdict(table) for table in result.tables],
        "figures": [path.name for path in result.figures],
        "text": result.text,
    }
    write_text(study.out / RESULT, json.dumps(stored_result, indent=1, allow_nan=False) + "\n")


def _key(name: str, version: object, study: Study, dimers: Sequence[Complex]) -> str:
    """Digest of what decides a result: the part's version and that of the package, the settings and the data."""
    decisive = {
        "resblock": resblock.__version__,
        "part": name,
        "version": version,
        "quick": study.quick,
        "seeds": study.seeds,
        "settings": {setting: str(getattr(study, setting)) for setting in PARTS[name].settings},
        "split": dict(study.split),
        "data": content(dimers),
    }
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()


def _stored(directory: Path) -> dict[str, Any] | None:
    try:
        stored: dict[str, Any] = json.loads((directory / RESULT).read_bytes())
    except (OSError, ValueError):
        return None
    return stored


def finished(out: Path) -> list[Finished]:
    """The parts that are done, in the order of `PARTS`."""
    found = []
    for name, entry in PARTS.items():
        stored = _stored(out / name)
        if stored is not None:
            tables = [Table(**{**of, "columns": tuple(of["columns"])}) for of in stored["tables"]]
            figures = [out / name / figure for figure in stored["figures"]]
            result = Result(tables, figures, stored["text"])
            found.append(
                Finished(
                    name=name,
                    title=entry.title,
                    about=stored["about"],
                    seconds=stored["seconds"],
                    result=result,
                    # Results from before these were recorded lack them.
                    command=stored.get("command", ""),
                    commit=stored.get("commit", ""),
                )
            )
    return found


def write_index(out: Path) -> None:
    """Write index.md and index.html of the parts that are done."""
    parts = finished(out)
    write_text(out / "index.md", markdown_page(parts))
    write_text(out / "index.html", html_page(parts))
