"""Tables 4 and 5: the paper's network beside simpler models, and with one thing taken away at a time."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from resblock.errors import InputError
from resblock.evaluation.ranking import PERCENTILES
from resblock.models.windows import WindowModel, WindowModelConfig
from resblock.pairs import Complex
from resblock.pairs.selection import Selection
from resblock.study import classical, measure, propensity, random_order
from resblock.study.ablations import NETWORKS, OURS, network_config, network_scores
from resblock.study.cache import cached_values, content
from resblock.study.classical import CLASSIFIERS, WindowClassifier
from resblock.study.measure import (
    RESAMPLES,
    Comparison,
    Found,
    Interval,
    PairScores,
    geometric_mean_rank,
    hits,
    mean_auroc,
    ncpd,
    rankable,
    rfpp_percentiles,
)
from resblock.study.part import Study
from resblock.study.propensity import Propensities, area_product
from resblock.sweep.drawing import save_figure, style
from resblock.sweep.results import Cell, Result, Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

VERSION: Final = (1, classical.VERSION, measure.VERSION, propensity.VERSION)
RANDOM: Final = "random order"
#: In the quick setting forests have this many times fewer trees.
QUICK_FEWER: Final = 10


@dataclass(frozen=True)
class Competitor:
    """A model of the comparison.

    Attributes
    ----------
    name
    seeded
        It is trained once with each seed.
    key
        What decides its scores beside the data and the seed, as plain values.
    fit
        Trains it.
    """

    name: str
    seeded: bool
    key: Sequence[Any]
    fit: Callable[[Study, int], PairScores]


def competitors(quick: bool) -> list[Competitor]:
    """All models but the random order, the simplest first."""
    libraries = [f"{name} {version(name)}" for name in ("scikit-learn", "lightgbm")]

    def classifier(name: str) -> Competitor:
        def fit(study: Study, seed: int) -> PairScores:
            unfitted = CLASSIFIERS[name](seed, QUICK_FEWER if study.quick else 1)
            return WindowClassifier(unfitted, _training_dimers(study), _selection(), seed)

        return Competitor(name, True, [classical.VERSION, *libraries], fit)

    def network(name: str) -> Competitor:
        key = [WindowModel.version, network_config(name, quick).to_toml()]
        return Competitor(name, True, key, lambda study, seed: network_scores(study, name, seed))

    def propensities(study: Study, seed: int) -> PairScores:
        return Propensities(_training_dimers(study), _selection())

    return [
        Competitor("product of accessible areas", False, [propensity.VERSION], lambda study, seed: area_product),
        Competitor("residue-pair propensities", False, [propensity.VERSION], propensities),
        *map(classifier, CLASSIFIERS),
        *map(network, NETWORKS),
    ]


def run(study: Study) -> Result:
    """Train and rank everything, or take what is there.

    Raises
    ------
    InputError
        If no test complex can be ranked.
    """
    found = measured(study)
    comparison = Comparison(found)
    counts = {row.code: (row.pairs, row.positives) for row in found}
    tables = [
        _rfpp_table(study, comparison, counts),
        _rfpp_intervals(study, comparison),
        _hits_table(study, comparison, counts),
        dimer_table(study, found),
    ]
    return Result(tables, [_figure(study, comparison, counts)], _text(comparison))


def measured(study: Study) -> list[Found]:
    """What every model with every seed finds in every test dimer."""
    test = rankable(study.complexes("test"))
    if not test:
        raise InputError("no test complex of two single chains with contacts; choose another split")
    data = content([*study.complexes("train"), *study.complexes("validation"), *test])
    found: list[Found] = []
    for model in competitors(study.quick):
        for seed in study.seeds if model.seeded else study.seeds[:1]:
            file = f"{model.name.replace(' ', '-').replace(',', '')}-seed-{seed}"
            key = [measure.VERSION, model.name, model.key, seed, study.quick, data]
            values = cached_values(study.out / "found", file, key, _finding(study, model, seed, test))
            found += [Found(**row) for row in values]
    return found


def _finding(study: Study, model: Competitor, seed: int, test: Sequence[Complex]) -> Callable[[], object]:
    def compute() -> object:
        study.progress(f"{model.name}, seed {seed}")
        scores = model.fit(study, seed)
        return [dataclasses.asdict(Found.of(model.name, seed, dimer, scores(dimer))) for dimer in test]

    return compute


def _training_dimers(study: Study) -> list[Complex]:
    return [one for one in study.complexes("train") if one.is_dimer]


def _selection() -> Selection:
    """The paper's training pairs, for all models."""
    return WindowModelConfig().chosen_pairs()


def dimer_table(study: Study, found: Sequence[Found]) -> Table:
    """The numbers of which all others are made."""
    columns = ("model", "seed", "dimer", "pairs", "positives", "RFPP", "accuracy order, per mille", "AUROC")
    rows: list[tuple[Cell, ...]] = [
        (r.model, r.seed, r.code, r.pairs, r.positives, r.rfpp, 1000.0 * r.rfpp / r.pairs, r.auroc) for r in found
    ]
    return Table("models_by_dimer", "Every model on every test dimer", columns, rows=rows, note=_note(study))


def _rfpp_table(study: Study, comparison: Comparison, counts: Mapping[str, tuple[int, int]]) -> Table:
    columns = ("model", *(f"p = {p} %" for p in PERCENTILES))
    rows: list[tuple[Cell, ...]] = [(RANDOM, *random_order.percentiles(list(counts.values())))]
    for model in comparison.models:
        rows.append((model, *map(float, comparison.value(model, rfpp_percentiles))))
    note = f"Percentiles over {len(counts)} dimers, mean over seeds; of the random order, exact means. {_note(study)}"
    return Table("table_4", "Table 4: RFPP at p per cent of the test dimers", columns, rows=rows, note=note)


def _rfpp_intervals(study: Study, comparison: Comparison) -> Table:
    columns = ("model", "p, %", "RFPP", "from", "to")
    rows: list[tuple[Cell, ...]] = []
    for model in comparison.models:
        for p, found in zip(PERCENTILES, comparison.intervals(model, rfpp_percentiles), strict=True):
            rows.append((model, p, found.value, found.low, found.high))
    title = "Table 4, intervals: RFPP with the 95 % interval of a bootstrap over dimers"
    return Table("table_4_intervals", title, columns, rows=rows, note=f"{_intervals_note()} {_note(study)}")


def _hits_table(study: Study, comparison: Comparison, counts: Mapping[str, tuple[int, int]]) -> Table:
    metrics = (ncpd, hits, geometric_mean_rank, mean_auroc)
    names = ("NCPD", "positives in the first per mille", "geometric mean rank, per mille", "mean AUROC")
    over = "geometric mean rank over ours"
    columns = ["model", "seeds"]
    for name in (*names, over):
        columns += [name, "from", "to"]
    chance: list[Cell] = [RANDOM, None]
    for value in _random_metrics(list(counts.values())):
        chance += [value, None, None]
    rows: list[tuple[Cell, ...]] = [(*chance, None, None, None)]
    for model in comparison.models:
        row: list[Cell] = [model, comparison.seeds(model)]
        for metric in metrics:
            row += _cells(*comparison.intervals(model, metric))
        rows.append((*row, *_cells(comparison.ratio(model, OURS, geometric_mean_rank))))
    note = (
        f"NCPD: test dimers, of {len(counts)}, with a positive in the first per mille of their pairs. Geometric "
        "mean rank: of RFPP over pairs; above 1 over ours, a model finds the first positive later than the paper's "
        f"network. Means over seeds; of the random order, exact means. {_intervals_note()} {_note(study)}"
    )
    title = "Table 5: what stands in the first per mille"
    return Table("table_5", title, tuple(columns), rows=rows, note=note)


def _random_metrics(counts: Sequence[tuple[int, int]]) -> tuple[float, float, float, float]:
    """NCPD, positives in the first per mille, geometric mean rank and AUROC of a random order."""
    return (
        sum(random_order.hit_chance(*count) for count in counts),
        sum(positives * random_order.top(pairs) / pairs for pairs, positives in counts),
        math.exp(sum(random_order.mean_log_order(*count) for count in counts) / len(counts)),
        0.5,
    )


def _cells(interval: Interval) -> tuple[float, float, float]:
    return interval.value, interval.low, interval.high


def _intervals_note() -> str:
    return f"Intervals: 95 % of {RESAMPLES:,} resamples of the test dimers, the same ones for all models."


def _note(study: Study) -> str:
    return (
        "Nine features, test dimers of two single chains, all surface pairs ranked, ties against the model. All "
        "that is trained is trained on the same pairs of the training dimers, the paper's choice (`closest`). "
        f"{study.about()}"
    )


def _figure(study: Study, comparison: Comparison, counts: Mapping[str, tuple[int, int]]) -> Path:
    from matplotlib.figure import Figure

    with style():
        figure = Figure(figsize=(9, 5), layout="constrained")
        lines, dots = figure.subplots(1, 2)
        _draw_percentiles(lines, comparison, random_order.percentiles(list(counts.values())))
        _draw_orders(dots, comparison, _random_metrics(list(counts.values()))[2])
        figure.legend(*lines.get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return save_figure(figure, study.out, "models")


def _draw_percentiles(axes: Axes, comparison: Comparison, random: Sequence[float]) -> None:
    axes.plot(PERCENTILES, random, color="black", linestyle=":", label=RANDOM)
    for number, model in enumerate(comparison.models):
        style = {"linewidth": 2.5, "color": "black"} if model == OURS else {"color": f"C{number % 10}"}
        dashes = "-" if model in NETWORKS else "--"
        axes.plot(PERCENTILES, comparison.value(model, rfpp_percentiles), dashes, label=model, **style)
    axes.set(yscale="log", xlabel="p, per cent of the test dimers", ylabel="RFPP at p", xticks=PERCENTILES)


def _draw_orders(axes: Axes, comparison: Comparison, random: float) -> None:
    for place, model in enumerate(comparison.models):
        (found,) = comparison.intervals(model, geometric_mean_rank)
        error = [[max(found.value - found.low, 0.0)], [max(found.high - found.value, 0.0)]]
        axes.errorbar(found.value, place, xerr=error, fmt="o", color="black" if model == OURS else "C0", capsize=2)
    axes.axvline(random, color="black", linestyle=":")
    axes.set(xscale="log", xlabel="geometric mean rank, per mille; dotted: random order")
    axes.set_yticks(range(len(comparison.models)), comparison.models)
    axes.invert_yaxis()


def _text(comparison: Comparison) -> str:
    """Which differences to ours are beyond the resampling of dimers."""
    later: list[str] = []
    sooner: list[str] = []
    open_: list[str] = []
    for model in comparison.models:
        if model == OURS:
            continue
        ratio = comparison.ratio(model, OURS, geometric_mean_rank)
        (later if ratio.low > 1 else sooner if ratio.high < 1 else open_).append(model)
    parts = [
        ("find the first positive later than the paper's network", later),
        ("find it sooner", sooner),
        ("cannot be told from it", open_),
    ]
    said = "; ".join(f"{what}: {', '.join(names) or 'none'}" for what, names in parts)
    return f"By the geometric mean rank over {len(comparison.codes)} dimers, on the 95 % level, {said}."
