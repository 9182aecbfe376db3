"""Cross-validation: every dimer is ranked out-of-fold.

OUT/NAME/seed-S/fold-K     the training run (`resblock.training.run`) whose test part is fold K
OUT/metrics.json           all metrics
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from resblock.errors import InputError
from resblock.evaluation import Metrics, rank, summarise
from resblock.evaluation.homologues import read_homologues
from resblock.evaluation.reliability import Reliability, reliability
from resblock.evaluation.splits import PARTS, Part, Split, find_list, read_folds, read_split
from resblock.files import read_text, write_text
from resblock.models import Calibration, Ensemble, choose_device, load_ensemble, probability
from resblock.pairs import Complex, complex_paths, load_complex
from resblock.pairs.expectations import Expectations
from resblock.training.calibration import fit_calibration
from resblock.training.choice import Separation, drawable, final_test
from resblock.training.config import TrainingConfig
from resblock.training.description import Describer
from resblock.training.expectations import fit_expectations
from resblock.training.run import WEIGHTS, Inherited, train_parts

METRICS: Final = "metrics.json"
#: Name of the row for the ensemble of all models.
ENSEMBLE: Final = "ensemble"


@dataclasses.dataclass(frozen=True)
class Row:
    """Out-of-fold ranking by one model.

    Attributes
    ----------
    name
        Name of the configuration and the seed, or `ENSEMBLE`.
    results
        One of each dimer.
    without_homologues
        Codes of the dimers that have no homologue among the complexes that were trained on.
    calibration
        The correction under which the log-odds of all pairs of all dimers fit best.
    reliability
        What the probabilities corrected so are worth.
    expectations
        What lists of residues and pairs corrected so are worth; None where no dimer without a homologue tells.
    """

    name: str
    results: tuple[Metrics, ...]
    without_homologues: frozenset[str]
    calibration: Calibration
    reliability: tuple[Reliability, ...]
    expectations: Expectations | None

    def summaries(self) -> dict[str, dict[str, Any]]:
        """Summaries over all dimers and over those without a homologue."""
        alone = [result for result in self.results if result.code in self.without_homologues]
        return {
            "all": dataclasses.asdict(summarise(self.results)),
            "without homologues": dataclasses.asdict(summarise(alone)),
        }


def cross_validate(
    data: str | os.PathLike[str],
    out: str | os.PathLike[str],
    configs: Mapping[str, TrainingConfig],
    seeds: Sequence[int],
    *,
    folds_file: str | os.PathLike[str] | None = None,
    homologues_file: str | os.PathLike[str] | None = None,
    collection_file: str | os.PathLike[str] | None = None,
    strict: bool = False,
    folding: str | os.PathLike[str] | None = None,
    start: str | os.PathLike[str] | None = None,
    device: str = "auto",
    progress: Callable[[str], object] = lambda what: None,
) -> list[Row]:
    """Train every configuration with every seed on all folds but one, in turn, and rank the dimers left out.

    Runs that are finished are not done again; an interrupted one is resumed. There is no validation part: the last
    epoch counts.

    Parameters
    ----------
    data : path
        Directory of prepared complexes. Those in no fold are trained on where the configuration takes complexes of
        that form and `Separation` does not leave them out.
    out : path
        Directory of the runs; made if missing.
    configs : mapping
        Training configurations by name, of one model each: the seeds make the ensemble.
    seeds : sequence of int
        In place of that of the configurations.
    folds_file, homologues_file : path, optional
        For `resblock.evaluation.splits.read_folds` and `resblock.evaluation.homologues.read_homologues`; those of the
        package without.
    collection_file : path, optional
        List of the complexes that are trained on even if they are homologues; the docking benchmark's without.
    strict : bool
        Leave out all homologues of the fold that is ranked.
    folding : path, optional
        Directory of networks for inverse folding, which describe the partners.
    start : path, optional
        Directory of another cross-validation with the same folds, names and seeds, whose networks are trained on.
    device : {"auto", "cpu", "cuda"}
    progress : callable, optional
        Called with the name of each training run before it begins.

    Returns
    -------
    list of Row
        Every configuration and seed, and at last their ensemble if there are several.

    Raises
    ------
    InputError
        If data, lists and configurations do not fit together.
    """
    if not configs or not seeds:
        raise InputError("nothing to cross-validate; name a preset and a seed")
    _refuse_ensembles(configs)
    chosen_device = choose_device(device)
    folds = read_folds(folds_file or find_list("folds"))
    collection = frozenset(read_split(collection_file or find_list("all")))
    homologues = read_homologues(homologues_file or find_list("homologues"))
    separation = Separation(folds, homologues, collection, strict)
    kept = final_test()
    usable = (complex for complex in map(load_complex, complex_paths(data)) if complex.root not in kept)
    described = usable if folding is None else map(Describer.load(folding).describe, usable)
    complexes = {complex.code: complex for complex in described}
    missing = [code for code in folds if code not in complexes]
    if missing:
        raise InputError(f"{data}: no prepared complex {missing[0]}, which is in a fold; run `resblock prepare`")
    labels = {f"{name}, seed {seed}": (name, seed) for name in configs for seed in seeds}
    models: dict[str, dict[int, OutOfFold]] = {}
    for label, (name, seed) in labels.items():
        models[label] = {}
        for fold in sorted(set(folds.values())):
            progress(f"{label}, fold {fold}")
            split, parts = _left_out(complexes, separation, fold, configs[name])
            place = Path(name) / f"seed-{seed}" / f"fold-{fold}"
            before = None if start is None else load_ensemble(Path(start) / place / WEIGHTS)
            seen = parts["train"] + _trained_before(before, complexes, folds, fold)
            inherited = Inherited(start=before)
            run = Path(out) / place
            train_parts(run, configs[name].seeded(seed), split, parts, device=chosen_device, inherited=inherited)
            new = separation.without_homologue(fold, seen)
            models[label][fold] = OutOfFold(load_ensemble(run / WEIGHTS, chosen_device), new)
    if len(models) > 1:
        models[ENSEMBLE] = {
            fold: OutOfFold.together([of_model[fold] for of_model in models.values()]) for fold in set(folds.values())
        }
    rows = [_row(label, of_model, complexes, folds) for label, of_model in models.items()]
    _write(Path(out) / METRICS, rows)
    return rows


class OutOfFold(NamedTuple):
    """What ranks the dimers of a fold, and the codes of those that have no homologue among what it was trained on."""

    ensemble: Ensemble
    without_homologues: frozenset[str]

    @classmethod
    def together(cls, several: Sequence[OutOfFold]) -> OutOfFold:
        """One ensemble of several."""
        new = frozenset.intersection(*(one.without_homologues for one in several))
        return cls(Ensemble.of([one.ensemble for one in several]), new)


def _refuse_ensembles(configs: Mapping[str, TrainingConfig]) -> None:
    """Refuse ensembles, which have the seeds that follow: a seed could be trained and counted twice."""
    for name, config in configs.items():
        if config.optimisation.ensemble > 1:
            raise InputError(
                f"{name}: optimisation.ensemble is {config.optimisation.ensemble}; cross-validation makes an ensemble "
                "of the seeds, so name those and leave it at 1"
            )


def read_calibration(path: str | os.PathLike[str], model: str) -> tuple[Calibration, Expectations | None]:
    """Read the correction of a model's log-odds, and what to expect of it, from the metrics of `cross_validate`.

    Raises
    ------
    InputError
        If the file cannot be read, or has no such model.
    """
    try:
        report = {row["model"]: _fitted(row) for row in json.loads(read_text(path))}
    except InputError:
        raise
    except (ValueError, KeyError, TypeError):
        raise InputError(f"{path}: no metrics of resblock cross-validate; give its {METRICS}") from None
    if model not in report:
        raise InputError(f"{path}: has no model {model!r}; it has {', '.join(report)}")
    return report[model]


def _fitted(row: Mapping[str, Any]) -> tuple[Calibration, Expectations | None]:
    told, found = row["calibration"], row.get("expectations")
    calibration = Calibration(float(told["scale"]), float(told["shift"]))
    return calibration, None if found is None else Expectations.of(found)


def _trained_before(
    start: Ensemble | None, complexes: Mapping[str, Complex], folds: Mapping[str, int], fold: int
) -> list[Complex]:
    """Complexes that the weights to begin with were trained on.

    Raises
    ------
    InputError
        One is not prepared, or is of the fold that is ranked.
    """
    seen, codes, card = [], [], {} if start is None else start.card
    while card:
        codes += card["complexes"]["train"]
        card = card.get("start", {})
    for code in codes:
        if code not in complexes:
            raise InputError(f"--start: was trained on {code}, which is not prepared here; it could be a homologue")
        if folds.get(complexes[code].root) == fold:
            raise InputError(f"--start: was trained on {code}, which is of fold {fold}; cross-validate it, too")
        seen.append(complexes[code])
    return seen


def _left_out(
    complexes: Mapping[str, Complex], separation: Separation, fold: int, config: TrainingConfig
) -> tuple[Split, dict[Part, list[Complex]]]:
    """Fold `fold` as test part, as training part all that the configuration takes and that is not left out."""
    parts = {code: separation.part(complex, fold, config.data) for code, complex in complexes.items()}
    split = {code: part for code, part in parts.items() if part is not None}
    lists: dict[Part, list[Complex]] = {
        part: [complexes[code] for code in split if split[code] == part] for part in PARTS
    }
    return split, {**lists, "train": drawable(lists["train"], config.data)}


def _row(
    label: str, models: Mapping[int, OutOfFold], complexes: Mapping[str, Complex], folds: Mapping[str, int]
) -> Row:
    results: list[Metrics] = []
    tables: list[NDArray[np.float32]] = []
    contacts: list[NDArray[np.bool_]] = []
    for fold, model in sorted(models.items()):
        for complex in (complexes[code] for code in sorted(folds) if folds[code] == fold):
            tables.append(model.ensemble.complex_log_odds(complex))
            contacts.append(complex.labels().reshape(complex.surface_shape))
            results.append(rank(complex, tables[-1]))
    together, touching = (np.concatenate([table.reshape(-1) for table in of]) for of in (tables, contacts))
    calibration = fit_calibration(together, touching)
    reliable = reliability(probability(calibration(together)), touching)
    alone = frozenset[str]().union(*(model.without_homologues for model in models.values()))
    return Row(
        name=label,
        results=tuple(results),
        without_homologues=alone,
        calibration=calibration,
        reliability=tuple(reliable),
        expectations=fit_expectations(
            [calibration(table) for table in tables], contacts, [result.code in alone for result in results]
        ),
    )


def _write(path: Path, rows: Sequence[Row]) -> None:
    report = [
        {
            "model": row.name,
            **row.summaries(),
            "calibration": dataclasses.asdict(row.calibration),
            "reliability": [dataclasses.asdict(bin) for bin in row.reliability],
            "expectations": None if row.expectations is None else row.expectations.as_dict(),
            "dimers": [dataclasses.asdict(result) for result in row.results],
        }
        for row in rows
    ]
    write_text(path, json.dumps(report, indent=1, allow_nan=False) + "\n")
