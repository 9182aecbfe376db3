"""The paper's network with one thing taken away at a time, and without any of them: the plain LSTM."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from resblock.study.measure import PairScores
from resblock.study.part import Study
from resblock.training.config import TrainingConfig

#: The whole network.
OURS: Final = "paper"

_PLAIN: Final = {"peephole": False, "residual": False, "attention": False}
#: Fields of the model that differ from the paper's, by the name of the network. `torch.nn.LSTM` computes the same as
#: the plain ones, whose forget gates start open as all do here (`ResidualLSTM.to_torch`). Without windows, the network
#: sees the pair alone, and is trained on the same pairs.
NETWORKS: Final[Mapping[str, Mapping[str, Any]]] = {
    OURS: {},
    "paper without peepholes": {"peephole": False},
    "paper without shortcuts": {"residual": False},
    "paper without attention": {"attention": False},
    "paper with 2 layers": {"num_layers": 2},
    "paper without windows": {"window": 1},
    "plain LSTM, as many layers": _PLAIN,
    "plain LSTM, 4 layers": {**_PLAIN, "num_layers": 4},
}
#: Layers of the quick setting in place of the paper's 60.
QUICK_LAYERS: Final = 6


def network_config(name: str, quick: bool) -> TrainingConfig:
    """Configuration of a model of `NETWORKS`."""
    fewer = {"num_layers": QUICK_LAYERS} if quick else {}
    return TrainingConfig().updated({"model": {**fewer, **NETWORKS[name]}})


def network_scores(study: Study, name: str, seed: int) -> PairScores:
    """Train a model of `NETWORKS`, or take it where it is trained already."""
    return study.trained(name, network_config(name, study.quick), seed).complex_log_odds
