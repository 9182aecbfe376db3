"""The paper's network: input dropout, the stack, attention, and a linear head."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, overload

import torch
from torch import Tensor, nn

from resblock.errors import InputError
from resblock.files import read_container, write_container
from resblock.nn.attention import AttentionPooling
from resblock.nn.lstm import ResidualLSTM
from resblock.nn.steps import as_lengths

_FORMAT: Final = "resblock.ResAttnLSTM"
_FORMAT_VERSION: Final = 1


@dataclasses.dataclass(frozen=True)
class ResAttnLSTMConfig:
    """What a `ResAttnLSTM` is built from; the defaults are the paper's network."""

    input_size: int = 18
    """Numbers per step: nine features of each of two residues."""
    hidden_size: int = 8
    """Units of every layer."""
    num_layers: int = 60
    """Layers of the stack."""
    num_classes: int = 2
    """Logits per sequence."""
    input_dropout: float = 0.15
    """Of the network's input."""
    dropout: float = 0.6
    """Of the inputs of layers 2 and up."""
    peephole: bool = True
    """Whether the gates see the cell state."""
    output_peephole: str = "current"
    """What the output gate sees: c[t] ("current") or c[t-1] ("previous")."""
    residual: bool = True
    """Whether every second layer has a residual connection."""
    attention: bool = True
    """Pool by attention; without it the last valid step is taken."""
    checkpoint_chunks: int = 0
    """Chunks of time whose activations are computed again in the backward pass, to save memory; 0: all are saved."""
    bidirectional: bool = False
    """Whether a second stack reads each sequence backwards; attention and head see the outputs of both."""
    batch_first: bool = False
    """Inputs are (B, T, input_size) instead of (T, B, input_size), and attention weights (B, T)."""
    stacked: bool = False
    """Five parameters stacked over the layers instead of four for each of them (see `ResidualLSTM`)."""


def _config(options: Mapping[str, Any]) -> ResAttnLSTMConfig:
    known = [field.name for field in dataclasses.fields(ResAttnLSTMConfig)]
    for name in options:
        if name not in known:
            raise InputError(f"network option {name!r} is unknown; the options are {', '.join(known)}")
    return ResAttnLSTMConfig(**options)


class ResAttnLSTM(nn.Module):
    """Input dropout, `ResidualLSTM`, `AttentionPooling`, `Linear`: logits per sequence (Liu & Gong 2019, fig. 3).

    The paper's head and loss, softmax and categorical cross-entropy, are `torch.nn.CrossEntropyLoss` on the logits.
    With `stacked=True`, or with an optimizer that is fused, a training step of many narrow layers takes a fraction of
    the time (docs/notes/parameters.md).

    Parameters
    ----------
    **options
        The fields of `ResAttnLSTMConfig`.
    """

    def __init__(
        self, *, device: torch.device | str | None = None, dtype: torch.dtype | None = None, **options: Any
    ) -> None:
        super().__init__()
        config = self.config = _config(options)
        self.input_dropout = nn.Dropout(config.input_dropout)
        self.lstm = ResidualLSTM(
            config.input_size,
            config.hidden_size,
            config.num_layers,
            batch_first=config.batch_first,
            dropout=config.dropout if config.num_layers > 1 else 0.0,
            bidirectional=config.bidirectional,
            peephole=config.peephole,
            output_peephole=config.output_peephole,
            residual=config.residual,
            checkpoint_chunks=config.checkpoint_chunks,
            stacked=config.stacked,
            device=device,
            dtype=dtype,
        )
        features = config.hidden_size * (2 if config.bidirectional else 1)
        self.attention: AttentionPooling | None = None
        if config.attention:
            self.attention = AttentionPooling(features, batch_first=config.batch_first, device=device, dtype=dtype)
        self.head = nn.Linear(features, config.num_classes, device=device, dtype=dtype)

    @classmethod
    def from_config(cls, config: ResAttnLSTMConfig | Mapping[str, Any]) -> ResAttnLSTM:
        """Build from a configuration or from its fields as a mapping.

        Raises
        ------
        InputError
            If a field is unknown.
        """
        values = dataclasses.asdict(config) if isinstance(config, ResAttnLSTMConfig) else config
        return cls(**values)

    @overload
    def forward(
        self, input: Tensor, lengths: Tensor | Sequence[int] | None = None, need_weights: Literal[False] = False
    ) -> Tensor: ...

    @overload
    def forward(
        self, input: Tensor, lengths: Tensor | Sequence[int] | None = None, *, need_weights: Literal[True]
    ) -> tuple[Tensor, Tensor]: ...

    def forward(
        self, input: Tensor, lengths: Tensor | Sequence[int] | None = None, need_weights: bool = False
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Classify sequences.

        Parameters
        ----------
        input : Tensor, shape (T, B, input_size), or (B, T, input_size) with `batch_first`
        lengths : Tensor of an integer type, shape (B,), or sequence of int, optional
            Valid steps of each sequence, 0 to T.
        need_weights : bool
            Give the attention weights, too.

        Returns
        -------
        logits : Tensor, shape (B, num_classes)
            Of a sequence of no steps, those of zeros.
        weights : Tensor, shape (T, B), or (B, T) with `batch_first`
            With `need_weights`; they sum to 1 over the valid steps.

        Raises
        ------
        ValueError
            If weights are needed of a network without attention.
        """
        if need_weights and not self.config.attention:
            raise ValueError("need_weights: the network was built with attention=False and has no weights")
        valid = None if lengths is None else as_lengths(lengths, input)
        output, _ = self.lstm(self.input_dropout(input), lengths=valid)
        if need_weights and self.attention is not None:
            pooled, weights = self.attention(output, valid, need_weights=True)
            return self.head(pooled), weights
        pooled = self._last(output, valid) if self.attention is None else self.attention(output, valid)
        logits: Tensor = self.head(pooled)
        return logits

    def _last(self, output: Tensor, lengths: Tensor | None) -> Tensor:
        """Give the output at each sequence's last valid step; of the direction that reads backwards, at its first."""
        output = output.transpose(0, 1) if self.config.batch_first else output
        if lengths is None:
            last = output[-1:].sum(0)  # zeros where there are no steps
        else:
            steps = torch.arange(output.shape[0], device=output.device).unsqueeze(1)
            last = torch.where((steps == lengths - 1).unsqueeze(-1), output, 0).sum(0)
        if not self.config.bidirectional:
            return last
        units = self.config.hidden_size
        return torch.cat([last[:, :units], output[:1, :, units:].sum(0)], 1)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write weights and configuration as one safetensors file, whole or not at all."""
        description = {"format": _FORMAT, "format_version": _FORMAT_VERSION, "config": dataclasses.asdict(self.config)}
        write_container(path, description, self.state_dict())

    @classmethod
    def load(cls, path: str | os.PathLike[str], device: torch.device | str = "cpu") -> ResAttnLSTM:
        """Read what `save` wrote, in the type that it was saved in.

        Raises
        ------
        InputError
            If the file is missing, is no safetensors file, was not written by `save`, or contradicts itself.
        """
        description, state = read_container(path, _FORMAT, _FORMAT_VERSION)
        try:
            (dtype,) = {tensor.dtype for tensor in state.values()}
            model = cls(**description["config"], dtype=dtype)
            model.load_state_dict(state)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise InputError(
                f"{path}: configuration and weights do not fit ({' '.join(str(error).split())})"
            ) from error
        return model.to(device)
