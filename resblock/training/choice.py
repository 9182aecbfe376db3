"""Which prepared complexes are trained on, and which are left out, and how often each is drawn."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from resblock.errors import InputError
from resblock.evaluation.homologues import Homologues
from resblock.evaluation.splits import Part, find_list, part_of
from resblock.pairs import DERIVED_KINDS, Complex, complex_paths, load_complex
from resblock.training.config import DataConfig

#: Stands for all kinds that are not named.
ANY_KIND: Final = "*"
#: List of the complexes that nothing is trained on until the end.
FINAL_TEST: Final = "final_test"


def final_test() -> frozenset[str]:
    """Codes of the complexes that nothing is trained on."""
    return frozenset(part_of(find_list(FINAL_TEST), "test"))


def refuse_final_test(complexes: Iterable[Complex]) -> None:
    """Refuse to train on complexes of the final test, or on what was made of them.

    Raises
    ------
    InputError
        One of them is.
    """
    kept = final_test()
    for complex in complexes:
        if complex.root in kept:
            raise InputError(
                f"{complex.code} is in the final test, which nothing is trained on; leave it out of the list"
            )


def load_usable(
    data: str | os.PathLike[str], config: DataConfig, wanted: Collection[str] | None = None
) -> Iterator[Complex]:
    """Prepared complexes of a directory that may be trained on or validated with, one by one.

    Those of the final test are never among them, nor anything that was made of them.

    Parameters
    ----------
    data : path
    config : DataConfig
    wanted : collection of str, optional
        Codes of complexes, which stand for their variants as well; all by default.

    Raises
    ------
    InputError
        A complex that is wanted is missing or is of the final test, or a file is unusable.
    """
    kept = final_test()
    paths = complex_paths(data)
    if wanted is not None:
        # A variant has its complex's code before a dot in its own, and a code may have dots itself.
        codes = set(wanted)
        paths = [path for path in paths if path.stem in codes or _beginnings(path.stem) & codes]
        found = {name for path in paths for name in (path.stem, *_beginnings(path.stem))}
        complex_paths(data, sorted(codes - found))
    for path in paths:
        complex = load_complex(path)
        if wanted is not None and complex.code in wanted:
            refuse_final_test([complex])
        is_wanted = wanted is None or complex.code in wanted or complex.root in wanted
        if is_wanted and complex.root not in kept and is_used(complex, config):
            yield complex


def _beginnings(code: str) -> set[str]:
    words = code.split(".")
    return {".".join(words[:count]) for count in range(1, len(words))}


def is_used(complex: Complex, config: DataConfig) -> bool:
    """Whether a configuration takes complexes of this form."""
    return (config.variants or not complex.origin) and (config.complexes == "all" or complex.is_dimer)


def chances(complexes: Sequence[Complex], config: DataConfig) -> tuple[float, ...]:
    """Chance of each training complex to be in an epoch; empty where all are in every epoch."""
    by_kind = config.chances_of_kinds()
    if not config.cluster_power and not by_kind:
        return ()
    clusters = [(complex.kind, complex.cluster or complex.root) for complex in complexes]
    size = Counter(clusters)
    return tuple(_of_kind(kind, by_kind) * size[kind, name] ** -config.cluster_power for kind, name in clusters)


def drawable(complexes: Sequence[Complex], config: DataConfig) -> list[Complex]:
    """The complexes whose kind has any chance."""
    by_kind = config.chances_of_kinds()
    return [complex for complex in complexes if _of_kind(complex.kind, by_kind) > 0]


def _of_kind(kind: str, by_kind: Mapping[str, float]) -> float:
    return by_kind.get(kind, by_kind.get(ANY_KIND, 1.0))


@dataclass(frozen=True)
class Separation:
    """What is left out where the dimers of a fold are ranked.

    Attributes
    ----------
    folds
        Fold of each dimer that is ranked.
    homologues
        List that `resblock homologues` wrote.
    collection
        Codes of complexes that, like the dimers in folds, are trained on even if they are homologues of a dimer of the
        fold; all others, and what was made of any, are not (protocol A).
    strict
        Leave out all homologues, those in other folds and of the collection, too (protocol B).
    """

    folds: Mapping[str, int]
    homologues: Homologues
    collection: frozenset[str] = frozenset()
    strict: bool = False

    def part(self, complex: Complex, fold: int, config: DataConfig) -> Part | None:
        """Part of a complex where a fold is ranked; None if it is left out.

        Raises
        ------
        InputError
            It is not known whose homologue it is.
        """
        if self.folds.get(complex.root) == fold:
            return None if complex.origin else "test"
        if complex.code not in self.folds and not is_used(complex, config):
            return None
        if self._belongs(complex) and not self.strict:
            return "train"
        return None if any(self.folds[code] == fold for code in self.relatives(complex)) else "train"

    def _belongs(self, complex: Complex) -> bool:
        """Whether a complex is one of the collection or of the folds, or another form of one, but no part."""
        return (complex.root in self.collection or complex.root in self.folds) and complex.kind not in DERIVED_KINDS

    def relatives(self, complex: Complex) -> frozenset[str]:
        """Dimers in folds that are homologues of a complex.

        Of another form of a complex of the collection, those of the complex itself: metrics of the same dimers compare,
        whatever forms are trained on.

        Raises
        ------
        InputError
            The complex is not in the list of homologues.
        """
        listed = complex.root if self._belongs(complex) else complex.code
        if listed not in self.homologues:
            raise InputError(
                f"{complex.code} is not in the list of homologues; run `resblock homologues` over all that is prepared"
            )
        mutual = {code for code in self.folds if listed in self.homologues.get(code, ())}
        return frozenset(mutual | (self.homologues[listed] & self.folds.keys()))

    def without_homologue(self, fold: int, trained_on: Iterable[Complex]) -> frozenset[str]:
        """Dimers of a fold that have no homologue among complexes that were trained on."""
        related = {code for complex in trained_on for code in self.relatives(complex)}
        return frozenset(code for code, its_fold in self.folds.items() if its_fold == fold and code not in related)
