"""Calls of the operators that are wrong in one argument, each under a name that says in which."""

from __future__ import annotations

import functools
import math
import random
from collections.abc import Callable
from typing import Any

import torch
from networks import NAMES
from torch import Tensor

from resblock.ops import residual_lstm

Wrong = Callable[[random.Random], object]
#: Dropout, residual connections, the output peephole and the schedule, as the registered operators take them.
OPTIONS = (None, None, None, None, 0.0, None, True, False, None)


def right(draw: random.Random) -> list[Tensor]:
    """Draw the eight tensors of a call in which every argument has numbers."""
    T, B, inputs, H, L = (draw.choice([2, 3, 5]) for _ in range(5))
    shapes = (T, B, inputs), (4 * H, inputs), (L - 1, 4 * H, H), (L, 4 * H, H), (L, 3, H), (L, 4 * H), (L, B, H)
    return [torch.rand(shape) for shape in (*shapes, (L, B, H))]


def freed(tensor: Tensor, bytes: int = 0) -> Tensor:
    """Free its memory, as frameworks do with parameters."""
    tensor = tensor.detach().clone(memory_format=torch.contiguous_format)
    tensor.untyped_storage().resize_(bytes)
    return tensor


def _longer(tensor: Tensor, draw: random.Random) -> Tensor:
    dimension = draw.randrange(tensor.dim())
    return torch.cat([tensor, tensor.narrow(dimension, 0, 1)], dimension)


def _other_type(tensor: Tensor, draw: random.Random) -> Tensor:
    return tensor.to(draw.choice([torch.float64, torch.float16, torch.int64, torch.complex64, torch.bool]))


CHANGES: dict[str, Callable[[Tensor, random.Random], Tensor]] = {
    "freed": lambda t, draw: freed(t, draw.choice([0, 4])),
    "longer": _longer,
    "of another rank": lambda t, draw: draw.choice([t.unsqueeze(0), t.reshape(-1)]),
    "of another type": _other_type,
    "on meta": lambda t, draw: t.to("meta"),
    "sparse": lambda t, draw: t.to_sparse(),
    "quantised": lambda t, draw: torch.quantize_per_tensor(t, 0.1, 0, torch.qint8),
    "nested": lambda t, draw: torch.nested.nested_tensor([t, t]),
}


def _tensor(k: int, change: str, draw: random.Random) -> object:
    tensors = right(draw)
    tensors[k] = CHANGES[change](tensors[k], draw)
    if draw.random() < 0.5 and change not in ("quantised", "nested"):
        tensors[0 if k else 1].requires_grad_()
    return residual_lstm(*tensors)


def _option(given: Callable[[int, int], dict[str, Any]], draw: random.Random) -> object:
    tensors = right(draw)
    return residual_lstm(*tensors, **given(*tensors[0].shape[:2]))


def _packed(given: Callable[[Tensor, Tensor], dict[str, Any]], draw: random.Random) -> object:
    input, *others = right(draw)
    T, B, _ = input.shape
    return residual_lstm(input.flatten(0, 1), *others, **given(torch.full((T,), B), torch.arange(B)))


def _backward(gradient: str, saved: str, draw: random.Random) -> object:
    tensors, operators = right(draw), torch.ops.resblock
    with torch.no_grad():
        *results, _, activations = operators.residual_lstm_training(*tensors, *OPTIONS, 0, True, False)
        gradients = [torch.ones_like(one) for one in results]
        if gradient:
            k = draw.randrange(len(gradients))
            gradients[k] = CHANGES[gradient](gradients[k], draw)
        if saved:
            activations = SAVED[saved](activations, draw)
        return operators.residual_lstm_backward(*gradients, None, *tensors, *OPTIONS, activations, 255)


SAVED: dict[str, Callable[[Tensor, random.Random], Tensor]] = {
    "shorter": lambda t, draw: t[:-1],
    "of states": lambda t, draw: t.new_zeros(1, 2, 7, 7, 7),
    "in two dimensions": lambda t, draw: t.unsqueeze(0),
    **{name: CHANGES[name] for name in ("longer", "freed", "of another type", "on meta")},
}


def _mask(sizes: tuple[int, int, int, int], p: float, draw: random.Random, seed: Tensor | None = None) -> object:
    seed = torch.tensor([1]) if seed is None else seed
    return torch.ops.resblock.residual_lstm_dropout_mask(seed, *sizes, p)


def _overflow(draw: random.Random) -> object:
    *tensors, h_0, _ = right(draw)
    input, state = tensors[0].new_zeros(()).expand(2**40, 2**20, tensors[0].shape[2]), h_0[:, :1].expand(-1, 2**20, -1)
    return residual_lstm(input, *tensors[1:], state, state)


def _flags(T: int, B: int) -> Tensor:
    return torch.zeros(T, B, dtype=torch.bool)


_SEED = torch.tensor([1])
_GIVEN: dict[str, Callable[[int, int], dict[str, Any]]] = {
    "too few lengths": lambda T, B: {"lengths": torch.ones(B - 1, dtype=torch.int64)},
    "too many lengths": lambda T, B: {"lengths": torch.ones(B + 1, dtype=torch.int64)},
    "negative lengths": lambda T, B: {"lengths": torch.full((B,), -1)},
    "lengths past the end": lambda T, B: {"lengths": torch.full((B,), T + 1)},
    "real lengths": lambda T, B: {"lengths": torch.ones(B)},
    "lengths that are flags": lambda T, B: {"lengths": torch.ones(B, dtype=torch.bool)},
    "freed lengths": lambda T, B: {"lengths": freed(torch.ones(B, dtype=torch.int64))},
    "lengths in two rows": lambda T, B: {"lengths": torch.ones(2, B, dtype=torch.int64)},
    "real resets": lambda T, B: {"resets": _flags(T, B).float()},
    "too few resets": lambda T, B: {"resets": _flags(T, B)[:-1]},
    "freed resets": lambda T, B: {"resets": freed(_flags(T, B))},
    "resets on meta": lambda T, B: {"resets": _flags(T, B).to("meta")},
    "dropout below 0": lambda T, B: {"dropout_p": -0.1, "dropout_seed": _SEED},
    "dropout above 1": lambda T, B: {"dropout_p": 1.1, "dropout_seed": _SEED},
    "undefined dropout": lambda T, B: {"dropout_p": math.nan, "dropout_seed": _SEED},
    "dropout without a seed": lambda T, B: {"dropout_p": 0.5},
    "two seeds": lambda T, B: {"dropout_p": 0.5, "dropout_seed": torch.tensor([1, 2])},
    "a real seed": lambda T, B: {"dropout_p": 0.5, "dropout_seed": torch.ones(1)},
    "a freed seed": lambda T, B: {"dropout_p": 0.5, "dropout_seed": freed(_SEED)},
    "a seed on meta": lambda T, B: {"dropout_p": 0.5, "dropout_seed": _SEED.to("meta")},
    "an unknown peephole": lambda T, B: {"output_peephole": "next"},
    "an unknown schedule": lambda T, B: {"schedule": "fast"},
    "negative chunks": lambda T, B: {"checkpoint_chunks": -1},
    "batch sizes of padded input": lambda T, B: {"batch_sizes": torch.full((T,), B)},
    "an order without batch sizes": lambda T, B: {"order": torch.arange(B)},
}
_PACKED: dict[str, Callable[[Tensor, Tensor], dict[str, Any]]] = {
    "rising batch sizes": lambda sizes, order: {"batch_sizes": torch.cat([sizes[:1] - 1, sizes[1:]])},
    "negative batch sizes": lambda sizes, order: {"batch_sizes": torch.cat([sizes[:-1], -sizes[-1:]])},
    "batch sizes of fewer rows": lambda sizes, order: {"batch_sizes": torch.cat([sizes[:-1], sizes[-1:] - 1])},
    "real batch sizes": lambda sizes, order: {"batch_sizes": sizes.float()},
    "batch sizes and lengths": lambda sizes, order: {"batch_sizes": sizes, "lengths": torch.ones_like(order)},
    "an order with a number twice": lambda sizes, order: {"batch_sizes": sizes, "order": torch.zeros_like(order)},
    "a shorter order": lambda sizes, order: {"batch_sizes": sizes, "order": order[:-1]},
    "freed batch sizes": lambda sizes, order: {"batch_sizes": freed(sizes)},
}
WRONG: dict[str, Wrong] = {
    **{
        f"{name} {change}": functools.partial(_tensor, k, change)
        for k, name in enumerate(NAMES)
        for change in CHANGES
        # A longer input is another input, and one of another type is told by the tensors beside it.
        if (name, change) != ("input", "longer")
    },
    **{name: functools.partial(_option, given) for name, given in _GIVEN.items()},
    **{name: functools.partial(_packed, given) for name, given in _PACKED.items()},
    **{f"saved activations {name}": functools.partial(_backward, "", name) for name in SAVED},
    **{
        f"a gradient {name}": functools.partial(_backward, name, "")
        for name in ("longer", "freed", "of another rank", "of another type", "on meta")
    },
    "a mask of no layers": functools.partial(_mask, (0, 3, 4, 5), 0.5),
    "a mask of negative steps": functools.partial(_mask, (2, -3, 4, 5), 0.5),
    "a mask of too many numbers": functools.partial(_mask, (2, 3, 2**62, 5), 0.5),
    "a mask of a probability above 1": functools.partial(_mask, (2, 3, 4, 5), 1.5),
    "a mask without a seed": functools.partial(_mask, (2, 3, 4, 5), 0.5, seed=torch.empty(0, dtype=torch.int64)),
    "more numbers than there are addresses": _overflow,
}
