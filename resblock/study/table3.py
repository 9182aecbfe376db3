"""Table 3: the first true pair of every test dimer, beside a random order."""

from __future__ import annotations

import math

from resblock.ranking import DimerResult, expected_random_rfpp, truncated_random_rfpp
from resblock.study.accuracy import ncpd_sentence, rank_test_dimers
from resblock.study.part import Cell, Result, Study, Table
from resblock.study.random_ranks import PAPER_DRAWS, simulate, standard_deviation

#: Draws that are compared, the paper's at last.
DRAWS = (10**4, 10**6, 10**8, PAPER_DRAWS)


def run(study: Study) -> Result:
    """Train the paper's network with every seed, rank the test dimers, and draw random orders."""
    by_seed = {seed: rank_test_dimers(study, "paper", seed) for seed in study.seeds}
    note = f"{study.about()} All pairs of surface residues are ranked; order: RFPP over pairs, per mille."
    random_note = (
        "All pairs of surface residues of the test dimers. Exact: (N + 1) / (M + 1) for N pairs with M true ones; "
        "truncated: at most 1000 draws, and 1000 where none was true, as in the paper."
    )
    first = next(iter(by_seed.values()))
    ranked = [(result, result.true_pairs) for result in first if result.rfpp is not None]
    text = "".join(f"Seed {seed}: NCPD {ncpd_sentence(results)}. " for seed, results in by_seed.items())
    return Result(
        [
            _table3(by_seed, note),
            Table(
                "random_orders",
                "The rank of the first true pair in a random order",
                ("dimer", "pairs", "true pairs", "exact", "truncated, exact", *(f"{n:.0e} draws" for n in DRAWS)),
                [_random_row(result, study.seeds[0]) for result, _ in ranked],
                random_note,
            ),
            Table(
                "draws",
                "Standard error of the mean of the truncated rank",
                ("draws", "largest standard error", "largest deviation from the exact mean", "in standard errors"),
                [_draws_row(first, draws, study.seeds[0]) for draws in DRAWS],
                f"{random_note} Largest over the dimers.",
            ),
        ],
        text=text + "Ranks are whole numbers of tens to thousands: what more than ten thousand draws add to the random "
        "mean is below what one dimer more or less changes, and the exact value needs none.",
    )


def _table3(by_seed: dict[int, list[DimerResult]], note: str) -> Table:
    columns = ["dimer", "pairs", "true pairs"]
    columns += [f"{what}, seed {seed}" for seed in by_seed for what in ("RFPP", "order")]
    rows: list[tuple[Cell, ...]] = []
    for results in zip(*by_seed.values(), strict=True):
        found = [cell for result in results for cell in (result.rfpp, result.accuracy_order)]
        first = results[0]
        rows.append((first.code, first.pairs, first.true_pairs, *found, first.expected_random_rfpp))
    title = "Table 3: rank of the first true pair (RFPP) of the paper's network"
    return Table("table3", title, (*columns, "random RFPP"), rows, note)


def _random_row(result: DimerResult, seed: int) -> tuple[Cell, ...]:
    size = (result.pairs, result.true_pairs)
    drawn = [simulate(*size, draws, seed).mean for draws in DRAWS]
    return result.code, *size, expected_random_rfpp(*size), truncated_random_rfpp(*size), *drawn


def _draws_row(results: list[DimerResult], draws: int, seed: int) -> tuple[Cell, ...]:
    errors, deviations = [], []
    for result in results:
        if result.true_pairs:
            size = (result.pairs, result.true_pairs)
            errors.append(standard_deviation(*size) / math.sqrt(draws))
            deviations.append(abs(simulate(*size, draws, seed).mean - truncated_random_rfpp(*size)))
    ratios = [deviation / error for deviation, error in zip(deviations, errors, strict=True)]
    return draws, max(errors), max(deviations), max(ratios)
