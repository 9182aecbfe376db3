"""Rounding in deep stacks over long sequences: the kernels in float32 beside plain torch in float32.

    python bench/rounding.py [--units 8,32] [--seeds 50]

Errors are the largest absolute differences of the output from the float64 kernel's, for networks drawn from so many
seeds (60 layers, 500 steps, one sequence, peepholes in +-0.5, else as a new ResidualLSTM). "Units in another order" is
plain torch on the same network with its units renumbered: what chance alone makes of the order of sums. Kernels that
pack their weights in base two (csrc/core/activation.h) round each weight once more: "weights in base two" is that
alone, in float64, and "without that" the error of a kernel beside a float64 network of the weights that it has.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated

import torch
import typer
from tables import markdown
from torch import Tensor
from workloads import INPUTS

import resblock.ops
from resblock.ops import plan, residual_lstm
from resblock.ops.composite import has_shortcut

LAYERS, STEPS = 60, 500
SIGMOID_SCALE = math.log2(math.e)
PLAIN = "plain torch"
PACKED_IN_BASE_TWO = ("batched", "wavefront")
Network = list[Tensor]


def drawn(seed: int, units: int) -> Network:
    """Draw an input (T, 1, I) and weights, without initial states."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(*shape: int, bound: float = 1 / math.sqrt(units)) -> Tensor:
        return (2 * torch.rand(*shape, generator=generator) - 1) * bound

    x, bias = torch.randn(STEPS, 1, INPUTS, generator=generator), uniform(LAYERS, 4 * units)
    bias[:, units : 2 * units] = 1
    gates = uniform(4 * units, INPUTS), uniform(LAYERS - 1, 4 * units, units), uniform(LAYERS, 4 * units, units)
    return [x, *gates, uniform(LAYERS, 3, units, bound=0.5), bias]


def renumbered(network: Network) -> Network:
    """Reverse the order of inputs and units."""
    x, first, weight_ih, weight_hh, peephole, bias = network
    gates = torch.arange(bias.shape[1]).view(4, -1).flip(1).flatten()
    ordered = first[gates].flip(1), weight_ih[:, gates].flip(2), weight_hh[:, gates].flip(2)
    return [x.flip(2), *ordered, peephole.flip(2), bias[:, gates]]


def in_base_two(network: Network) -> Network:
    """Round the weights in base two, and take them back to base e in float64."""
    x, *weights = network
    scale = torch.tensor([1.0, 1.0, 2.0, 1.0], dtype=torch.float64).mul(SIGMOID_SCALE)
    by_row = scale.repeat_interleave(network[-1].shape[1] // 4)
    scales = [by_row[:, None]] * 3 + [scale[:1], by_row]
    pairs = zip(weights, scales, strict=True)
    return [x.double(), *((weight.double() * by).float().double() / by for weight, by in pairs)]


def kernel(network: Network, schedule: str | None = None) -> Tensor:
    """Run the operator; gives (T, H)."""
    state = network[0].new_zeros(()).expand(LAYERS, 1, network[3].shape[2])
    return residual_lstm(*network, state, state, schedule=schedule)[0][:, 0]


def plain(networks: Sequence[Network]) -> Tensor:
    """Run all networks side by side in plain torch operations; gives (networks, T, H)."""
    x, first, weight_ih, weight_hh, peephole, bias = (torch.stack(part) for part in zip(*networks, strict=True))
    x = x[:, :, 0]
    outputs: list[Tensor] = []
    for layer in range(LAYERS):
        weight = weight_ih[:, layer - 1] if layer else first
        z_x = torch.baddbmm(bias[:, layer].unsqueeze(1), x, weight.mT)
        y = _plain_layer(z_x, weight_hh[:, layer].mT, peephole[:, layer])
        outputs.append(y + outputs[layer - 2] if has_shortcut(layer) else y)
        x = outputs[-1]
    return x


def _plain_layer(z_x: Tensor, weight_hh: Tensor, peephole: Tensor) -> Tensor:
    """Run a layer on (networks, T, 4H); gives (networks, T, H)."""
    p_if, p_o = peephole.unsqueeze(1).split([2, 1], 2)
    h = c = torch.zeros_like(p_o)  # (networks, 1, 1, H)
    hs = []
    for z_x_t in z_x.unsqueeze(2).unbind(1):
        z_if, z_g, z_o = torch.baddbmm(z_x_t, h.squeeze(2), weight_hh).unflatten(2, (4, -1)).split([2, 1, 1], 2)
        i, f = torch.sigmoid(torch.addcmul(z_if, p_if, c)).split(1, 2)
        c = torch.addcmul(f * c, i, torch.tanh(z_g))
        h = torch.sigmoid(torch.addcmul(z_o, p_o, c)) * torch.tanh(c)
        hs.append(h)
    return torch.cat(hs, 1).squeeze(2)


def errors_of(units: int, seeds: int) -> dict[str, Tensor]:
    """Give the error of every kind for each seed."""
    sizes = STEPS, 1, INPUTS, units, LAYERS
    networks = [drawn(seed, units) for seed in range(seeds)]
    exact, of_base_two = (
        torch.stack([kernel([t.double() for t in change(network)]) for network in networks])
        for change in (list, in_base_two)
    )

    def error(outputs: Tensor, expected: Tensor = exact) -> Tensor:
        return (outputs - expected).abs().amax((1, 2))

    both = plain([*networks, *(renumbered(network) for network in networks)])
    errors = {PLAIN: error(both[:seeds]), "units in another order": error(both[seeds:].flip(2))}
    for schedule in resblock.ops.schedules("cpu"):
        try:
            plan(*sizes, schedule=schedule)
        except ValueError:  # does not take the size
            continue
        found = torch.stack([kernel(network, schedule) for network in networks])
        errors[schedule] = error(found)
        if schedule in PACKED_IN_BASE_TWO:
            errors[f"{schedule}, without that"] = error(found, of_base_two)
    errors["weights in base two"] = error(of_base_two)
    return errors


def table(units: int, seeds: int) -> str:
    """Lay out the distributions over seeds, and of ratios to plain torch seed by seed."""
    errors = errors_of(units, seeds)
    rows = []
    for name, found in errors.items():
        ratios = found / errors[PLAIN]
        both = [f"{e:.1e}" for e in quartiles(found)], [f"{r:.2f}" for r in quartiles(ratios)]
        of_medians = f"{found.median() / errors[PLAIN].median():.2f}"
        rows.append([name, *both[0], *both[1], of_medians, str(int((ratios > 2).sum()))])
    parts = [f"{of}: {part}" for of in ("error", "ratio") for part in ("quartile", "median", "quartile", "most")]
    return markdown([f"H {units}, {seeds} seeds", *parts, "ratio of medians", "above twice"], rows)


def quartiles(values: Tensor) -> list[float]:
    """Give the quartiles and the most."""
    return torch.quantile(values.double(), torch.tensor([0.25, 0.5, 0.75, 1], dtype=torch.float64)).tolist()


@torch.inference_mode()
def main(
    units: Annotated[str, typer.Option(help="Values of H.")] = "8,32",
    seeds: Annotated[int, typer.Option(help="Networks drawn.")] = 50,
) -> None:
    """Measure errors and write one table for each H."""
    torch.set_num_threads(1)
    for size in units.split(","):
        print(table(int(size), seeds), flush=True)


if __name__ == "__main__":
    typer.run(main)
