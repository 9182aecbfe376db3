"""From a directory in the benchmark layout (`resblock.pairs.layout`) to prepared complexes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from resblock.files import read_bytes
from resblock.pairs.complex import Complex
from resblock.pairs.labels import LABEL_VERSION
from resblock.pairs.layout import Described, complex_files, described, find_complexes
from resblock.pairs.preparation import Prepared, Summary, prepare_all
from resblock.pairs.prepared import FORMAT_VERSION
from resblock.pairs.variants import Recipe, Structures, complexes_of
from resblock.structure.features import FEATURE_VERSION, notes
from resblock.structure.read import READING_VERSION


def content_key(files: Mapping[str, Path], *said: object) -> str:
    """Changes with the content of files, with what is said of them, with what is computed, and with the format."""
    versions = f"{FORMAT_VERSION} {FEATURE_VERSION} {LABEL_VERSION} {READING_VERSION} {said}"
    digest = hashlib.sha256(versions.encode())
    for role, path in files.items():
        digest.update(role.encode() + hashlib.sha256(read_bytes(path)).digest())
    return digest.hexdigest()


@dataclass(frozen=True)
class ComplexTask:
    """Prepares the complexes that a recipe makes of one directory (`resblock.pairs.preparation.Task`)."""

    directory: Path
    recipe: Recipe = field(default_factory=Recipe)
    about: Described = field(default_factory=Described)

    @property
    def name(self) -> str:
        """Code of the complex."""
        return self.directory.name

    @property
    def kind(self) -> str:
        """Of the complex."""
        return self.about.kind

    @property
    def size(self) -> int:
        """Bytes of its files: the time goes with them."""
        return sum(path.stat().st_size for path in self.directory.glob("*bound.*"))

    def key(self) -> str:
        """Changes with the content of the files, with the recipe, and with what the index says."""
        return content_key(complex_files(self.directory).named(), self.recipe, self.about)

    def complexes(self) -> Iterator[tuple[Complex, tuple[str, ...]]]:
        """The complexes, the one of the whole files at last and with what these held."""
        files = complex_files(self.directory)
        structures = Structures.read(files, self.recipe.model)
        partners = [partner for partner in (*structures.unbound, *structures.bound) if partner is not None]
        read = (
            *(f"{role}: {partner.contents}" for role, partner in zip(files.named(), partners, strict=True)),
            *(f"note: {note}" for partner in structures.of_models() for note in notes(partner)),
        )
        for complex in complexes_of(self.name, structures, self.recipe, self.about):
            yield complex, read if complex.code == self.name else ()

    def none(self) -> str:
        """Never called: there is always the complex itself."""
        return ""


def prepare_complex(directory: str | os.PathLike[str]) -> Complex:
    """All features, and the labels, of one complex in the benchmark layout.

    Raises
    ------
    InputError
        A file is missing or cannot be used.
    """
    task = ComplexTask(Path(directory))
    *_, (complex, _) = task.complexes()
    return replace(complex, key=task.key())


def prepare_benchmark(
    directory: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    only: Sequence[str] | None = None,
    index: Mapping[str, Described] | None = None,
    recipe: Recipe | None = None,
    jobs: int | None = None,
    progress: Callable[[Sequence[Prepared], int], object] | None = None,
) -> Summary:
    """Prepare a benchmark's complexes into ``out/CODE.npz`` in parallel, the biggest first.

    What is there from the same input is left alone. A complex that fails does not stop the others.

    Parameters
    ----------
    directory
        Benchmark in the layout of `resblock.pairs.layout`.
    out
        Made if missing.
    only
        Codes to prepare; all if None.
    index
        Kind and cluster of each complex, by code.
    recipe
        What is made besides the complexes themselves; nothing if None.
    jobs
        Processes; as many as processors if None.
    progress
        Called after each directory with what became of its complexes and the number of directories in all.

    Raises
    ------
    InputError
        The benchmark, a complex of `only`, the recipe or the output directory cannot be used, or the index lacks a
        complex.
    """
    recipe = recipe or Recipe()
    recipe.check()
    found: Iterable[tuple[str, Path]] = find_complexes(directory, only).items()
    tasks = [ComplexTask(path, recipe, described(code, index)) for code, path in found]
    return prepare_all(tasks, Path(out), jobs=jobs, progress=progress)
