"""Cross-validation: every dimer is ranked by networks that have not learned from it.

OUT/NAME/seed-S/fold-K     the training run (`resblock.training.run`) whose test part is fold K
OUT/figures.json           all figures
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from resblock.errors import InputError
from resblock.pairs import Dimer, load_dimers
from resblock.ranking import DimerResult, summary
from resblock.scoring import EnsembleScorer, NetworkScorer, choose_device, load_scorer
from resblock.scoring.calibration import Calibration, Reliability, fit_calibration, reliability
from resblock.structure.files import write_atomically
from resblock.training.config import TrainingConfig
from resblock.training.evaluation import rank
from resblock.training.homology import Homologues, read_homologues
from resblock.training.run import WEIGHTS, columns, train_parts
from resblock.training.split import Part, Split, find_list

FIGURES: Final = "figures.json"
#: Name of the row for the average of all models.
AVERAGE: Final = "average"


@dataclasses.dataclass(frozen=True)
class Row:
    """Out-of-fold ranking by one model.

    Attributes
    ----------
    name
        Of the configuration and the seed, or `AVERAGE`.
    results
        One of each dimer.
    without_homologues
        Codes of the dimers that have no homologue among the complexes that were learned from.
    calibration
        The correction under which the scores of all pairs of all dimers fit best.
    reliability
        Of the scores corrected so.
    """

    name: str
    results: tuple[DimerResult, ...]
    without_homologues: frozenset[str]
    calibration: Calibration
    reliability: tuple[Reliability, ...]

    def figures(self) -> dict[str, dict[str, Any]]:
        """Summaries over all dimers and over those without a homologue."""
        alone = [result for result in self.results if result.code in self.without_homologues]
        return {
            "all": dataclasses.asdict(summary(self.results)),
            "without homologues": dataclasses.asdict(summary(alone)),
        }


def cross_validate(
    data: str | os.PathLike[str],
    out: str | os.PathLike[str],
    configs: Mapping[str, TrainingConfig],
    seeds: Sequence[int],
    folds_file: str | os.PathLike[str] | None = None,
    homologues_file: str | os.PathLike[str] | None = None,
    device: str = "auto",
    progress: Callable[[str], object] | None = None,
    features: str | None = None,
) -> list[Row]:
    """Train every configuration with every seed on all folds but one, in turn, and rank the dimers left out.

    Runs that are finished are not done again; an interrupted one is resumed. There is no validation part: the last
    epoch counts.

    Parameters
    ----------
    data : path
        Directory of prepared dimers. Complexes in no fold are learned from every time, if the configuration takes
        complexes of more than two chains.
    out : path
        Directory of the runs; made if missing.
    configs : mapping
        Training configurations by name, of one member each: the seeds take the place of members.
    seeds : sequence of int
        In place of that of the configurations.
    folds_file, homologues_file : path, optional
        For `read_folds` and `resblock.training.homology.read_homologues`; those of the package without.
    device : {"auto", "cpu", "cuda"}
    progress : callable, optional
        Called with the name of each training run before it begins.
    features : str, optional
        Feature set that the networks see; see `resblock.training.run.columns`.

    Returns
    -------
    list of Row
        Every configuration and seed, and at last their average if there are several.

    Raises
    ------
    InputError
        If data, lists and configurations do not fit together.
    """
    if not configs or not seeds:
        raise InputError("nothing to cross-validate; name a preset and a seed")
    seen = _same_columns(configs, features)
    _check_members(configs)
    chosen_device = choose_device(device)
    folds = read_folds(folds_file or find_list("folds"))
    homologues = read_homologues(homologues_file or find_list("homologues"))
    dimers = {dimer.code: dimer for dimer in load_dimers(data, features=seen)}
    missing = [code for code in folds if code not in dimers]
    if missing:
        raise InputError(f"{data}: no prepared dimer {missing[0]}, which is in a fold; run `resblock prepare`")
    models = {f"{name}, seed {seed}": (name, config, seed) for name, config in configs.items() for seed in seeds}
    scorers: dict[str, dict[int, NetworkScorer | EnsembleScorer]] = {}
    learned: dict[str, dict[int, frozenset[str]]] = {}
    for label, (name, config, seed) in models.items():
        seeded = dataclasses.replace(config, optimisation=dataclasses.replace(config.optimisation, seed=seed))
        scorers[label], learned[label] = {}, {}
        for fold in sorted(set(folds.values())):
            if progress is not None:
                progress(f"{label}, fold {fold}")
            split, parts = _left_out(dimers, folds, fold, config)
            run = Path(out) / name / f"seed-{seed}" / f"fold-{fold}"
            train_parts(run, seeded, split, parts, chosen_device)
            scorers[label][fold] = load_scorer(run / WEIGHTS, chosen_device)
            learned[label][fold] = frozenset(dimer.code for dimer in parts["train"])
    rows = [_row(label, scorers[label], dimers, folds, learned[label], homologues) for label in models]
    if len(models) > 1:
        together = {fold: EnsembleScorer.of([scorers[label][fold] for label in models]) for fold in set(folds.values())}
        all_learned = {fold: frozenset().union(*(learned[label][fold] for label in models)) for fold in together}
        rows.append(_row(AVERAGE, together, dimers, folds, all_learned, homologues))
    _write(Path(out) / FIGURES, rows)
    return rows


def _same_columns(configs: Mapping[str, TrainingConfig], features: str | None) -> tuple[str, ...] | None:
    """Feature columns that all configurations see, as networks on different ones cannot be averaged."""
    seen = {columns(config, features) for config in configs.values()}
    if len(seen) > 1:
        raise InputError(
            f"{', '.join(configs)} see different features by default and are to be averaged; choose --features, or "
            "cross-validate them one by one"
        )
    return seen.pop()


def _check_members(configs: Mapping[str, TrainingConfig]) -> None:
    """Refuse members, which have the seeds that follow: a seed could be trained and averaged twice."""
    for name, config in configs.items():
        if config.optimisation.members > 1:
            raise InputError(
                f"{name}: optimisation.members is {config.optimisation.members}; cross-validation averages the seeds, "
                "so name those and leave the members at 1"
            )


def read_calibration(path: str | os.PathLike[str], model: str) -> Calibration:
    """Read the correction of a model's scores from the figures that `cross_validate` wrote.

    Raises
    ------
    InputError
        If the file cannot be read, or has no such model.
    """
    try:
        fitted = {row["model"]: row["calibration"] for row in json.loads(Path(path).read_bytes())}
        report = {name: Calibration(float(of["scale"]), float(of["shift"])) for name, of in fitted.items()}
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, KeyError, TypeError):
        raise InputError(f"{path}: no figures of resblock cross-validate; give its {FIGURES}") from None
    if model not in report:
        raise InputError(f"{path}: has no model {model!r}; it has {', '.join(report)}")
    return report[model]


def _left_out(
    dimers: Mapping[str, Dimer], folds: Mapping[str, int], fold: int, config: TrainingConfig
) -> tuple[Split, dict[Part, list[Dimer]]]:
    """Fold `fold` as test part, everything else that the configuration takes as training part."""
    split: dict[str, Part] = {}
    for code, dimer in dimers.items():
        if folds.get(code) == fold:
            split[code] = "test"
        elif code in folds or config.data.complexes == "all" or dimer.is_dimer:
            split[code] = "train"
    return split, {
        "train": [dimers[code] for code, part in split.items() if part == "train"],
        "validation": [],
        "test": [dimers[code] for code, part in split.items() if part == "test"],
    }


def _row(
    label: str,
    scorers: Mapping[int, NetworkScorer | EnsembleScorer],
    dimers: Mapping[str, Dimer],
    folds: Mapping[str, int],
    learned: Mapping[int, frozenset[str]],
    homologues: Homologues,
) -> Row:
    results: list[DimerResult] = []
    scores: list[NDArray[np.float32]] = []
    labels: list[NDArray[np.bool_]] = []
    for fold, scorer in sorted(scorers.items()):
        for dimer in (dimers[code] for code in sorted(folds) if folds[code] == fold):
            scores.append(scorer.score(dimer).reshape(-1))
            labels.append(dimer.labels())
            results.append(rank(dimer, scores[-1]))
    together, touching = np.concatenate(scores), np.concatenate(labels)
    calibration = fit_calibration(together, touching)
    reliable = reliability(calibration(together), touching)
    alone = frozenset(code for code, fold in folds.items() if not homologues.get(code, frozenset()) & learned[fold])
    return Row(label, tuple(results), alone, calibration, tuple(reliable))


def _write(path: Path, rows: Sequence[Row]) -> None:
    report = [
        {
            "model": row.name,
            **row.figures(),
            "calibration": dataclasses.asdict(row.calibration),
            "reliability": [dataclasses.asdict(bin) for bin in row.reliability],
            "dimers": [dataclasses.asdict(result) for result in row.results],
        }
        for row in rows
    ]
    content = json.dumps(report, indent=1, allow_nan=False) + "\n"
    write_atomically(path, lambda stream: stream.write(content.encode()))
