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

from resblock.models import Batch, Drawing, Examples
from resblock.models.losses import cross_entropy
from resblock.models.windows import WindowModel, WindowModelConfig
from resblock.pairs import Complex
from resblock.training.config import TrainingConfig
from resblock.training.run import new_model

#: Raise it whenever a norm or a loss changes.
VERSION: Final = 1
#: Steps over which the curve of the loss is averaged.
CURVE_STEPS: Final = 20
#: The smallest number of single precision above zero; smaller gradients are none.
SMALLEST: Final = 2.0**-149


@dataclass(frozen=True)
class Plan:
    """Which networks are trained how long, and at which steps their gradients are looked at."""

    depths: tuple[int, ...]
    steps: int
    seen_at: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Trained:
    """One network, its gradients and its loss.

    Attributes
    ----------
    depth, shortcuts, peepholes, seed
    norms
        By the number of steps taken, the gradient's norm of each layer from the first on.
    losses
        Mean cross-entropy of every `CURVE_STEPS` steps.
    """

    depth: int
    shortcuts: bool
    peepholes: bool
    seed: int
    norms: dict[int, list[float]]
    losses: list[float]

    def ratio(self, step: int) -> float:
        """Norm of the first layer over that of the last; not a number where both are zero."""
        first, last = self.norms[step][0], self.norms[step][-1]
        return first / last if last else math.nan


def train(
    config: TrainingConfig, plan: Plan, complexes: Sequence[Complex], device: torch.device
) -> tuple[dict[int, list[float]], list[float]]:
    """Train a network on windows; gives `Trained.norms`, always of the same batch, and `Trained.losses`."""
    optimisation = config.optimisation
    model = new_model(config, complexes)
    assert isinstance(model, WindowModel)
    examples = model.examples(complexes, Drawing(optimisation.batch_size, optimisation.seed))
    model.to(device)
    optimiser = torch.optim.Adam(model.parameters(), optimisation.learning_rate)
    batches = _endless(examples, device)
    looked_at = next(batches)
    norms, losses = {}, []
    for step in range(plan.steps + 1):
        if step in plan.seen_at:
            norms[step] = layer_norms(model, looked_at)
        if step < plan.steps:
            optimiser.zero_grad()
            loss = model.loss(next(batches), cross_entropy)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            losses.append(float(loss.detach()))
    whole = len(losses) // CURVE_STEPS * CURVE_STEPS
    return norms, [float(mean) for mean in np.reshape(losses[:whole], (-1, CURVE_STEPS)).mean(axis=1)]


def blind_loss(complexes: Sequence[Complex]) -> float:
    """Cross-entropy of giving every one of the paper's training pairs the share of the positives."""
    chosen = WindowModelConfig().chosen_pairs()
    share = float(np.concatenate([chosen(one, np.random.default_rng(0))[1] for one in complexes]).mean())
    return -share * math.log(share) - (1 - share) * math.log(1 - share)


def _endless(examples: Examples, device: torch.device) -> Iterator[Batch]:
    epoch = 0
    while True:
        examples.set_epoch(epoch)
        for batch in examples:
            inputs = tuple(tensor.to(device) for tensor in batch.inputs)
            yield Batch(inputs, batch.labels.to(device), batch.weights.to(device))
        epoch += 1


def layer_norms(model: WindowModel, batch: Batch) -> list[float]:
    """Norm of the loss's gradient by the weights and biases of each layer, without its peepholes.

    In double precision, in which the gradients of 200 layers do not underflow.
    """
    model = copy.deepcopy(model).double()
    model.zero_grad()
    windows, lengths = batch.inputs
    model.loss(batch._replace(inputs=(windows.double(), lengths)), cross_entropy).backward()  # type: ignore[no-untyped-call]
    lstm: Any = model.network.lstm
    layers = zip([lstm.weight_ih_first.grad, *lstm.weight_ih.grad], lstm.weight_hh.grad, lstm.bias.grad, strict=True)
    return [_norm(torch.cat([gradient.flatten() for gradient in layer])) for layer in layers]


def _norm(gradient: Tensor) -> float:
    """Divided by the largest first: squares underflow long before what is squared."""
    largest = float(gradient.abs().max())
    return largest * float((gradient / largest).norm()) if largest else 0.0
