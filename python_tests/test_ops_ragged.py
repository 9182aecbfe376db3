"""Batches of which sequences end early: padded with lengths in any order, or packed."""

from __future__ import annotations

import dataclasses

import pytest
import tolerances
import torch
from networks import NAMES, Case, gradients
from tolerances import error
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from resblock import ResidualLSTM
from resblock.ops import residual_lstm
from resblock.ops.packing import Packing


@dataclasses.dataclass(frozen=True)
class Ragged(Case):
    """A case whose lengths stand in no order, some of them 0."""

    least: int = 0

    @property
    def lengths(self) -> Tensor:
        generator = torch.Generator().manual_seed(self.seed + 1)
        return torch.randint(self.least, self.steps + 1, (self.batch,), generator=generator)


CASES = [
    Ragged(7, 17, 5, 8, 4, dropout_p=0.4),
    Ragged(40, 35, 18, 8, 3, output_peephole="previous"),
    Ragged(9, 40, 3, 16, 2, residual=False),
    Ragged(12, 9, 5, 33, 3, dropout_p=0.2),
    Ragged(5, 3, 5, 6, 5),
    Ragged(3, 9, 4, 260, 2),
]


@pytest.mark.parametrize("schedule", ["batched", "layerwise", None])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_lengths_in_any_order_agree_with_the_reference(case: Ragged, schedule: str | None) -> None:
    case = dataclasses.replace(case, schedule=schedule)
    tensors = case.tensors()
    actual, expected = case.run(tensors), case.reference(tensors)
    assert all(error(a, e) < tolerances.DOUBLE for a, e in zip(actual, expected, strict=True))
    for name, a, e in zip(NAMES, gradients(actual, tensors), gradients(expected, tensors), strict=True):
        assert error(a, e) < tolerances.DOUBLE_GRADIENT, name


@pytest.mark.parametrize("chunks", [0, 3])
@pytest.mark.parametrize("case", [dataclasses.replace(case, least=1) for case in CASES], ids=str)
def test_packed_rows_give_what_padded_ones_do(case: Ragged, chunks: int) -> None:
    tensors = case.tensors()
    padded = case.run(tensors, chunks)
    packed = pack_padded_sequence(tensors[0], case.lengths, enforce_sorted=False)
    options = None, case.dropout_p, case.dropout_seed, case.residual, case.output_peephole, chunks, case.schedule
    found = residual_lstm(packed.data, *tensors[1:], *options, packed.batch_sizes, packed.sorted_indices)
    expected = (pack_padded_sequence(padded[0], case.lengths, enforce_sorted=False).data, *padded[1:])
    assert all(torch.equal(a, e) for a, e in zip(found, expected, strict=True))
    # Sequences of the same length may stand in another order, and so be added up in another.
    for a, e in zip(gradients(found, tensors), gradients(expected, tensors), strict=True):
        assert error(a, e) < tolerances.DOUBLE_GRADIENT


def test_derivatives_of_packed_rows() -> None:
    case = Ragged(4, 3, 2, 3, 4, dropout_p=0.3, least=1)
    packed = pack_padded_sequence(case.tensors()[0].detach(), case.lengths, enforce_sorted=False)

    def run(rows: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
        options = None, case.dropout_p, case.dropout_seed, True, "current", 0, None
        return residual_lstm(rows, *others, *options, packed.batch_sizes, packed.sorted_indices)

    tensors = [packed.data.clone().requires_grad_(), *case.tensors()[1:]]
    assert torch.autograd.gradcheck(run, tensors, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(run, tensors)


def test_padding_and_packing_undo_each_other() -> None:
    case = Ragged(6, 5, 3, least=1)
    padded = case.tensors()[0].detach() * (torch.arange(6).unsqueeze(1) < case.lengths).unsqueeze(-1)
    packed = pack_padded_sequence(padded, case.lengths, enforce_sorted=False)
    packing = Packing(packed.batch_sizes, packed.sorted_indices, 5)
    assert torch.equal(packing.pack(padded), packed.data)
    longest = int(case.lengths.max())
    assert torch.equal(packing.pad(packed.data), padded[:longest])


def packed_states(bidirectional: bool) -> tuple[ResidualLSTM, PackedSequence, tuple[Tensor, Tensor]]:
    torch.manual_seed(2)
    lstm = ResidualLSTM(3, 6, 4, bidirectional=bidirectional)
    packed = pack_padded_sequence(torch.randn(7, 5, 3), torch.tensor([2, 7, 1, 7, 4]), enforce_sorted=False)
    states = torch.randn(2, 8 if bidirectional else 4, 5, 6)
    return lstm, packed, (states[0], states[1])


@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_module_takes_packed_sequences_as_they_are(bidirectional: bool) -> None:
    lstm, packed, states = packed_states(bidirectional)
    padded, lengths = pad_packed_sequence(packed)
    expected, expected_states = lstm(padded, states, lengths)
    found, found_states = lstm(packed, states)
    assert torch.equal(pad_packed_sequence(found)[0], expected)
    assert all(torch.equal(a, e) for a, e in zip(found_states, expected_states, strict=True))
    assert torch.equal(found.batch_sizes, packed.batch_sizes)
    assert torch.equal(found.unsorted_indices, packed.unsorted_indices)


def test_saved_activations_follow_the_lengths() -> None:
    arguments = Case(100, 64, 5, 33, 2).operator_arguments(Case(100, 64, 5, 33, 2).tensors(torch.float32))
    lengths = torch.full((64,), 5)
    lengths[40] = 100
    with torch.no_grad():
        of_rows = {
            full: torch.ops.resblock.residual_lstm_training(*arguments[:8], lengths, *arguments[9:-2], full, False)[
                4
            ].numel()
            for full in (False, True)
        }
    row = 6 * 2 * 33
    assert of_rows == {False: (63 * 5 + 100) * row, True: 64 * 100 * row}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch_sizes": [4, 3, 3]}, "batch_sizes.* 4, expected 0 to 3|batch_sizes are .*expected from 0 to 3"),
        ({"batch_sizes": [3, 2, 3]}, "batch_sizes.* 3, expected 0 to 2|never more than at the step before"),
        ({"batch_sizes": [3, 2, 1]}, "batch_sizes add up to 6 but input has 7 rows"),
        ({"batch_sizes": [3.0, 2.0, 2.0]}, "batch_sizes must be int64 of shape .3,. on the CPU"),
        ({"batch_sizes": [[3, 2, 2]]}, "batch_sizes has shape .1, 3., expected .time,."),
        ({"batch_sizes": None}, "order was given without batch_sizes"),
        ({"order": [0, 1, 1]}, "order.* 1, expected each number from 0 to 2 once|order is .*each number from 0 to 2"),
        ({"order": [0, 1]}, "order must be int64 of shape .3,. on the CPU"),
        ({"lengths": [3, 3, 1]}, "lengths were given with batch_sizes"),
    ],
)
@pytest.mark.parametrize("in_forward_mode", [False, True])
def test_wrong_packed_rows_are_refused(change: dict[str, list[float]], message: str, in_forward_mode: bool) -> None:
    numbers = {"batch_sizes": [3, 2, 2], "order": [2, 0, 1]} | change
    ragged = {name: None if value is None else torch.tensor(value) for name, value in numbers.items()}
    rows, *others = [t.detach() for t in Case(3, 3, 2, 4, 2).tensors(torch.float32)]
    rows = rows if ragged["batch_sizes"] is None else torch.ones(7, 2)

    def run(rows: Tensor) -> object:
        return residual_lstm(rows, *others, **ragged)

    with pytest.raises(RuntimeError, match=message):
        torch.func.jvp(run, (rows,), (rows,)) if in_forward_mode else run(rows)
