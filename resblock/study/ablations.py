"""The paper's network with one thing taken away at a time, and without any of them: the plain LSTM."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from resblock.pairs import Dimer, DimerPartner
from resblock.study.measure import PairScores
from resblock.study.models import trained
from resblock.study.part import Study
from resblock.training.config import TrainingConfig
from resblock.training.data import selection

#: The whole network.
OURS: Final = "paper"
WITHOUT_WINDOWS: Final = "paper without windows"

#: Options of the network that differ from the paper's, by the name of the model. `torch.nn.LSTM` computes the same as
#: the plain ones, whose forget gates start open as all do here (`ResidualLSTM.to_torch`).
NETWORKS: Final[Mapping[str, Mapping[str, Any]]] = {
    OURS: {},
    "paper without peepholes": {"peephole": False},
    "paper without additions": {"residual": False},
    "paper without attention": {"attention": False},
    "paper with 2 layers": {"num_layers": 2},
    WITHOUT_WINDOWS: {},
    "plain LSTM, as many layers": {"peephole": False, "residual": False, "attention": False},
    "plain LSTM, 4 layers": {"peephole": False, "residual": False, "attention": False, "num_layers": 4},
}
#: Layers of the quick setting in place of the paper's 60.
QUICK_LAYERS: Final = 6


def network_config(name: str, quick: bool) -> TrainingConfig:
    """Configuration of a model of `NETWORKS`."""
    options = {**({"num_layers": QUICK_LAYERS} if quick else {}), **NETWORKS[name]}
    config = TrainingConfig().updated({"network": options})
    if name == WITHOUT_WINDOWS:
        # As many as have a distance: `single_pairs` has chosen them.
        config = config.updated({"data": {"closest_per_true_pair": 1e9}})
    return config


def network_scores(study: Study, name: str, seed: int) -> PairScores:
    """Train a model of `NETWORKS`, or take it where it is trained already."""
    config = network_config(name, study.quick)
    if name != WITHOUT_WINDOWS:
        return trained(study, name, config, seed).score
    scorer = trained(_SinglePairs.of(study), name, config, seed)
    return lambda dimer: scorer.score(single_pairs(dimer))


def single_pairs(dimer: Dimer) -> Dimer:
    """A copy whose windows are the pairs alone, with the same pairs to learn from.

    No residue is linked to another, and only pairs that the paper's selection takes have a distance.
    """

    def alone(partner: DimerPartner) -> DimerPartner:
        return dataclasses.replace(partner, linked=np.zeros_like(partner.linked))

    distance = None
    if dimer.distance is not None:
        pairs, _ = selection(TrainingConfig().data)(dimer, np.random.default_rng(0))
        distance = np.full_like(dimer.distance, np.nan)
        distance[tuple(pairs.T)] = 0.0
    return dataclasses.replace(dimer, receptor=alone(dimer.receptor), ligand=alone(dimer.ligand), distance=distance)


class _SinglePairs(Study):
    """A study of `single_pairs`."""

    @classmethod
    def of(cls, study: Study) -> _SinglePairs:
        return cls(**{field.name: getattr(study, field.name) for field in dataclasses.fields(study)})

    def dimers(self, part: str, features: str = "paper") -> list[Dimer]:
        return [single_pairs(dimer) for dimer in super().dimers(part, features)]
