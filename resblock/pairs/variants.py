"""Which complexes are made of the structure files of one: itself, and other forms and parts of it to train on."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from resblock.errors import InputError
from resblock.pairs.complex import INTERFACE, Complex, Conformation
from resblock.pairs.labels import BoundContacts, Labels
from resblock.pairs.layout import SIDES, ComplexFiles, Described
from resblock.structure.align import map_residues
from resblock.structure.features import PartnerFeatures
from resblock.structure.geometry import pairs_within
from resblock.structure.partner import Partner
from resblock.structure.read import partner_of, read_file

#: Residues whose heavy atoms come this near, Angstrom, are counted where it is asked whether two chains touch ...
NEAR: Final = 5.0
#: ... and so many pairs of them make an interface.
MIN_CONTACTS: Final = 20
#: Coordinates that are moved further make no protein.
_MAX_NOISE: Final = 1.0


@dataclass(frozen=True)
class Recipe:
    """What is made of the structure files of a complex, besides the complex itself.

    Attributes
    ----------
    model
        Number of the model of files that have several; the first if None.
    bound
        The complex of its bound structures, where an unbound one is there as well.
    interfaces
        Any two chains of the bound complex that touch, of different partners or of one, where these are not the whole
        complex.
    noise, copies
        So many copies of the complex of bound structures, of whose atoms every coordinate is moved by a normally
        distributed number with this standard deviation, Angstrom. Contacts are those of the structures as they are.
    seed
        Of these numbers.
    """

    model: int | None = None
    bound: bool = False
    interfaces: bool = False
    noise: float = 0.0
    copies: int = 0
    seed: int = 0

    def check(self) -> None:
        """Refuse what means nothing.

        Raises
        ------
        InputError
            Noise without copies, copies without noise, or a number that is impossible.
        """
        if not 0.0 <= self.noise <= _MAX_NOISE:
            raise InputError(f"--noise {self.noise:g}: give Angstrom from 0 to {_MAX_NOISE:g}")
        if self.copies < 0 or (self.copies > 0) != (self.noise > 0.0):
            raise InputError(f"--noise {self.noise:g} --copies {self.copies}: give both above 0, or neither")


@dataclass(frozen=True)
class Structures:
    """The partners of a complex, as read.

    Attributes
    ----------
    bound
        Receptor and ligand as they lie in the complex.
    unbound
        By themselves; None where that is not known.
    """

    bound: tuple[Partner, Partner]
    unbound: tuple[Partner | None, Partner | None]

    @classmethod
    def read(cls, files: ComplexFiles, model: int | None = None) -> Structures:
        """Read the files.

        Raises
        ------
        InputError
            A file cannot be used.
        """
        receptor, ligand = (_partner(path, model) for path in files.bound)
        unbound = [None if path is None else _partner(path, model) for path in files.unbound]
        return cls((receptor, ligand), (unbound[0], unbound[1]))

    def of_models(self) -> tuple[Partner, Partner]:
        """What models see: the unbound partners, or the bound ones where these are all there is."""
        receptor, ligand = (free or bound for free, bound in zip(self.unbound, self.bound, strict=True))
        return receptor, ligand

    @property
    def conformations(self) -> tuple[Conformation, Conformation]:
        """Of `of_models`."""
        receptor, ligand = self.unbound
        return "unbound" if receptor else "bound", "unbound" if ligand else "bound"


def _partner(path: Path, model: int | None) -> Partner:
    file = read_file(path)
    return partner_of(file, model=model if file.has_models else None)


def complexes_of(code: str, structures: Structures, recipe: Recipe, about: Described) -> Iterator[Complex]:
    """All complexes that a recipe makes, the complex itself at last.

    Raises
    ------
    InputError
        Features cannot be computed.
    """
    contacts = BoundContacts.between(*structures.bound)
    receptor, ligand = map(PartnerFeatures.of, structures.of_models())
    itself = Complex(
        code, receptor, ligand, kind=about.kind, cluster=about.cluster, conformations=structures.conformations
    ).labelled(_labels(contacts, structures))
    form = replace(itself, origin=code).labelled(contacts.as_bound())
    if recipe.bound and "unbound" in itself.conformations:
        receptor, ligand = map(PartnerFeatures.of, structures.bound)
        name = f"{code}.bound"
        yield replace(form, code=name, receptor=receptor, ligand=ligand, conformations=("bound", "bound"))
    for copy in range(1, recipe.copies + 1):
        name = f"{code}.copy{copy}"
        receptor, ligand = (
            PartnerFeatures.of(perturbed(partner, recipe.noise, f"{recipe.seed} {name} {side}"))
            for side, partner in zip(SIDES, structures.bound, strict=True)
        )
        yield replace(form, code=name, receptor=receptor, ligand=ligand, conformations=("perturbed", "perturbed"))
    if recipe.interfaces:
        yield from _interfaces(code, structures.bound, about)
    yield itself


def _labels(contacts: BoundContacts, structures: Structures) -> Labels:
    seen = zip(structures.of_models(), structures.bound, strict=True)
    return contacts.on(*(np.arange(len(bound)) if one is bound else map_residues(one, bound) for one, bound in seen))


def perturbed(partner: Partner, noise: float, name: str) -> Partner:
    """Move every coordinate by normally distributed noise, Angstrom; the same for the same name."""
    digest = hashlib.sha256(name.encode()).digest()
    generator = np.random.default_rng(int.from_bytes(digest[:8], "big"))
    return replace(partner, coordinates=partner.coordinates + generator.normal(0.0, noise, partner.coordinates.shape))


def _interfaces(code: str, bound: tuple[Partner, Partner], about: Described) -> Iterator[Complex]:
    """Pairs of chains that touch; named by side and place of each chain, as r1 and l2."""
    chains = {
        f"{side}{k}": partner.part(*places)
        for side, partner in zip("rl", bound, strict=True)
        for k, places in enumerate(partner.chain_ranges, start=1)
    }
    if len(chains) == 2:
        return
    touching = count_contacts(list(chains.values()))
    for (i, first), (j, second) in itertools.combinations(enumerate(chains), 2):
        if touching[i, j] >= MIN_CONTACTS:
            receptor, ligand = chains[first], chains[second]
            yield Complex(
                f"{code}.{first}-{second}",
                PartnerFeatures.of(receptor),
                PartnerFeatures.of(ligand),
                origin=code,
                kind=INTERFACE,
                cluster=about.cluster,
                conformations=("bound", "bound"),
            ).labelled(BoundContacts.between(receptor, ligand).as_bound())


def count_contacts(parts: list[Partner]) -> NDArray[np.int64]:
    """(K, K) numbers of residue pairs that come near each other, for every two of K partners as they lie; i < j."""
    pairs = residue_contacts(
        np.concatenate([part.coordinates for part in parts]),
        np.repeat(np.arange(sum(map(len, parts))), np.concatenate([np.bincount(part.atom_residue) for part in parts])),
    )
    owner = np.repeat(np.arange(len(parts)), [len(part) for part in parts])[pairs]
    counts = np.zeros((len(parts), len(parts)), dtype=np.int64)
    np.add.at(counts, (owner[:, 0], owner[:, 1]), 1)
    return counts


def residue_contacts(coordinates: NDArray[np.float64], atom_residue: NDArray[np.int64]) -> NDArray[np.int64]:
    """(P, 2) residues i < j with heavy atoms at most `NEAR` apart."""
    pairs = atom_residue[pairs_within(coordinates, NEAR)]
    return np.unique(pairs[pairs[:, 0] < pairs[:, 1]], axis=0)
