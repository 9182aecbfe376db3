"""From tasks to prepared complexes: in parallel, with a table of what became of each, and only what is missing.

OUT/CODE.npz       a prepared complex (`resblock.pairs.prepared`)
OUT/prepared.tsv   a line for each complex that was made, and for each task that made none, with the reason
"""

from __future__ import annotations

import contextlib
import csv
import io
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Final, Literal, Protocol

from resblock.errors import InputError
from resblock.files import write_text
from resblock.pairs.complex import Complex
from resblock.pairs.prepared import save_complex, stored_key
from resblock.processes import in_processes

TABLE: Final = "prepared.tsv"
_THREAD_VARIABLES: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class Prepared:
    """What became of one complex, or of a task that made none.

    Attributes
    ----------
    task
        Name of the task that made it.
    code
        Name of the complex; of a task that made none, the task's.
    status
        ``"done"``, ``"unchanged"`` (the file there is from the same input), ``"empty"`` (there is nothing to make) or
        ``"failed"``.
    reason
        Why it failed, or why there is nothing; empty otherwise.
    kind
        Kind of the complex.
    receptor, ligand
        What the features of each are of (`resblock.pairs.complex.Conformation`); empty if there is no complex, as all
        that follows is zero.
    receptor_residues, ligand_residues
        Numbers of residues.
    contacts, lost_contacts
        Interface pairs, and contacts that could not be mapped to the residues that models see.
    seconds
        Wall time of the task.
    key
        Tells by content what it was made of.
    read
        What each file held, and notes about it, a line each; with one complex of a task that was done.
    """

    task: str
    code: str
    status: Literal["done", "unchanged", "empty", "failed"]
    reason: str = ""
    kind: str = ""
    receptor: str = ""
    ligand: str = ""
    receptor_residues: int = 0
    ligand_residues: int = 0
    contacts: int = 0
    lost_contacts: int = 0
    seconds: float = 0.0
    key: str = ""
    read: tuple[str, ...] = ()

    @classmethod
    def of(cls, task: str, complex: Complex, read: tuple[str, ...]) -> Prepared:
        """What is to be said of a complex that was made."""
        receptor, ligand = complex.conformations
        return cls(
            task,
            complex.code,
            "done",
            kind=complex.kind,
            receptor=receptor,
            ligand=ligand,
            receptor_residues=len(complex.receptor),
            ligand_residues=len(complex.ligand),
            contacts=int(complex.labels().sum()),
            lost_contacts=complex.lost_contacts,
            key=complex.key,
            read=read,
        )


#: What the table has of each: the lines that were read are for the log.
_COLUMNS: Final = tuple(field.name for field in fields(Prepared) if field.name != "read")


@dataclass(frozen=True)
class Summary:
    """What became of all complexes, sorted by code."""

    complexes: tuple[Prepared, ...] = ()

    def having(self, status: str) -> list[Prepared]:
        """Complexes with this status."""
        return [entry for entry in self.complexes if entry.status == status]

    @property
    def done(self) -> list[Prepared]:
        """Prepared in this run."""
        return self.having("done")

    @property
    def unchanged(self) -> list[Prepared]:
        """Prepared before from the same input."""
        return self.having("unchanged")

    @property
    def failed(self) -> list[Prepared]:
        """Not prepared; each says why."""
        return self.having("failed")


class Task(Protocol):
    """Makes complexes of one input; goes to another process."""

    @property
    def name(self) -> str:
        """Of the input."""

    @property
    def kind(self) -> str:
        """Of the complex that it is about; empty if not known."""

    @property
    def size(self) -> int:
        """Grows with the time that it takes."""

    def key(self) -> str:
        """Changes with the content of the input and with what is computed."""

    def complexes(self) -> Iterator[tuple[Complex, tuple[str, ...]]]:
        """Complexes with what is to be said of the files that they were read from."""

    def none(self) -> str:
        """Why there can be no complex."""


def prepare_all(
    tasks: Sequence[Task],
    out: Path,
    *,
    jobs: int | None = None,
    progress: Callable[[Sequence[Prepared], int], object] | None = None,
) -> Summary:
    """Do tasks in parallel, the biggest first.

    What is there from the same input is left alone. A task that fails does not stop the others.

    Parameters
    ----------
    tasks
        With different names.
    out
        Directory of the prepared complexes; made if missing.
    jobs
        Processes; as many as processors if None.
    progress
        Called after each task with what became of its complexes and the number of tasks in all.

    Raises
    ------
    InputError
        The output directory cannot be made.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{out}: cannot be made ({error.strerror})") from None
    before = read_table(out)
    order = sorted(tasks, key=lambda task: -task.size)
    finished: list[Prepared] = []
    with (out / TABLE).open("a", encoding="utf-8") as table:
        given = [(task, out, before.get(task.name, ())) for task in order]
        for entries in _run(given, jobs or os.cpu_count() or 1):
            finished += entries
            # At once, so that a run that is killed is gone on with; written anew in order at the end.
            table.write(_lines(entries))
            table.flush()
            if progress is not None:
                progress(entries, len(order))
    names = {task.name for task in tasks}
    _write_table(out, [*finished, *(entry for name in before.keys() - names for entry in before[name])])
    return Summary(tuple(sorted(finished, key=lambda entry: entry.code)))


_Given = tuple[Task, Path, Sequence[Prepared]]


def _run(given: Sequence[_Given], jobs: int) -> Iterator[Sequence[Prepared]]:
    if jobs == 1 or len(given) < 2:
        yield from map(_prepare, given)
        return
    with _one_thread_each():
        for (task, _, _), entries in in_processes(_prepare, given, jobs):
            died = f"{task.name}: the process that prepared it died (out of memory?); see --jobs"
            yield entries or [Prepared(task.name, task.name, "failed", died, task.kind)]


@contextlib.contextmanager
def _one_thread_each() -> Iterator[None]:
    """Processes started meanwhile share the processors: libraries must not multiply threads."""
    before = {name: os.environ.get(name) for name in _THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _prepare(given: _Given) -> Sequence[Prepared]:
    start = time.perf_counter()
    task, out, before = given
    entries: list[Prepared] = []
    try:
        key = task.key()
        if before and all(_is_there(entry, key, out) for entry in before):
            return [replace(entry, status="unchanged" if entry.status == "done" else "empty") for entry in before]
        for complex, read in task.complexes():
            made = replace(complex, key=key)
            save_complex(out / f"{complex.code}.npz", made)
            entries.append(Prepared.of(task.name, made, read))
        if not entries:
            entries.append(Prepared(task.name, task.name, "empty", task.none(), task.kind, key=key))
    # Whatever it is, the other tasks go on.
    except Exception as error:
        reason = str(error) if isinstance(error, (InputError, OSError)) else repr(error)
        _remove(out, entries)
        entries = [Prepared(task.name, task.name, "failed", reason, task.kind)]
    made_now = {entry.code for entry in entries if entry.status == "done"}
    _remove(out, [entry for entry in before if entry.code not in made_now])
    return [replace(entry, seconds=time.perf_counter() - start) for entry in entries]


def _is_there(entry: Prepared, key: str, out: Path) -> bool:
    """Whether what a table says was made of the same input, and is still there."""
    if entry.status == "empty":
        return entry.key == key
    return entry.status == "done" and stored_key(out / f"{entry.code}.npz") == key


def _remove(out: Path, entries: Sequence[Prepared]) -> None:
    """Files of complexes that a task no longer makes, or not all of which it could make."""
    for entry in entries:
        (out / f"{entry.code}.npz").unlink(missing_ok=True)


def read_table(out: Path) -> dict[str, tuple[Prepared, ...]]:
    """What the table in a directory says of each task; lines that are cut short are skipped.

    A complex that was prepared, in whichever run, is done.
    """
    if not (out / TABLE).is_file():
        return {}
    tasks: dict[str, dict[str, Prepared]] = {}
    for row in csv.reader((out / TABLE).read_text(encoding="utf-8").splitlines(), delimiter="\t"):
        with contextlib.suppress(ValueError, TypeError):
            entry = _entry(dict(zip(_COLUMNS, row, strict=True)))
            tasks.setdefault(entry.task, {})[entry.code] = entry
    return {name: tuple(entries.values()) for name, entries in tasks.items()}


def _entry(row: dict[str, str]) -> Prepared:
    """Read a line of the table; ValueError if it is none."""
    types = {field.name: {"int": int, "float": float}.get(str(field.type), str) for field in fields(Prepared)}
    values: dict[str, Any] = {name: types[name](text) for name, text in row.items()}
    if values["status"] not in ("done", "empty", "failed"):
        raise ValueError(values["status"])
    return Prepared(**values)


def _lines(entries: Sequence[Prepared]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    for entry in entries:
        status = "done" if entry.status == "unchanged" else entry.status
        reason = " ".join(entry.reason.split())
        shown = replace(entry, status=status, seconds=round(entry.seconds, 2), reason=reason)
        writer.writerow([getattr(shown, name) for name in _COLUMNS])
    return text.getvalue()


def _write_table(out: Path, entries: Sequence[Prepared]) -> None:
    """Write the table anew, sorted, without lines that later ones replaced."""
    listed = sorted(entries, key=lambda entry: entry.code)
    write_text(out / TABLE, "\t".join(_COLUMNS) + "\n" + _lines(listed))
