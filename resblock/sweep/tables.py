"""What a search found, as tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from resblock.sweep.findings import Findings
from resblock.sweep.results import Cell, Table
from resblock.sweep.space import label, short

#: Name of the table of all settings.
SETTINGS: Final = "settings"
_ORDER: Final = "Accuracy order: RFPP over the number of pairs, per mille."
_NCPD: Final = "dimers with a positive in the first per mille"


def tables(findings: Findings, about: str, titles: Mapping[str, str]) -> list[Table]:
    """One table for each field that varies in a grid, one of all settings, and one with every complex of every trial.

    Parameters
    ----------
    findings : Findings
    about : str
        For the notes: on what it was measured.
    titles : mapping
        What the table of a field is called before its own title.
    """
    by_field = [_table_of(findings, field, about, titles.get(field, "")) for field in findings.varied]
    return [*by_field, _all_settings(findings, about), _all_complexes(findings, about)]


def _table_of(findings: Findings, field: str, about: str, title: str) -> Table:
    line = findings.along(field)
    others = {name: value for name, value in line[0].cell.items() if name != field}
    rows: list[tuple[Cell, ...]] = [(code, *(setting.order(code) for setting in line)) for code in findings.codes]
    rows += [
        ("geometric mean rank", *(setting.mean_rank for setting in line)),
        ("NCPD", *(setting.ncpd for setting in line)),
        ("mean AUROC", *(setting.test_auroc for setting in line)),
        ("mean validation AUROC", *(setting.validation_auroc for setting in line)),
    ]
    return Table(
        name=f"by_{short(field)}",
        title=f"{title}Accuracy order (per mille) of the test dimers, by {short(field)}",
        columns=("dimer", *(f"{short(field)} {setting.cell[field]}" for setting in line)),
        rows=rows,
        note=f"{f'With {label(others)}. ' if others else ''}{_ORDER} NCPD: {_NCPD}. Over seeds: geometric means of "
        f"accuracy orders, means of the rest. {about}",
    )


def _all_settings(findings: Findings, about: str) -> Table:
    fields = list(findings.settings[0].cell)
    best_first = sorted(findings.settings, key=lambda setting: -setting.validation_auroc)
    metrics = ("validation AUROC", "test geometric mean rank", "test NCPD", "test AUROC")
    return Table(
        name=SETTINGS,
        title="All settings, the best on the validation dimers first",
        columns=(*map(short, fields), "seeds", *metrics),
        rows=[
            (
                *(setting.cell[field] for field in fields),
                ", ".join(str(trial.seed) for trial in setting.trials),
                setting.validation_auroc,
                setting.mean_rank,
                setting.ncpd,
                setting.test_auroc,
            )
            for setting in best_first
        ],
        note=f"{_ORDER} Geometric mean rank: its geometric mean over dimers and seeds; NCPD: {_NCPD}; AUROC: means. "
        f"{about}",
    )


def _all_complexes(findings: Findings, about: str) -> Table:
    fields = list(findings.trials[0].cell)
    return Table(
        name="trials",
        title="Every test dimer in every trial",
        columns=(*map(short, fields), "seed", "dimer", "pairs", "positives", "RFPP", "accuracy order", "AUROC"),
        rows=[
            (
                *(trial.cell[field] for field in fields),
                trial.seed,
                *(result.code, result.pairs, result.positives, result.rfpp, result.accuracy_order, result.auroc),
            )
            for trial in findings.trials
            for result in trial.results
        ],
        note=f"{_ORDER} {about}",
    )
