"""Evaluation: ranking metrics, the lists that divide complexes, homologues, and whether probabilities are reliable."""

from resblock.evaluation.evaluate import evaluate, rank
from resblock.evaluation.metrics import Metrics, MetricsSummary, summarise

__all__ = ["Metrics", "MetricsSummary", "evaluate", "rank", "summarise"]
