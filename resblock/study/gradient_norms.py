"""Gradient norms by layer, and the loss, of deep stacks while they are trained."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from resblock.nn import ResAttnLSTM
from resblock.pairs import Dimer
from resblock.pairs.dataset import TrainingPairs, WindowBatch, standardisation
from resblock.scoring import WindowScorer
from resblock.scoring.losses import cross_entropy
from resblock.training.config import TrainingConfig
from resblock.training.data import selection

#: Steps over which the curve of the loss is averaged.
CURVE_STEPS: Final = 20
#: Of single precision, and not zero; smaller gradients teach nothing.
SMALLEST: Final = 2.0**-149


@dataclass(frozen=True)
class Plan:
    """Which networks are trained how long, and at which steps their gradients are looked at."""

    depths: tuple[int, ...]
    steps: int
    seen_at: tuple[int, ...]


@dataclass(frozen=True)
class Trained:
    """One network, its gradients and its loss.

    Attributes
    ----------
    depth, additions, peepholes, seed
    norms
        By the number of steps taken, the gradient's norm of each layer from the first on.
    losses
        Mean cross-entropy of every `CURVE_STEPS` steps.
    """

    depth: int
    additions: bool
    peepholes: bool
    seed: int
    norms: dict[int, list[float]]
    losses: list[float]

    def ratio(self, step: int) -> float:
        """Norm of the first layer over that of the last; not a number where both are zero."""
        first, last = self.norms[step][0], self.norms[step][-1]
        return first / last if last else math.nan


def train(
    config: TrainingConfig, seed: int, plan: Plan, dimers: Sequence[Dimer], device: torch.device
) -> tuple[dict[int, list[float]], list[float]]:
    """Train a network on windows; gives `Trained.norms`, always of the same batch, and `Trained.losses`."""
    mean, scale = standardisation(dimers)
    batch_size = config.optimisation.batch_size
    shown = TrainingPairs(dimers, selection(config.data), batch_size, mean, scale, seed)
    torch.manual_seed(seed)
    scorer = WindowScorer(ResAttnLSTM.from_config(config.network), mean, scale, dimers[0].feature_names).to(device)
    optimiser = torch.optim.Adam(scorer.parameters(), config.optimisation.learning_rate)
    batches = _endless(shown, device)
    looked_at = next(batches)
    norms, losses = {}, []
    for step in range(plan.steps + 1):
        if step in plan.seen_at:
            norms[step] = layer_norms(scorer, looked_at)
        if step < plan.steps:
            optimiser.zero_grad()
            loss = scorer.loss(next(batches), cross_entropy)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            losses.append(float(loss.detach()))
    whole = len(losses) // CURVE_STEPS * CURVE_STEPS
    return norms, [float(mean) for mean in np.reshape(losses[:whole], (-1, CURVE_STEPS)).mean(axis=1)]


def blind_loss(dimers: Sequence[Dimer], config: TrainingConfig) -> float:
    """Cross-entropy of giving every training pair the share of true ones."""
    chosen = selection(config.data)
    share = float(np.concatenate([chosen(dimer, np.random.default_rng(0))[1] for dimer in dimers]).mean())
    return -share * math.log(share) - (1 - share) * math.log(1 - share)


def _endless(shown: TrainingPairs, device: torch.device) -> Iterator[WindowBatch]:
    epoch = 0
    while True:
        shown.set_epoch(epoch)
        for batch in shown:
            yield WindowBatch(*(tensor.to(device) for tensor in batch))
        epoch += 1


def layer_norms(scorer: WindowScorer, batch: WindowBatch) -> list[float]:
    """Norm of the loss's gradient by the weights and biases of each layer, without its peepholes.

    In double precision, in which the gradients of 200 layers do not underflow.
    """
    scorer = copy.deepcopy(scorer).double()
    scorer.zero_grad()
    scorer.loss(batch._replace(windows=batch.windows.double()), cross_entropy).backward()  # type: ignore[no-untyped-call]
    lstm: Any = scorer.network.lstm
    layers = zip([lstm.weight_ih_first.grad, *lstm.weight_ih.grad], lstm.weight_hh.grad, lstm.bias.grad, strict=True)
    return [_norm(torch.cat([gradient.flatten() for gradient in layer])) for layer in layers]


def _norm(gradient: Tensor) -> float:
    """Divided by the largest first: squares underflow long before what is squared."""
    largest = float(gradient.abs().max())
    return largest * float((gradient / largest).norm()) if largest else 0.0
