"""The split, and how alike the chains of its parts are."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from pathlib import Path
from typing import Final

import numpy as np
from Bio.Align import PairwiseAligner, substitution_matrices
from matplotlib.figure import Figure
from numpy.typing import NDArray

from resblock.evaluation.homologues import (
    COLUMNS,
    IDENTITY,
    SCORE,
    Homologues,
    LocalAlignment,
    best_local,
    find_homologues,
)
from resblock.evaluation.splits import PARTS, Part
from resblock.files import write_text
from resblock.pairs import Complex
from resblock.study.part import Study
from resblock.sweep.drawing import save_figure, style
from resblock.sweep.results import Cell, Result, Table

VERSION: Final = 1

#: Identity above which two dimers of different parts are listed.
LISTED: Final = 0.30
#: File of the whole matrix, too wide for a page.
MATRIX: Final = "identity.csv"


@dataclass(frozen=True)
class Chain:
    """A chain of a dimer and the part of the split it stands in."""

    part: str
    code: str
    name: str
    sequence: str


@dataclass(frozen=True, kw_only=True)
class Alike:
    """Two dimers of different parts: the largest identity of their whole chains, and their best local alignment."""

    code: str
    part: str
    other: str
    other_part: str
    identity: float
    local: LocalAlignment

    def row(self) -> tuple[Cell, ...]:
        """For the table."""
        related = "yes" if self.local.homologous else "no"
        two = (self.code, self.part, self.other, self.other_part)
        return *two, self.identity, related, self.local.identity, self.local.columns


def run(study: Study) -> Result:
    """Compare all chains of the dimers in the split."""
    dimers = {part: study.complexes(part) for part in PARTS}
    chains = [chain for part in PARTS for dimer in dimers[part] for chain in _chains(part, dimer)]
    study.progress(f"aligning {len(chains)} chains")
    identity = identity_matrix([chain.sequence for chain in chains])
    homologues = find_homologues([dimer for part in PARTS for dimer in dimers[part]])
    write_text(study.out / MATRIX, _matrix_csv(chains, identity))
    alike = across_parts(chains, identity, homologues)
    note = (
        f"{study.about()} Identity: identical residues over all columns of a global alignment, gaps too (Bio.Align in "
        "place of ClustalW2; BLOSUM62, gaps 10 and 0.5, free at the ends), so that what a long chain shares with a "
        "short one counts little; of two dimers, the largest of any two chains. Local identity: over the columns of "
        "the best local alignment of any two chains (BLOSUM62, gaps 11 and 1). Homologues: "
        f"{IDENTITY:.0%} over {COLUMNS} columns of a local alignment that scores {SCORE:.0f}."
    )
    tables = [
        Table(
            "split", "The split", ("dimer", "part", "surface pairs", "positives"), rows=_split_rows(dimers), note=note
        ),
        Table(
            "across_parts",
            f"Dimers of different parts with an identity above {LISTED:.0%}, and homologues",
            ("dimer", "part", "other dimer", "its part", "identity", "homologues", "local identity", "its columns"),
            rows=[one.row() for one in alike],
            note=note,
        ),
    ]
    return Result(tables, [_heat_map(chains, identity, study.out)], _text(alike))


def identity_matrix(sequences: Sequence[str]) -> NDArray[np.float64]:
    """Identical residues over the columns of global alignments, (n, n), 0 to 1."""
    aligner = PairwiseAligner(mode="global")
    aligner.substitution_matrix = substitution_matrices.load("BLOSUM62")
    aligner.open_gap_score, aligner.extend_gap_score, aligner.end_gap_score = -10.0, -0.5, 0.0
    different = sorted(set(sequences))
    found = np.eye(len(different))
    for (i, one), (j, other) in combinations(enumerate(different), 2):
        alignment = next(iter(aligner.align(one, other)))
        found[i, j] = found[j, i] = alignment.counts().identities / alignment.shape[1]
    places = [different.index(sequence) for sequence in sequences]
    return found[np.ix_(places, places)]


def across_parts(chains: Sequence[Chain], identity: NDArray[np.float64], homologues: Homologues) -> list[Alike]:
    """Every two dimers of different parts with an identity above `LISTED`, and all homologues, the most alike first."""
    largest: dict[tuple[str, str], float] = {}
    for (i, one), (j, other) in combinations(enumerate(chains), 2):
        if one.part != other.part:
            key = (one.code, other.code)
            largest[key] = max(largest.get(key, 0.0), float(identity[i, j]))
    part = {chain.code: chain.part for chain in chains}
    sequences = {code: [chain.sequence for chain in chains if chain.code == code] for code in part}
    return [
        Alike(
            code=one,
            part=part[one],
            other=other,
            other_part=part[other],
            identity=value,
            local=best_local(sequences[one], sequences[other]),
        )
        for (one, other), value in sorted(largest.items(), key=lambda entry: (-entry[1], entry[0]))
        if value > LISTED or other in homologues[one]
    ]


def _text(alike: Sequence[Alike]) -> str:
    above = sum(one.identity > LISTED for one in alike)
    related = [one for one in alike if one.local.homologous]
    local = sum(one.local.identity > LISTED for one in related)
    return (
        f"{above} pairs of dimers in different parts have an identity above {LISTED:.0%} over whole chains. "
        f"{len(related)} pairs are homologues by the rule of `resblock homologues`, which finds common domains and "
        f"more distant relatives; {local} of them have an identity above {LISTED:.0%} over the columns that align. "
        f"The whole matrix is in {MATRIX}."
    )


def _chains(part: str, dimer: Complex) -> Iterator[Chain]:
    for role, partner in (("receptor", dimer.receptor), ("ligand", dimer.ligand)):
        for name in partner.chains:
            letters = [
                letter
                for letter, residue in zip(partner.letters, partner.residues, strict=True)
                if residue.chain == name
            ]
            yield Chain(part, dimer.code, f"{role} {name}".strip(), "".join(letters))


def _split_rows(dimers: Mapping[Part, list[Complex]]) -> list[tuple[Cell, ...]]:
    labels = [(dimer.code, part, dimer.labels()) for part, members in dimers.items() for dimer in members]
    return [(code, part, len(positive), int(positive.sum())) for code, part, positive in labels]


def _matrix_csv(chains: Sequence[Chain], identity: NDArray[np.float64]) -> str:
    names = [f"{chain.code} {chain.name}" for chain in chains]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["chain", *names])
    writer.writerows([name, *(f"{value:.4f}" for value in row)] for name, row in zip(names, identity, strict=True))
    return text.getvalue()


def _heat_map(chains: Sequence[Chain], identity: NDArray[np.float64], out: Path) -> Path:
    parts = [chain.part for chain in chains]
    ends = [k + 1 for k, (one, other) in enumerate(pairwise(parts)) if one != other]
    with style():
        figure = Figure(figsize=(6.5, 5.5), layout="constrained")
        axes = figure.subplots()
        image = axes.imshow(identity, vmin=0.0, vmax=1.0, cmap="magma_r", interpolation="nearest")
        for end in ends:
            axes.axhline(end - 0.5, color="tab:blue", linewidth=0.8)
            axes.axvline(end - 0.5, color="tab:blue", linewidth=0.8)
        limits = [0, *ends, len(parts)]
        middles = [(first + last) / 2 for first, last in pairwise(limits)]
        axes.set_xticks(middles, [parts[first] for first in limits[:-1]])
        axes.set_yticks(middles, [parts[first] for first in limits[:-1]], rotation=90, va="center")
        axes.set_title(f"Sequence identity of {len(chains)} chains")
        figure.colorbar(image, label="identity")
        return save_figure(figure, out, "identity")
