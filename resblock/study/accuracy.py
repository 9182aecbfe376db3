"""How well models trained on the study's dimers rank its test dimers."""

from __future__ import annotations

from typing import Final

from scipy.stats import binomtest

from resblock.evaluation import Metrics, evaluate
from resblock.evaluation.ranking import ncpd
from resblock.study.part import Study
from resblock.training.config import PRESETS

#: Presets that are compared.
MODELS: Final = ("paper", "windows", "residues", "neighbours", "chain")


def rank_test_dimers(study: Study, preset: str, seed: int) -> list[Metrics]:
    """Train a preset on the study's training part and rank its test dimers."""
    ensemble = study.trained(preset, PRESETS[preset], seed)
    study.progress(f"ranking: {preset}, seed {seed}")
    return evaluate(ensemble, study.complexes("test"))


def ncpd_sentence(results: list[Metrics]) -> str:
    """NCPD with the exact interval of its share, in words."""
    orders = [result.accuracy_order for result in results if result.accuracy_order is not None]
    hits = ncpd(orders)
    low, high = exact_interval(hits, len(orders))
    return f"{hits} of {len(orders)} (95 % interval of the share: {low:.2f} to {high:.2f})"


def exact_interval(hits: int, trials: int) -> tuple[float, float]:
    """Clopper and Pearson's 95 % interval of a share."""
    found = binomtest(hits, trials).proportion_ci(0.95, method="exact")
    return float(found.low), float(found.high)
