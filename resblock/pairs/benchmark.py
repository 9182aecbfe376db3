"""From a directory in the benchmark layout to prepared complexes, one file each.

The layout: ``CODE/receptor_unbound.pdb``, ``ligand_unbound``, ``receptor_bound``, ``ligand_bound``;
each as ``.pdb``, ``.cif`` or ``.bcif``, plain or with ``.gz``, ``.bz2`` or ``.xz`` behind.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from resblock.errors import InputError
from resblock.files import read_bytes
from resblock.pairs.complex import Complex
from resblock.pairs.labels import LABEL_VERSION, label_pairs
from resblock.pairs.prepared import FORMAT_VERSION, save_complex, stored_key
from resblock.processes import in_processes
from resblock.structure.features import FEATURE_VERSION, PartnerFeatures, notes
from resblock.structure.partner import Partner
from resblock.structure.read import READING_VERSION, read_partner

ROLES: Final = ("receptor_unbound", "ligand_unbound", "receptor_bound", "ligand_bound")
SUFFIXES: Final = tuple(
    f"{kind}{packed}" for kind in (".pdb", ".cif", ".bcif") for packed in ("", ".gz", ".bz2", ".xz")
)
_THREAD_VARIABLES: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class Prepared:
    """What became of one complex.

    Attributes
    ----------
    code
        Name of the complex.
    status
        ``"done"``, ``"unchanged"`` (the file there is from the same input) or ``"failed"``.
    reason
        Why it failed; empty otherwise.
    residues
        Receptor and ligand residues; zeros unless done.
    contacts, lost_contacts
        Interface pairs, and contacts that could not be mapped to unbound residues.
    seconds
        Wall time.
    read
        What each file held, and notes about it, a line each; empty unless done.
    """

    code: str
    status: Literal["done", "unchanged", "failed"]
    reason: str = ""
    residues: tuple[int, int] = (0, 0)
    contacts: int = 0
    lost_contacts: int = 0
    seconds: float = 0.0
    read: tuple[str, ...] = ()


@dataclass(frozen=True)
class Summary:
    """What became of all complexes, sorted by code."""

    complexes: tuple[Prepared, ...] = field(default=())

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


def complex_files(directory: str | os.PathLike[str]) -> dict[str, Path]:
    """The four structure files of one complex's directory by role.

    Raises
    ------
    InputError
        A file is missing, or there in two formats.
    """
    directory = Path(directory)
    files = {}
    for role in ROLES:
        there = [p for suffix in SUFFIXES if (p := directory / f"{role}{suffix}").is_file()]
        if len(there) != 1:
            found = ", ".join(p.name for p in there) or "none"
            raise InputError(
                f"{directory}: one file {role}.pdb, .cif or .bcif (plain, .gz, .bz2 or .xz) is needed, found {found}"
            )
        files[role] = there[0]
    return files


def find_complexes(directory: str | os.PathLike[str], only: Sequence[str] | None = None) -> dict[str, Path]:
    """Directories of the complexes of a benchmark by code, all or those of `only`.

    Raises
    ------
    InputError
        The benchmark or a complex of `only` is missing, or the benchmark is empty.
    """
    directory = Path(directory)
    if not directory.is_dir():
        raise InputError(f"{directory}: no such directory; give one in the benchmark layout")
    if only is not None:
        missing = [code for code in only if not (directory / code).is_dir()]
        if missing:
            raise InputError(f"{directory}: no complex {', '.join(missing)}; check the list")
        return {code: directory / code for code in only}
    found = {
        entry.name: entry
        for entry in sorted(directory.iterdir())
        if entry.is_dir() and any(entry.glob("receptor_unbound.*"))
    }
    if not found:
        raise InputError(f"{directory}: no CODE/receptor_unbound.pdb in it; see the layout")
    return found


def complex_key(directory: str | os.PathLike[str]) -> str:
    """Changes with the content of the four files, with what is computed, and with the file format."""
    versions = f"{FORMAT_VERSION} {FEATURE_VERSION} {LABEL_VERSION} {READING_VERSION}"
    digest = hashlib.sha256(versions.encode())
    for role, path in complex_files(directory).items():
        digest.update(role.encode() + hashlib.sha256(read_bytes(path)).digest())
    return digest.hexdigest()


def prepare_complex(directory: str | os.PathLike[str]) -> Complex:
    """All features, and the labels, of one complex in the benchmark layout.

    Raises
    ------
    InputError
        A file is missing or cannot be used.
    """
    return _complex(Path(directory), _partners(directory))


def _partners(directory: str | os.PathLike[str]) -> dict[str, Partner]:
    return {role: read_partner(path) for role, path in complex_files(directory).items()}


def _complex(directory: Path, partners: Mapping[str, Partner]) -> Complex:
    labels = label_pairs(*(partners[role] for role in ROLES))
    return Complex(
        code=directory.name,
        receptor=PartnerFeatures.of(partners["receptor_unbound"]),
        ligand=PartnerFeatures.of(partners["ligand_unbound"]),
        contact_area=labels.contact_area,
        distance=labels.distance,
        lost_contacts=labels.lost_contacts,
        key=complex_key(directory),
    )


def prepare_benchmark(
    directory: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    only: Sequence[str] | None = None,
    jobs: int | None = None,
    progress: Callable[[Prepared, int], object] | None = None,
) -> Summary:
    """Prepare a benchmark's complexes into ``out/CODE.npz`` in parallel, the biggest first.

    What is there from the same input is left alone. A complex that fails does not stop the others.

    Parameters
    ----------
    directory
        Benchmark in the layout of this module.
    out
        Made if missing.
    only
        Codes to prepare; all if None.
    jobs
        Processes; as many as processors if None.
    progress
        Called after each complex with what became of it and the number of complexes in all.

    Raises
    ------
    InputError
        The benchmark, a complex of `only` or the output directory cannot be used.
    """
    complexes = find_complexes(directory, only)
    out = Path(out)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{out}: cannot be made ({error.strerror})") from None
    order = sorted(complexes, key=lambda code: -_size(complexes[code]))
    finished = []
    tasks = [(complexes[code], out) for code in order]
    for entry in _run(tasks, jobs or os.cpu_count() or 1):
        finished.append(entry)
        if progress is not None:
            progress(entry, len(order))
    return Summary(tuple(sorted(finished, key=lambda entry: entry.code)))


_Task = tuple[Path, Path]


def _run(tasks: Sequence[_Task], jobs: int) -> Iterator[Prepared]:
    if jobs == 1 or len(tasks) < 2:
        yield from map(_prepare, tasks)
        return
    with _one_thread_each():
        for (directory, _), entry in in_processes(_prepare, tasks, jobs):
            yield entry or Prepared(
                directory.name, "failed", f"{directory}: the process that prepared it died (out of memory?); see --jobs"
            )


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


def _prepare(task: _Task) -> Prepared:
    start = time.perf_counter()
    directory, out = task
    code = directory.name
    target = out / f"{code}.npz"
    try:
        if stored_key(target) == complex_key(directory):
            return Prepared(code, "unchanged")
        partners = _partners(directory)
        complex = _complex(directory, partners)
        save_complex(target, complex)
    # Whatever it is, the other complexes go on.
    except Exception as error:
        reason = str(error) if isinstance(error, (InputError, OSError)) else repr(error)
        return Prepared(code, "failed", reason, seconds=time.perf_counter() - start)
    return Prepared(
        code,
        "done",
        residues=(len(complex.receptor), len(complex.ligand)),
        contacts=int(complex.labels().sum()),
        lost_contacts=complex.lost_contacts,
        seconds=time.perf_counter() - start,
        read=(
            *(f"{role}: {partner.contents}" for role, partner in partners.items()),
            *(f"note: {note}" for role in ROLES[:2] for note in notes(partners[role])),
        ),
    )


def _size(directory: Path) -> int:
    """Bytes of the unbound files: the time goes with them."""
    return sum(path.stat().st_size for path in directory.glob("*_unbound.*"))
