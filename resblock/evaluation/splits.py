"""Which complexes train, which stop the training, which test: lists as text files."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Literal, cast, get_args

import numpy as np

from resblock.errors import InputError
from resblock.files import read_text, write_text

Part = Literal["train", "validation", "test"]
PARTS: Final[tuple[Part, ...]] = get_args(Part)
#: Shares of train, validation and test where no list says.
SHARES: Final = (6, 2, 2)

Split = Mapping[str, Part]


def read_split(path: str | os.PathLike[str]) -> Split:
    """Read a list of complexes: a code a line, and after white space its part.

    A code without a part is in `test`; blank lines and what follows a # are skipped.

    Raises
    ------
    InputError
        If the file cannot be read, a part is unknown, or a code comes twice.
    """
    split: dict[str, Part] = {}
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        code, part = words if len(words) == 2 else (words[0], "test")
        if len(words) > 2 or part not in PARTS:
            raise InputError(f"{path}, line {number}: {line.strip()!r}; write a code and {', '.join(PARTS)} or nothing")
        if code in split:
            raise InputError(f"{path}, line {number}: {code} is already in the list")
        split[code] = part
    if not split:
        raise InputError(f"{path}: lists no complex")
    return split


def read_codes(path: str | os.PathLike[str]) -> list[str]:
    """Codes of a list of complexes or of folds, in its order; whatever follows a code on its line is skipped.

    Raises
    ------
    InputError
        If the file cannot be read, or lists no complex.
    """
    codes = [words[0] for line in read_text(path).splitlines() if (words := line.partition("#")[0].split())]
    if not codes:
        raise InputError(f"{path}: lists no complex")
    return list(dict.fromkeys(codes))


def write_split(path: Path, split: Split) -> None:
    """Write what `read_split` reads, sorted by code."""
    write_text(path, "".join(f"{code}\t{split[code]}\n" for code in sorted(split)))


def random_split(codes: Sequence[str], seed: int) -> Split:
    """Divide codes 6:2:2 by chance; the same codes and seed give the same parts, whatever their order.

    Raises
    ------
    InputError
        If there are fewer than three.
    """
    if len(codes) < len(PARTS):
        raise InputError(f"{len(codes)} complexes cannot be divided into {', '.join(PARTS)}; prepare more")
    shuffled = np.random.default_rng(seed).permutation(sorted(codes)).tolist()
    train, validation, test = SHARES
    total = train + validation + test
    # At least one in each part, however few there are: of three, rounding leaves none to the last two.
    first = min(round(len(codes) * train / total), len(codes) - 2)
    second = min(round(len(codes) * (train + validation) / total), len(codes) - 1)
    parts = ["train"] * first + ["validation"] * (second - first) + ["test"] * (len(codes) - second)
    return dict(zip(shuffled, cast("list[Part]", parts), strict=True))


def find_list(name: str) -> Path:
    """A list's file: a path, or the name of a list in the package.

    For `read_split` there are `all`, `paper_test`, `without_paper_test`, `included_weights` and `final_test`; for
    cross-validation `folds`, `immune_folds` and `homologues`.
    """
    included = Path(__file__).parent / "lists" / f"{name}.tsv"
    return included if not Path(name).exists() and included.is_file() else Path(name)


def part_of(path: str | os.PathLike[str], part: str) -> list[str]:
    """Sorted codes of one part of a list.

    Raises
    ------
    InputError
        If the list cannot be read, or has no such part.
    """
    if part not in PARTS:
        raise InputError(f"part {part!r} is unknown; choose {', '.join(PARTS)}")
    codes = codes_of(read_split(path), part)
    if not codes:
        raise InputError(f"{path}: no complex in the part {part}")
    return codes


def codes_of(split: Split, part: str) -> list[str]:
    """Sorted codes of one part."""
    return sorted(code for code, its_part in split.items() if its_part == part)


def read_folds(path: str | os.PathLike[str]) -> dict[str, int]:
    """Read a list of folds: a code a line, and after white space the number of its fold.

    Raises
    ------
    InputError
        If the file cannot be read, or there are fewer than two folds.
    """
    folds: dict[str, int] = {}
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        if len(words) != 2 or not words[1].isdecimal() or words[0] in folds:
            raise InputError(f"{path}, line {number}: {line.strip()!r}; write a code, once, and a fold's number")
        folds[words[0]] = int(words[1])
    if len(set(folds.values())) < 2:
        raise InputError(f"{path}: lists fewer than two folds")
    return folds


def folds_by_cluster(clusters: Mapping[str, str], count: int, seed: int) -> dict[str, int]:
    """Divide complexes into folds so that those of a cluster are together.

    Clusters in an order drawn by the seed; each goes to the fold that has the fewest complexes so far.

    Parameters
    ----------
    clusters
        Name of the cluster of each complex, by code.
    count
        Number of folds, from 0 on.
    seed
    """
    of_cluster: dict[str, list[str]] = {}
    for code in sorted(clusters):
        of_cluster.setdefault(clusters[code], []).append(code)
    folds: dict[str, int] = {}
    sizes = [0] * count
    for name in np.random.default_rng(seed).permutation(sorted(of_cluster)).tolist():
        fold = sizes.index(min(sizes))
        folds |= dict.fromkeys(of_cluster[name], fold)
        sizes[fold] += len(of_cluster[name])
    return folds
