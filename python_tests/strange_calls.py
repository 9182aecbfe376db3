"""Calls of the operator, drawn by chance, and numbers to make them strange."""

from __future__ import annotations

import dataclasses
import math
import random
from collections.abc import Callable

import reference
import torch
from networks import NAMES
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence

from resblock.ops import residual_lstm

TYPES = (torch.float64, torch.float64, torch.float32, torch.float32, torch.bfloat16, torch.float16)
#: Largest error of a result, as fuzz_operator.py has it. Gradients may have twenty times as much.
TOLERANCES = {torch.float64: 1e-11, torch.float32: 2e-5, torch.bfloat16: 6e-2, torch.float16: 1e-2}
SIZES = {
    "steps": (0, 1, 1, 2, 3, 5, 8, 13, 24),
    "batch": (0, 1, 1, 2, 5, 8, 16, 17, 33),
    "inputs": (0, 1, 3, 8, 18),
    "units": (1, 2, 6, 8, 8, 15, 16, 17, 31, 33, 64, 130),
    "layers": (1, 1, 2, 3, 4, 5, 8),
}
#: Cells of a call times its units: the reference goes step by step, and all numbers are compared.
LARGEST = 12_000


@dataclasses.dataclass(frozen=True)
class Drawn:
    """A call of the operator, right in every argument."""

    tensors: tuple[Tensor, ...]
    wanted: tuple[bool, ...]
    lengths: Tensor | None
    resets: Tensor | None
    packed: bool
    dropout_p: float
    dropout_seed: Tensor | None
    residual: bool
    output_peephole: str
    chunks: int
    schedule: str | None
    cells: bool

    @classmethod
    def of(cls, draw: random.Random, number: int, *, small: bool = False) -> Drawn:
        """Draw one."""
        sizes = {name: draw.choice(of[:-3] if small else of) for name, of in SIZES.items()}
        while math.prod(sizes[name] for name in ("steps", "batch", "units", "layers")) > LARGEST:
            sizes = {name: draw.choice(of[:-3]) for name, of in SIZES.items()}
        T, B, inputs, H, L = sizes.values()
        dtype, scale = (torch.float32 if small else draw.choice(TYPES)), draw.choice([0.3, 1.0, 1.0, 4.0])

        def uniform(*shape: int, scale: float = scale / math.sqrt(H)) -> Tensor:
            return _with_strides(draw, ((2 * torch.rand(shape, dtype=torch.float64) - 1) * scale).to(dtype))

        state = (L, B, H)
        states = [uniform(*state, scale=1.5) for _ in range(2)]
        if draw.random() < 0.3:
            states = [torch.zeros((), dtype=dtype).expand(state)] * 2
        tensors = (
            uniform(T, B, inputs, scale=2.0),
            uniform(4 * H, inputs),
            uniform(L - 1, 4 * H, H),
            uniform(L, 4 * H, H),
            uniform(L, 3, H, scale=0.7),
            uniform(L, 4 * H),
            *states,
        )
        lengths = None
        if draw.random() < 0.5:
            lengths = torch.randint(0, T + 1, (B,))
            if B and draw.random() < 0.3:
                lengths = torch.where(torch.arange(B) == draw.randrange(B), T, lengths.clamp(max=2))
        packed = lengths is not None and T * B * inputs > 0 and int(lengths.min()) > 0 and draw.random() < 0.4
        dropout_p = draw.choice([0.0, 0.0, 0.0, 0.4, 1.0])
        return cls(
            tensors=tensors,
            wanted=tuple(draw.random() < 0.7 for _ in NAMES),
            lengths=lengths,
            resets=torch.rand(T, B) < draw.choice([0.05, 0.5, 1.0]) if draw.random() < 0.3 else None,
            packed=packed,
            dropout_p=dropout_p,
            dropout_seed=torch.tensor([number]) if dropout_p else None,
            residual=draw.random() < 0.7,
            output_peephole=draw.choice(["current", "previous"]),
            chunks=draw.choice([0, 0, 0, 1, 2, 30]),
            schedule=draw.choice([None, None, "layerwise"]),
            cells=draw.random() < 0.3,
        )

    @property
    def dtype(self) -> torch.dtype:
        return self.tensors[0].dtype

    @property
    def tolerance(self) -> float:
        return TOLERANCES[self.dtype]

    def leaves(self, dtype: torch.dtype) -> list[Tensor]:
        """Give the tensors in a type, those with a gradient that wants one."""
        pairs = zip(self.tensors, self.wanted, strict=True)
        return [tensor.detach().to(dtype).requires_grad_(wanted) for tensor, wanted in pairs]

    def run(self, leaves: list[Tensor]) -> tuple[Tensor, ...]:
        """Call the operator."""
        input, *others = leaves
        options = self.dropout_p, self.dropout_seed, self.residual, self.output_peephole, self.chunks, self.schedule
        if self.packed:
            rows = pack_padded_sequence(input, self.lengths, enforce_sorted=False)
            resets = None if self.resets is None else self._pack(self.resets)
            packed = rows.batch_sizes, rows.sorted_indices, resets
            return residual_lstm(rows.data, *others, None, *options, *packed, self.cells)
        if self.lengths is not None:  # what lies past a sequence's length is no number
            valid = torch.arange(len(input)).unsqueeze(1) < self.lengths
            input = torch.where(valid.unsqueeze(-1), input, torch.nan)
        return residual_lstm(input, *others, self.lengths, *options, resets=self.resets, return_cells=self.cells)

    def expected(self, leaves: list[Tensor]) -> tuple[Tensor, ...]:
        """Call the reference."""
        mask = None
        if self.dropout_p:
            (T, B, _), (L, _, H) = self.tensors[0].shape, self.tensors[7].shape
            mask = torch.ops.resblock.residual_lstm_dropout_mask(self.dropout_seed, L, T, B, H, self.dropout_p)
            mask = mask.to(leaves[0].dtype)
        options = self.lengths, mask, self.residual, self.output_peephole, self.resets
        output, h_n, c_n, cells = reference.residual_lstm(*leaves, *options)
        if self.packed:
            output, cells = self._pack(output), torch.stack([self._pack(one) for one in cells])
        return (output, h_n, c_n, cells) if self.cells else (output, h_n, c_n)

    def _pack(self, steps: Tensor) -> Tensor:
        return pack_padded_sequence(steps, self.lengths, enforce_sorted=False).data


def _with_strides(draw: random.Random, tensor: Tensor) -> Tensor:
    """The same numbers, laid out otherwise."""
    kind = draw.choice(["dense", "dense", "apart", "turned", "offset"])
    if kind == "apart":
        return torch.stack([tensor, tensor], -1)[..., 0]
    if kind == "turned":
        return tensor.transpose(0, -1).contiguous().transpose(0, -1)
    if kind == "offset" and len(tensor):
        return torch.cat([tensor[:1], tensor])[1:]
    return tensor


def _put(numbers: tuple[float, ...]) -> Callable[[random.Random, Drawn], Drawn]:
    def strange(draw: random.Random, call: Drawn) -> Drawn:
        # Products with zeros that are laid out nowhere are left out, whatever the weights (docs/lstm.md).
        tensors = [tensor.clone(memory_format=torch.contiguous_format) for tensor in call.tensors]
        for k in draw.sample(range(len(tensors)), draw.choice([1, 1, 2])):
            for _ in range(draw.choice([1, 1, 3])):
                if tensors[k].numel():
                    tensors[k].view(-1)[draw.randrange(tensors[k].numel())] = draw.choice(numbers)
        return dataclasses.replace(call, tensors=tuple(tensors))

    return strange


STRANGE: dict[str, Callable[[random.Random, Drawn], Drawn]] = {
    "infinite": _put((math.inf, -math.inf)),
    "undefined": _put((math.nan,)),
    "tiny": _put((1e-40, -1e-45, 1e-38)),
    "huge": _put((3e38, -3e38, 1e30)),
    "large": _put((1e4, -1e4, 88.0, -104.0)),
}
