"""Pseudo-dimers: a chain is cut in two where few contacts cross, and its parts are a dimer to train on.

After Du, Gong and others, Nature Communications 2026, doi 10.1038/s41467-026-73885-5.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from resblock.errors import InputError
from resblock.pairs.benchmark import content_key
from resblock.pairs.complex import PSEUDO_DIMER, Complex
from resblock.pairs.labels import BoundContacts
from resblock.pairs.layout import SUFFIXES, Described, described, existing_directory
from resblock.pairs.preparation import Prepared, Summary, prepare_all
from resblock.pairs.variants import MIN_CONTACTS, residue_contacts
from resblock.structure.features import PartnerFeatures
from resblock.structure.names import one_letter
from resblock.structure.partner import Partner
from resblock.structure.read import partner_of, read_file

#: Bound partners of a complex in the benchmark layout, and how their chains are called.
_SIDES: Final = {"receptor_bound": "r", "ligand_bound": "l"}


@dataclass(frozen=True)
class Cutting:
    """Where chains are cut. Sizes and contacts are those of real dimers (`docs/train.md` compares).

    Attributes
    ----------
    cuts
        At most so many of a chain.
    chain
        Residues that a chain must have.
    part
        Residues that each part must have.
    contacts, most_contacts
        Pairs of residues on both sides that come near each other, at least and at most.
    density
        Contacts over the geometric mean of the sizes of both parts, at most: a cut through the core of a domain lays
        bare what no surface has.
    left_out
        Residues at either side of a cut that belong to neither part: bonded residues would tell where the chain went
        on.
    apart
        Residues between two cuts of a chain.
    model
        Number of the model of files that have several; the first if None.
    """

    cuts: int = 3
    chain: int = 110
    part: int = 45
    contacts: int = MIN_CONTACTS
    most_contacts: int = 160
    density: float = 0.8
    left_out: int = 2
    apart: int = 25
    model: int | None = None

    def check(self) -> None:
        """Refuse what means nothing.

        Raises
        ------
        InputError
            There is to be no cut.
        """
        if self.cuts < 1:
            raise InputError(f"--cuts {self.cuts}: give at least 1")


@dataclass(frozen=True)
class Cut:
    """A place in a chain.

    Attributes
    ----------
    place
        Index of the first residue behind it.
    contacts
        Pairs of residues that come near each other across it, without those that are left out.
    depth
        These contacts over the median of all places where the chain could be cut.
    """

    place: int
    contacts: int
    depth: float


def find_cuts(chain: Partner, cutting: Cutting) -> list[Cut]:
    """Where the fewest contacts cross, the fewest first; each has fewer than the places around it."""
    first, last = cutting.part + cutting.left_out, len(chain) - cutting.part - cutting.left_out
    if len(chain) < cutting.chain or last < first:
        return []
    places = np.arange(first, last + 1)
    crossing = _crossing(residue_contacts(chain.coordinates, chain.atom_residue), places, cutting.left_out)
    middle = max(float(np.median(crossing)), 1.0)
    cuts: list[Cut] = []
    for k in np.argsort(crossing, kind="stable").tolist():
        place, contacts = int(places[k]), int(crossing[k])
        sizes = place - cutting.left_out, len(chain) - place - cutting.left_out
        is_like_a_dimer = (
            cutting.contacts <= contacts <= min(cutting.most_contacts, cutting.density * math.sqrt(sizes[0] * sizes[1]))
        )
        is_apart = all(abs(place - cut.place) > cutting.apart for cut in cuts)
        if is_like_a_dimer and is_apart and _is_lowest(crossing, k):
            cuts.append(Cut(place, contacts, contacts / middle))
    return cuts[: cutting.cuts]


def _crossing(pairs: NDArray[np.int64], places: NDArray[np.int64], left_out: int) -> NDArray[np.int64]:
    """(K,) numbers of pairs i < j with i before and j behind each place, none of them among the residues left out."""
    size = int(places[-1]) + left_out + 2
    step = np.zeros(size, dtype=np.int64)
    # A pair crosses from the place behind i to that before j.
    starts, stops = pairs[:, 0] + left_out + 1, pairs[:, 1] - left_out + 1
    crosses = stops > starts
    np.add.at(step, np.minimum(starts[crosses], size - 1), 1)
    np.add.at(step, np.minimum(stops[crosses], size - 1), -1)
    return np.cumsum(step)[places]


def _is_lowest(crossing: NDArray[np.int64], k: int) -> bool:
    """Whether no neighbour has fewer: beside a place with too few contacts, one with just enough is no minimum."""
    return bool(crossing[k] <= crossing[max(k - 1, 0) : k + 2].min())


@dataclass(frozen=True)
class ChainTask:
    """Cuts the chains of a complex or of a structure file (`resblock.pairs.preparation.Task`)."""

    name: str
    files: tuple[Path, ...]
    cutting: Cutting
    about: Described

    @property
    def kind(self) -> str:
        """Of what it makes."""
        return PSEUDO_DIMER

    @property
    def size(self) -> int:
        """Bytes of the files."""
        return sum(path.stat().st_size for path in self.files)

    def key(self) -> str:
        """Changes with the content of the files, with where chains are cut, and with what the index says."""
        return content_key({path.name: path for path in self.files}, self.cutting, self.about)

    def complexes(self) -> Iterator[tuple[Complex, tuple[str, ...]]]:
        """The pseudo-dimers of all chains; of chains with the same residues, those of the first."""
        seen: set[tuple[str, ...]] = set()
        for path in self.files:
            file = read_file(path)
            partner = partner_of(file, model=self.cutting.model if file.has_models else None)
            for number, places in enumerate(partner.chain_ranges, start=1):
                chain = _with_sequence(partner.part(*places))
                names = tuple(residue.name for residue in chain.residues)
                if names in seen:
                    continue
                seen.add(names)
                label = f"{self.name}.{_SIDES.get(_stem(path), 'c')}{number}"
                for count, cut in enumerate(find_cuts(chain, self.cutting), start=1):
                    said = f"{path.name}: chain {chain.chains[0] or '_'} of {len(chain)} residues, cut before "
                    said += f"{cut.place + 1}: {cut.contacts} contacts, depth {cut.depth:.2f}"
                    yield self._dimer(f"{label}-cut{count}", chain, cut), (said,)

    def _dimer(self, code: str, chain: Partner, cut: Cut) -> Complex:
        left_out = self.cutting.left_out
        first, second = chain.part(0, cut.place - left_out), chain.part(cut.place + left_out, len(chain))
        return Complex(
            code,
            PartnerFeatures.of(first),
            PartnerFeatures.of(second),
            origin=self.name,
            kind=PSEUDO_DIMER,
            cluster=self.about.cluster,
            conformations=("cut", "cut"),
        ).labelled(BoundContacts.between(first, second).as_bound())

    def none(self) -> str:
        """Why there is no pseudo-dimer."""
        wanted = self.cutting
        return (
            f"no chain of {wanted.chain} residues with a place where {wanted.contacts} to {wanted.most_contacts} "
            f"contacts cross, {wanted.density:g} for each residue of its parts at most"
        )


def _with_sequence(chain: Partner) -> Partner:
    """The chain with its residues as its sequence, if the file states none: a part of it tells what it was cut from."""
    if any(chain.sequence):
        return chain
    letters = "".join(one_letter(residue.parent) for residue in chain.residues)
    return replace(chain, sequence=(letters,), sequence_index=np.arange(len(chain)))


def prepare_pseudo_dimers(
    directory: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    index: Mapping[str, Described] | None = None,
    cutting: Cutting | None = None,
    jobs: int | None = None,
    progress: Callable[[Sequence[Prepared], int], object] | None = None,
) -> Summary:
    """Cut the chains of a folder of structures and prepare their parts as dimers, into ``out/CODE.npz``.

    Parameters
    ----------
    directory
        Holds structure files, in folders within it too. Of a complex in the benchmark layout, the bound partners are
        taken.
    out, index, jobs, progress
        As of `resblock.pairs.benchmark.prepare_benchmark`; the index is by name of the folder or file.
    cutting
        Where chains are cut.

    Raises
    ------
    InputError
        The directory holds no structure, or two of one name; or the output directory cannot be made.
    """
    cutting = cutting or Cutting()
    cutting.check()
    found = find_structures(directory)
    tasks = [ChainTask(name, files, cutting, described(name, index)) for name, files in found.items()]
    return prepare_all(tasks, Path(out), jobs=jobs, progress=progress)


def find_structures(directory: str | os.PathLike[str]) -> dict[str, tuple[Path, ...]]:
    """Structure files of a folder by name: that of the file, or of the folder of a complex in the benchmark layout.

    Raises
    ------
    InputError
        There is none, or there are two of one name.
    """
    directory = existing_directory(directory)
    found: dict[str, tuple[Path, ...]] = {}
    for path in sorted(path for suffix in SUFFIXES for path in directory.rglob(f"*{suffix}") if path.is_file()):
        stem = _stem(path)
        if stem in ("receptor_unbound", "ligand_unbound"):
            continue
        name = path.parent.name if stem in _SIDES else stem
        before = found.get(name, ())
        if before and (stem not in _SIDES or before[0].parent != path.parent):
            raise InputError(f"{path}: {before[0]} has the same name; rename one of them")
        found[name] = (*before, path)
    if not found:
        raise InputError(f"{directory}: no structure file in it (.pdb, .cif or .bcif, plain, .gz, .bz2 or .xz)")
    return found


def _stem(path: Path) -> str:
    return next(path.name.removesuffix(suffix) for suffix in reversed(SUFFIXES) if path.name.endswith(suffix))
