"""A second look at a co-folded complex: which of its contacts a prediction ranks high."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from resblock.errors import InputError
from resblock.evaluation.ranking import auroc
from resblock.pairs.tables import RankedPair
from resblock.prediction.prediction import Prediction

#: Entries of a confidence file that are told, as AlphaFold 3, Boltz and Chai name them.
CONFIDENCES: Final = ("iptm", "ptm", "ranking_score", "confidence_score", "aggregate_score")


@dataclass(frozen=True)
class Comparison:
    """What a prediction says of the contacts of a model of the complex.

    Attributes
    ----------
    agreement : float
        Chance that a contact of the model has higher log-odds than another pair (AUROC); docs/accuracy.md has what it
        is for bound complexes and for random poses.
    contacts : tuple of RankedPair
        The model's contacts between candidates, in the order of the prediction's list.
    pairs : int
        All pairs of candidates.
    marked : (int, int)
        Residues of receptor and ligand that are marked.
    marked_inside : (int, int)
        Those of them that are in the model's interface.
    confidence : dict
        What the program says of its model.
    """

    agreement: float
    contacts: tuple[RankedPair, ...]
    pairs: int
    marked: tuple[int, int]
    marked_inside: tuple[int, int]
    confidence: dict[str, float]


def compare(
    prediction: Prediction,
    model: str | os.PathLike[str],
    receptor_chains: Sequence[str] | None = None,
    ligand_chains: Sequence[str] | None = None,
    confidence: str | os.PathLike[str] | None = None,
) -> Comparison:
    """Compare a prediction with a model of the complex, of whatever program.

    Parameters
    ----------
    prediction : Prediction
        Of the two partners by themselves.
    model : path
        Structure file of the complex; residues are found by number and name, else by aligning the sequences.
    receptor_chains, ligand_chains : sequence of str, optional
        The model's chains that are the partners; by default those named as in the prediction.
    confidence : path, optional
        JSON of AlphaFold 3 or Boltz, or npz of Chai.

    Raises
    ------
    InputError
        If a file or chain cannot be used, or the model has no contact between candidates.
    """
    known = prediction.with_truth(model, receptor_chains, ligand_chains)
    assert known.truth is not None
    value = auroc(known.log_odds.reshape(-1), known.truth.reshape(-1))
    if value is None:
        raise InputError(f"{os.fspath(model)}: its partners do not touch; is this a model of the complex?")
    sides = known.results.sides
    return Comparison(
        agreement=value,
        contacts=tuple(pair for pair in known.ranking if pair.touches),
        pairs=known.log_odds.size,
        marked=(len(sides[0].marked), len(sides[1].marked)),
        marked_inside=(
            sum(bool(one.in_interface) for one in sides[0].marked),
            sum(bool(one.in_interface) for one in sides[1].marked),
        ),
        confidence={} if confidence is None else read_confidence(confidence),
    )


def read_confidence(path: str | os.PathLike[str]) -> dict[str, float]:
    """The numbers of `CONFIDENCES` that a program wrote beside its model.

    Raises
    ------
    InputError
        If the file cannot be read or has none of them.
    """
    try:
        values = _npz(path) if os.fspath(path).endswith(".npz") else _json(path)
    except OSError as error:
        raise InputError(f"{os.fspath(path)}: cannot be read ({error.strerror}); check the path") from None
    except (ValueError, TypeError, AttributeError) as error:
        raise InputError(f"{os.fspath(path)}: no confidences ({error}); give the program's JSON or npz file") from None
    if not values:
        raise InputError(f"{os.fspath(path)}: has none of {', '.join(CONFIDENCES)}; give the summary of confidences")
    return values


def _json(path: str | os.PathLike[str]) -> dict[str, float]:
    with open(path, encoding="utf-8") as file:
        content = json.load(file)
    return {name: float(content[name]) for name in CONFIDENCES if isinstance(content.get(name), int | float)}


def _npz(path: str | os.PathLike[str]) -> dict[str, float]:
    with np.load(path, allow_pickle=False) as content:
        arrays: dict[str, NDArray[np.floating]] = {name: content[name] for name in CONFIDENCES if name in content}
        return {name: float(array.reshape(-1)[0]) for name, array in arrays.items()}
