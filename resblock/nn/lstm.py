"""The stack of peephole LSTM layers as a module, called like `torch.nn.LSTM`."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from resblock.nn import directions, parameter_blocks, parameters, state_dict, torch_lstm
from resblock.nn.directions import Results, State
from resblock.nn.options import check_options
from resblock.nn.steps import PackedSteps, PaddedSteps, as_lengths, as_resets
from resblock.ops import residual_lstm
from resblock.ops.arguments import check_layout

Steps = PaddedSteps | PackedSteps


class ResidualLSTM(nn.Module):
    """A stack of LSTM layers with peepholes and a residual connection every two layers (Liu & Gong 2019).

    Layers are numbered from 1. The output of layer l is h^l for l = 1, 2 and every odd l, and h^l + y^(l-2) for
    l = 4, 6, 8, ...; it is the input of layer l + 1. The recurrence inside a layer uses its own h. Dropout acts on
    the inputs of layers 2 to L, never on the recurrence or the shortcut.

    Parameters
    ----------
    input_size, hidden_size, num_layers : int
        I, H and L below.
    bias : bool
        Without it there are no biases.
    batch_first : bool
        Inputs and outputs are (B, T, .) instead of (T, B, .). States are (L, B, H) either way.
    dropout : float
        Probability, in training mode only.
    bidirectional : bool
        A second stack of the same size reads each sequence from its last valid step to its first; the outputs of the
        last layers of both are concatenated.
    proj_size : int
        0: there are no projections. It is here because `torch.nn.LSTM` has it in this place.
    device, dtype
        Of the parameters.
    peephole : bool
        Without it there are no peepholes.
    output_peephole : {"current", "previous"}
        The output gate sees c[t] (Graves, ONNX, and the paper's backward equations) or c[t-1] (the paper's printed
        forward equation).
    residual : bool
        Whether there are residual connections.
    checkpoint_chunks : int
        Chunks of time in training calls, which then save few activations and cost one more forward pass (see
        `resblock.residual_lstm`). 0 saves all that the backward pass needs, which is faster where it fits.
    stacked : bool
        Five parameters whatever the depth, each stacked over the layers, in place of four per layer: for deep stacks
        of narrow layers, whose optimizer else takes longer than the rest of a training step. Code that goes through
        the parameters and wants one matrix per layer, an initialisation for example, is wrong for these.

    Attributes
    ----------
    weight_ih_l0, weight_ih_l{k} : Parameter, shapes (4H, I), (4H, H)
        Of layer k + 1, as in `torch.nn.LSTM`; gates in the order i, f, g, o. Names of the direction that reads
        backwards end in `_reverse`.
    weight_hh_l{k}, bias_ih_l{k} : Parameter, shapes (4H, H), (4H,)
        One bias stands for both of `torch.nn.LSTM`.
    weight_peephole_l{k} : Parameter, shape (3, H)
        Peepholes in the order i, f, o.
    weight_ih_first, weight_ih, weight_hh : Parameter, shapes (4H, I), (L-1, 4H, H), (L, 4H, H)
        With `stacked`, in place of those above; with one layer `weight_ih` is None. Names end as above.
    weight_peephole, bias : Parameter, shapes (L, 3, H), (L, 4H)
        With `stacked`. (Without, `bias` is the argument, as in `torch.nn.LSTM`.)

    Raises
    ------
    TypeError, ValueError
        If an argument is of another type, or out of its range.

    Notes
    -----
    The arguments before `peephole` stand in the order of `torch.nn.LSTM`.

    `load_state_dict` reads both forms of parameters, those of resblock 0.1.0, and those of a `torch.nn.LSTM` where the
    two compute the same; `to_torch().state_dict()` gives the latter.

    Bidirectional, each direction is a whole stack of its own, and only the last layers' outputs meet. In
    `torch.nn.LSTM` they meet after every layer: its layers 2 and up see both directions. With one layer the two are
    the same.

    All parameters start uniform in +-1/sqrt(H), as in `torch.nn.LSTM`, but for the forget gate's bias, which starts
    at 1 so that a deep stack remembers from the beginning. Both forms of parameters start the same from one seed.
    """

    _version = 2  # of state dicts: 1 is torch.nn.LSTM's, and 0.1.0's

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        peephole: bool = True,
        output_peephole: str = "current",
        residual: bool = True,
        checkpoint_chunks: int = 0,
        stacked: bool = False,
    ) -> None:
        super().__init__()
        check_options(
            sizes={"input_size": input_size, "hidden_size": hidden_size, "num_layers": num_layers},
            flags={"bias": bias, "batch_first": batch_first, "bidirectional": bidirectional, "peephole": peephole}
            | {"residual": residual, "stacked": stacked},
            dropout=dropout,
            output_peephole=output_peephole,
            checkpoint_chunks=checkpoint_chunks,
        )
        if proj_size:
            raise ValueError(f"proj_size is {proj_size}, expected 0: the cells have no projections")
        if dropout and num_layers == 1:
            warnings.warn(
                f"dropout is {dropout}, but acts between layers, and num_layers is 1", UserWarning, stacklevel=2
            )
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.batch_first, self.dropout = batch_first, float(dropout)
        self.output_peephole, self.residual = output_peephole, residual
        self.checkpoint_chunks, self.bidirectional, self.proj_size = checkpoint_chunks, bidirectional, proj_size

        self.stacked = stacked
        if not stacked:
            self.bias = bias
        self._parts = parameters.parts_of(self, bias=bias, peephole=peephole)
        self._names = parameters.names_of(self)
        self._blocks: dict[str, parameter_blocks.Blocks] = {}  # of each direction
        parameters.register(self, device, dtype)
        # 0.1.0 drew the backward direction first and then once more with the rest: so a seed gives what it gave there.
        for name in itertools.chain.from_iterable(self._names.get(parameters.REVERSE, [])):
            nn.init.uniform_(getattr(self, name))
        self.reset_parameters()
        self.flatten_parameters()

    def reset_parameters(self) -> None:
        """Draw all parameters anew (see the class's notes)."""
        bound, units = 1 / math.sqrt(self.hidden_size), self.hidden_size
        for weight in parameters.in_the_operators_order(self):
            nn.init.uniform_(weight, -bound, bound)
        for *_, biases in self._names.values():
            for name in biases:
                nn.init.ones_(getattr(self, name)[..., units : 2 * units])

    def flatten_parameters(self) -> None:
        """Lay the parameters of all layers side by side in memory, as `torch.nn.LSTM` does for cuDNN.

        Calls without gradients then take them as they are; others, and where they are apart, copy them first. A new
        module of at least 32 units, one that was moved, converted or copied, and one that was loaded into has them so.
        It is for parameters that were given new memory by other means: by assigning to `.data` or
        `load_state_dict(assign=True)`. The memory of each cannot be resized then.
        """
        parameter_blocks.lay_out(self)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> ResidualLSTM:
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self.flatten_parameters()
        return self

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_blocks": {}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        self.flatten_parameters()

    @property
    def all_weights(self) -> list[list[Tensor]]:
        """Weights of every layer: (4H, I) or (4H, H), (4H, H), (4H,) and the peepholes (3, H), without those absent.

        Bidirectional: those of the forward and the backward direction in turn, as in `torch.nn.LSTM`.
        """
        layers = (
            parameters.layer_weights(self, layer, direction)
            for layer in range(self.num_layers)
            for direction in self._names
        )
        return [[weight for weight in weights if weight is not None] for weights in layers]

    def _load_from_state_dict(
        self,
        state: dict[str, Any],
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        if refusal := state_dict.adapt(self, state, prefix, local_metadata):
            error_msgs.append(f"{prefix.rstrip('.') or 'ResidualLSTM'}: {refusal}")
            return
        super()._load_from_state_dict(state, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)

    def forward(
        self,
        input: Tensor | PackedSequence,
        hx: State | None = None,
        lengths: Tensor | Sequence[int] | None = None,
        resets: Tensor | PackedSequence | None = None,
        return_cells: bool = False,
    ) -> tuple[Tensor | PackedSequence, State] | tuple[Tensor | PackedSequence, State, Tensor]:
        """Run the stack.

        Parameters
        ----------
        input : Tensor or PackedSequence
            (T, B, I), or (B, T, I) with `batch_first`, or (T, I) for one sequence.
        hx : tuple of Tensor, optional
            (h_0, c_0), each (L, B, H), or (L, H) for one sequence; zeros by default. Bidirectional: 2L instead of
            L, each layer's forward direction before its backward direction.
        lengths : Tensor of an integer type, shape (B,), or sequence of int, optional
            Valid steps of each sequence, 0 to T. Not with a PackedSequence or a single sequence.
        resets : Tensor of bool or PackedSequence of bool, optional
            As `input`, without features: where sequences begin anew, as episodes of an environment do that was done the
            step before. States before such a step are zeros, also those of `hx` at the first step. Bidirectional:
            nothing goes from such a step to the one before it.
        return_cells : bool
            Give c of every step, too.

        Returns
        -------
        output : Tensor or PackedSequence
            As `input`, with H features: y of the last layer, zero past a sequence's length. Bidirectional: 2H.
        (h_n, c_n) : tuple of Tensor
            As `hx`: h and c of every layer at each sequence's last step, or at its first of the layers that read
            backwards; of a sequence of no steps, those of `hx`. h_n is h, not y.
        cells : Tensor
            With `return_cells`: c of every layer and step, zero past a sequence's length. (L, T, B, H), or (L, B, T, H)
            with `batch_first`, or (L, T, H) for one sequence; of a PackedSequence (L, rows, H), in the order of the
            rows of the output's data. Bidirectional: 2L, in the order of `hx`.

        Raises
        ------
        ValueError
            If the dimensions or features of the input, or the dimensions of a state beside one sequence, do not fit, or
            lengths come with a PackedSequence or one sequence, or resets are packed otherwise than the input.
        TypeError
            If lengths are not whole numbers, or resets no flags.
        RuntimeError
            From the operator: a state, lengths or resets of another shape, dtype or device.
        """
        output, state, cells = self._forward(input, hx, lengths, resets, return_cells)
        return (output, state) if cells is None else (output, state, cells)

    def _forward(
        self,
        input: Tensor | PackedSequence,
        hx: State | None,
        lengths: Tensor | Sequence[int] | None,
        resets: Any,
        return_cells: bool,
    ) -> tuple[Tensor | PackedSequence, State, Tensor | None]:
        if isinstance(input, PackedSequence):
            return self._forward_packed(input, hx, lengths, resets, return_cells)
        check_layout("input", input)
        if input.dim() not in (2, 3) or input.shape[-1] != self.input_size:
            raise ValueError(
                f"input has shape {tuple(input.shape)}, expected 2 dimensions (one sequence) or 3 (a batch), "
                f"the last of size input_size = {self.input_size}"
            )
        if input.dim() == 2:
            return self._forward_single(input, hx, lengths, resets, return_cells)
        valid = None if lengths is None else as_lengths(lengths, input)
        resets = None if resets is None else as_resets(resets, 2, input.device)
        if not self.batch_first:
            return self._run(input, hx, PaddedSteps(valid, resets), return_cells)
        resets = None if resets is None else resets.transpose(0, 1)
        output, state, cells = self._run(input.transpose(0, 1), hx, PaddedSteps(valid, resets), return_cells)
        return output.transpose(0, 1), state, None if cells is None else cells.transpose(1, 2)

    def _run(self, input: Tensor, state: State | None, steps: Steps, return_cells: bool) -> Results:
        if not self.bidirectional:
            return self._run_stack(input, state, steps, return_cells)
        ahead, back = directions.divided(state, self.num_layers)
        first = self._run_stack(input, ahead, steps, return_cells)
        second = self._run_stack(steps.reversed(input), back, steps.backwards(), return_cells, parameters.REVERSE)
        return directions.joined(first, second, steps)

    def _run_stack(
        self, input: Tensor, state: State | None, steps: Steps, return_cells: bool, direction: str = ""
    ) -> Results:
        units, layers = self.hidden_size, self.num_layers
        weights = parameters.operator_weights(self, direction)
        if state is None:
            zeros = weights[0].new_zeros(()).expand(layers, steps.sequences(input), units)
            state = (zeros, zeros)
        drops = self.training and self.dropout > 0 and layers > 1
        output, h_n, c_n, *cells = residual_lstm(
            input,
            *weights,
            *state,
            **steps.options,
            dropout_p=self.dropout if drops else 0.0,
            dropout_seed=torch.randint(2**63 - 1, (1,), device=input.device) if drops else None,
            residual=self.residual,
            output_peephole=self.output_peephole,
            checkpoint_chunks=self.checkpoint_chunks,
            return_cells=return_cells,
        )
        return output, (h_n, c_n), cells[0] if cells else None

    def _forward_single(
        self,
        input: Tensor,
        state: State | None,
        lengths: Tensor | Sequence[int] | None,
        resets: Any,
        return_cells: bool,
    ) -> Results:
        if lengths is not None:
            raise ValueError("lengths was given with a single sequence: cut the sequence instead")
        for name, tensor in zip(("h_0", "c_0"), state or (), strict=False):
            if tensor.dim() != 2:
                raise ValueError(
                    f"{name} has shape {tuple(tensor.shape)}, expected 2 dimensions, (layers, hidden_size), because "
                    "input is one sequence without a batch"
                )
        batched = None if state is None else (state[0].unsqueeze(1), state[1].unsqueeze(1))
        resets = None if resets is None else as_resets(resets, 1, input.device).unsqueeze(1)
        steps = PaddedSteps(None, resets)
        output, (h_n, c_n), cells = self._run(input.unsqueeze(1), batched, steps, return_cells)
        return output.squeeze(1), (h_n.squeeze(1), c_n.squeeze(1)), None if cells is None else cells.squeeze(2)

    def _forward_packed(
        self,
        packed: PackedSequence,
        state: State | None,
        lengths: Tensor | Sequence[int] | None,
        resets: Any,
        return_cells: bool,
    ) -> tuple[PackedSequence, State, Tensor | None]:
        if lengths is not None:
            raise ValueError("lengths was given with a PackedSequence, which has its own")
        if packed.data.dim() != 2 or packed.data.shape[1] != self.input_size:
            raise ValueError(
                f"input is a PackedSequence of steps of shape {tuple(packed.data.shape[1:])}, expected "
                f"({self.input_size},), which is input_size"
            )
        output, state, cells = self._run(packed.data, state, PackedSteps.of(packed, resets), return_cells)
        return PackedSequence(output, packed.batch_sizes, packed.sorted_indices, packed.unsorted_indices), state, cells

    @classmethod
    def from_torch(cls, lstm: nn.LSTM) -> ResidualLSTM:
        """Copy a `torch.nn.LSTM`: the same function, without peepholes and residual connections.

        Raises
        ------
        ValueError
            If it has a projection, or is bidirectional and has more than one layer.
        """
        return torch_lstm.from_torch(cls, lstm)

    def to_torch(self) -> nn.LSTM:
        """Copy to a `torch.nn.LSTM`.

        Raises
        ------
        ValueError
            If this network has what `torch.nn.LSTM` has not: peepholes that are not zero, residual connections, or
            two directions that meet after the last of several layers only.
        """
        return torch_lstm.to_torch(self)

    def extra_repr(self) -> str:
        """Name the sizes, and the options that differ from the defaults."""
        *_, peepholes, biases = self._names[""]
        options = {
            "bias": (bool(biases), True),
            "batch_first": (self.batch_first, False),
            "dropout": (self.dropout, 0.0),
            "peephole": (bool(peepholes), True),
            "output_peephole": (self.output_peephole, "current"),
            "residual": (self.residual, True),
            "checkpoint_chunks": (self.checkpoint_chunks, 0),
            "bidirectional": (self.bidirectional, False),
            "stacked": (self.stacked, False),
        }
        changed = [f", {name}={value!r}" for name, (value, default) in options.items() if value != default]
        return f"{self.input_size}, {self.hidden_size}, num_layers={self.num_layers}" + "".join(changed)
