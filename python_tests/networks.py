"""Random networks for the tests of the operator."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import reference
import tolerances
import torch
from tolerances import error
from torch import Tensor

from resblock.ops import plan, residual_lstm
from resblock.ops.arguments import Options

#: As the backward operator is told.
ALL_GRADIENTS = 0b11111111


@dataclasses.dataclass(frozen=True)
class Case:
    """Sizes and options of one call of the operator."""

    steps: int = 5
    batch: int = 3
    inputs: int = 5
    units: int = 8
    layers: int = 3
    output_peephole: str = "current"
    residual: bool = True
    with_lengths: bool = False
    dropout_p: float = 0.0
    seed: int = 0
    schedule: str | None = None
    resets_p: float = 0.0
    cells: bool = False

    def __str__(self) -> str:
        options = [self.output_peephole, "residual" if self.residual else "plain"]
        options += ["lengths"] if self.with_lengths else []
        options += [f"p{self.dropout_p}"] if self.dropout_p else []
        options += [self.schedule] if self.schedule else []
        options += [f"resets{self.resets_p}"] if self.resets_p else []
        options += ["cells"] if self.cells else []
        return f"T{self.steps}-B{self.batch}-H{self.units}-L{self.layers}-" + "-".join(options)

    def tensors(self, dtype: torch.dtype = torch.float64) -> list[Tensor]:
        """Draw the eight differentiable arguments, with gradients."""
        generator = torch.Generator().manual_seed(self.seed)
        hidden, bound = self.units, 1 / math.sqrt(self.units)

        def uniform(*shape: int, scale: float = bound) -> Tensor:
            values = torch.rand(*shape, generator=generator, dtype=torch.float64)
            return ((2 * values - 1) * scale).to(dtype).requires_grad_()

        return [
            uniform(self.steps, self.batch, self.inputs, scale=1.5),
            uniform(4 * hidden, self.inputs),
            uniform(self.layers - 1, 4 * hidden, hidden),
            uniform(self.layers, 4 * hidden, hidden),
            uniform(self.layers, 3, hidden, scale=0.7),
            uniform(self.layers, 4 * hidden),
            uniform(self.layers, self.batch, hidden, scale=0.8),
            uniform(self.layers, self.batch, hidden, scale=1.5),
        ]

    @property
    def lengths(self) -> Tensor | None:
        """Lengths from 1 to T, the longest and the shortest among them."""
        if not self.with_lengths or self.steps == 0:
            return None
        generator = torch.Generator().manual_seed(self.seed + 1)
        lengths = torch.randint(1, self.steps + 1, (self.batch,), generator=generator)
        lengths[:1], lengths[-1:] = self.steps, 1
        return lengths

    @property
    def dropout_seed(self) -> Tensor | None:
        return torch.tensor([987654321987 + self.seed]) if self.dropout_p else None

    @property
    def resets(self) -> Tensor | None:
        """Where sequences begin anew, also past their lengths."""
        if not self.resets_p:
            return None
        generator = torch.Generator().manual_seed(self.seed + 2)
        return torch.rand(self.steps, self.batch, generator=generator) < self.resets_p

    @property
    def options(self) -> Options:
        """What the registered operators take besides tensors."""
        previous = self.output_peephole == "previous"
        return Options(
            lengths=self.lengths,
            batch_sizes=None,
            order=None,
            resets=self.resets,
            dropout_p=self.dropout_p,
            dropout_seed=self.dropout_seed,
            residual=self.residual,
            output_peephole_previous=previous,
            schedule=self.schedule,
        )

    def run(self, tensors: list[Tensor], checkpoint_chunks: int = 0) -> tuple[Tensor, ...]:
        """Call the operator."""
        options = self.lengths, self.dropout_p, self.dropout_seed, self.residual, self.output_peephole
        more = {"resets": self.resets, "return_cells": self.cells}
        return residual_lstm(*tensors, *options, checkpoint_chunks, self.schedule, **more)

    def operator_arguments(self, tensors: list[Tensor], checkpoint_chunks: int = 0) -> tuple[object, ...]:
        """As the registered operators take them, with saved activations of the size that shapes tell."""
        return (*tensors, *self.options, checkpoint_chunks, True, self.cells)

    def is_taken_by(self, schedule: str, dtype: torch.dtype = torch.float64) -> bool:
        """Whether inference can be run on this schedule of the CPU."""
        sizes = self.steps, self.batch, self.inputs, self.units, self.layers
        try:
            plan(*sizes, dtype=dtype, dropout=self.dropout_p > 0, schedule=schedule)
        except ValueError:
            return False
        return True

    def reference(self, tensors: list[Tensor]) -> tuple[Tensor, ...]:
        """Call the step-by-step reference with the operator's dropout mask."""
        mask = None
        if self.dropout_p:
            sizes = self.layers, self.steps, self.batch, self.units
            mask = torch.ops.resblock.residual_lstm_dropout_mask(self.dropout_seed, *sizes, self.dropout_p)
            mask = mask.to(tensors[0].dtype)
        options = self.lengths, mask, self.residual, self.output_peephole, self.resets
        results = reference.residual_lstm(*tensors, *options)
        return results if self.cells else results[:3]


def backward_arguments(
    arguments: Sequence[object], grads: Sequence[Tensor], saved: Tensor, wanted: int = ALL_GRADIENTS
) -> tuple[object, ...]:
    """Give those of the backward operator, from the forward operators' and the gradients of their results."""
    output, h_n, c_n, *cells = grads
    return (output, h_n, c_n, cells[0] if cells else None, *arguments[:-3], saved, wanted)


def gradients(outputs: tuple[Tensor, ...], tensors: list[Tensor], seed: int = 7) -> tuple[Tensor, ...]:
    """Differentiate a random weighting of all outputs."""
    generator = torch.Generator().manual_seed(seed)
    weights = [torch.randn(o.shape, generator=generator, dtype=torch.float64).to(o.dtype) for o in outputs]
    used = [(o, w) for o, w in zip(outputs, weights, strict=True) if o.requires_grad]
    return torch.autograd.grad([o for o, _ in used], tensors, [w for _, w in used], materialize_grads=True)


def check_float64(case: Case, checkpoint_chunks: int = 0) -> None:
    """Compare the operator's results and gradients with the reference's."""
    tensors = case.tensors()
    actual, expected = case.run(tensors, checkpoint_chunks), case.reference(tensors)
    for a, e in zip(actual, expected, strict=True):
        assert error(a, e) < tolerances.DOUBLE
    named = zip(NAMES, gradients(actual, tensors), gradients(expected, tensors), strict=True)
    errors = {name: error(a, e) for name, a, e in named}
    assert max(errors.values()) < tolerances.DOUBLE_GRADIENT, errors


NAMES = ("input", "weight_ih_first", "weight_ih", "weight_hh", "weight_peephole", "bias", "h_0", "c_0")


def odd_sizes() -> list[Case]:
    """Sizes at which a kernel is most likely to be wrong, under every option."""
    sizes = [(5, 3, units, layers) for units in (1, 6, 8, 16, 33) for layers in (1, 2, 3)]
    sizes += [(steps, batch, 6, 4) for steps in (0, 1, 7) for batch in (0, 1, 17)]
    sizes += [(4, 2, 8, 60), (150, 2, 8, 5), (40, 40, 6, 2), (3, 2, 130, 2)]
    cases = []
    for k, (steps, batch, units, layers) in enumerate(sizes):
        for previous in ("current", "previous"):
            cases.append(Case(steps, batch, 5, units, layers, previous, True, k % 2 == 0, 0.3 * (k % 3 == 0), k))
        cases.append(Case(steps, batch, 18, units, layers, "current", False, True, 0.0, k))
    return cases
