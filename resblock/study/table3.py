"""Table 3: the first positive of every test dimer, beside a random order."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from resblock.evaluation import Metrics
from resblock.evaluation.ranking import expected_random_rfpp, truncated_random_rfpp
from resblock.study.accuracy import ncpd_sentence, rank_test_dimers
from resblock.study.part import Study
from resblock.study.random_ranks import simulate, standard_deviation
from resblock.sweep.results import Cell, Result, Table, readable

VERSION: Final = 1


def run(study: Study) -> Result:
    """Train the paper's network with every seed, rank the test dimers, and draw random orders."""
    by_seed = {seed: rank_test_dimers(study, "paper", seed) for seed in study.seeds}
    first = [result for result in by_seed[study.seeds[0]] if result.rfpp is not None]
    note = (
        "All pairs of surface residues of the test dimers. Exact: (N + 1) / (M + 1) for N pairs with M positives; "
        "truncated: at most 1000 draws, and 1000 where none was positive, as in the paper."
    )
    draws = [_draws_row(first, number, study.seeds[0]) for number in study.draws]
    tables = [
        _table3(
            by_seed, f"{study.about()} All pairs of surface residues are ranked; order: RFPP over pairs, per mille."
        ),
        Table(
            "random_orders",
            "Mean rank of the first positive in a random order",
            ("dimer", "pairs", "positives", "exact", "truncated, exact", *(f"{n:,} draws" for n in study.draws)),
            rows=[_random_row(result, study) for result in first],
            note=note,
        ),
        Table(
            "draws",
            "How far the drawn means are from the exact ones",
            ("draws", "standard error", "largest deviation", "largest deviation in standard errors"),
            rows=draws,
            note=f"{note} Standard error: the largest over the dimers, from the exact distribution.",
        ),
    ]
    found = "".join(f"Seed {seed}: NCPD {ncpd_sentence(results)}. " for seed, results in by_seed.items())
    errors = "; ".join(f"{readable(row[1])} with {readable(row[0])}" for row in draws)
    text = (
        f"{found}\n\nThe mean rank in a random order needs no draws: it is known exactly. Drawn, its standard error is "
        f"at most {errors} draws; ranks of different dimers differ by hundreds."
    )
    return Result(tables, text=text)


def _table3(by_seed: dict[int, list[Metrics]], note: str) -> Table:
    columns = ["dimer", "pairs", "positives"]
    columns += [f"{what}, seed {seed}" for seed in by_seed for what in ("RFPP", "order")]
    rows: list[tuple[Cell, ...]] = []
    for results in zip(*by_seed.values(), strict=True):
        found = [cell for result in results for cell in (result.rfpp, result.accuracy_order)]
        first = results[0]
        rows.append((first.code, first.pairs, first.positives, *found, first.expected_random_rfpp))
    title = "Table 3: rank of the first positive (RFPP) of the paper's network"
    return Table("table3", title, (*columns, "random RFPP"), rows=rows, note=note)


def _random_row(result: Metrics, study: Study) -> tuple[Cell, ...]:
    size = (result.pairs, result.positives)
    drawn = [simulate(*size, draws, study.seeds[0]).mean for draws in study.draws]
    return result.code, *size, expected_random_rfpp(*size), truncated_random_rfpp(*size), *drawn


def _draws_row(results: Sequence[Metrics], draws: int, seed: int) -> tuple[Cell, ...]:
    sizes = [(result.pairs, result.positives) for result in results]
    errors = [standard_deviation(*size) / math.sqrt(draws) for size in sizes]
    deviations = [abs(simulate(*size, draws, seed).mean - truncated_random_rfpp(*size)) for size in sizes]
    ratios = [deviation / error for deviation, error in zip(deviations, errors, strict=True)]
    return draws, max(errors), max(deviations), max(ratios)
