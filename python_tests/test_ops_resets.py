"""Sequences that begin anew within a call, and cell states of every step."""

from __future__ import annotations

import contextlib
import dataclasses

import pytest
import tolerances
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import NAMES, Case, check_float64, gradients, odd_sizes
from tolerances import error
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

import resblock.ops
from resblock.ops import residual_lstm

PROBABILITIES = (0.02, 0.2, 0.9)


def cases() -> list[Case]:
    """Odd sizes, of which every second has resets, every third cells, and every sixth both."""
    found = [
        dataclasses.replace(case, resets_p=PROBABILITIES[k % 3], cells=k % 2 == 0) for k, case in enumerate(odd_sizes())
    ]
    found += [dataclasses.replace(case, cells=True) for case in odd_sizes()[::3]]
    found += [Case(90, batch, 5, 6, 2, resets_p=p, cells=True) for p in PROBABILITIES for batch in (1, 9, 40)]
    return [*found, Case(17, 40, 5, 264, 2, "previous", True, True, 0.2, resets_p=0.1, cells=True)]


@pytest.mark.parametrize("schedule", [None, "layerwise"])
@pytest.mark.parametrize("case", cases(), ids=str)
def test_float64_agrees_with_the_reference(case: Case, schedule: str | None) -> None:
    check_float64(dataclasses.replace(case, schedule=schedule))


@pytest.mark.parametrize("batch", [1, 3, 17])
@pytest.mark.parametrize("p", PROBABILITIES)
def test_the_batched_schedule_agrees_with_the_reference(p: float, batch: int) -> None:
    """It does not take what would leave its lanes idle."""
    for seed in range(3):
        case = Case(
            40, batch, 5, 8, 4, "previous", dropout_p=0.3, resets_p=p, seed=seed, schedule="batched", cells=True
        )
        with contextlib.nullcontext() if batch == 17 else contextlib.suppress(ValueError):
            check_float64(case)


def test_the_batched_schedule_takes_no_resets_that_leave_half_of_its_lanes_idle() -> None:
    case = Case(40, 1, 5, 8, 4, schedule="batched")
    resets = torch.arange(40).unsqueeze(1) > 20
    with pytest.raises(ValueError, match="in training no resets that leave half of its lanes idle"):
        residual_lstm(*case.tensors(), schedule="batched", resets=resets)


@torch.no_grad()
@pytest.mark.parametrize("schedule", resblock.ops.schedules("cpu"))
@pytest.mark.parametrize("case", cases()[::2], ids=str)
def test_inference_agrees_with_the_reference(case: Case, schedule: str) -> None:
    case = dataclasses.replace(case, schedule=schedule)
    if not case.is_taken_by(schedule):
        return
    tensors = case.tensors()
    assert all(error(a, e) < tolerances.DOUBLE for a, e in zip(case.run(tensors), case.reference(tensors), strict=True))


@pytest.mark.parametrize("chunks", [2, 5, 100])
@pytest.mark.parametrize(
    "case",
    [
        Case(13, 17, 5, 6, 5, with_lengths=True, dropout_p=0.3, resets_p=0.2, cells=True),
        Case(7, 3, 5, 33, 4, "previous", with_lengths=True, resets_p=0.9, cells=True),
        Case(40, 1, 18, 8, 6, resets_p=0.2),
        Case(0, 2, 5, 8, 3, resets_p=0.2, cells=True),
        Case(5, 0, 5, 8, 3, resets_p=0.2, cells=True),
    ],
    ids=str,
)
def test_training_in_chunks_agrees_with_the_reference(case: Case, chunks: int) -> None:
    check_float64(case, chunks)


@pytest.mark.parametrize("chunks", [0, 3])
@pytest.mark.parametrize("batch", [4, 20])
@pytest.mark.parametrize("units", [8, 33])
def test_packed_rows_give_what_padded_ones_do(units: int, batch: int, chunks: int) -> None:
    case = Case(20, batch, 5, units, 4, with_lengths=True, dropout_p=0.3, resets_p=0.2, cells=True)
    tensors, lengths = case.tensors(), case.lengths

    def pack(padded: Tensor) -> Tensor:
        return pack_padded_sequence(padded, lengths, enforce_sorted=False).data

    packed = pack_padded_sequence(tensors[0], lengths, enforce_sorted=False)
    found = residual_lstm(
        packed.data,
        *tensors[1:],
        dropout_p=case.dropout_p,
        dropout_seed=case.dropout_seed,
        checkpoint_chunks=chunks,
        batch_sizes=packed.batch_sizes,
        order=packed.sorted_indices,
        resets=pack(case.resets),
        return_cells=True,
    )
    output, *states, cells = case.run(tensors, chunks)
    expected = (pack(output), *states, torch.stack([pack(layer) for layer in cells]))
    assert all(torch.equal(a, e) for a, e in zip(found, expected, strict=True))
    for a, e in zip(gradients(found, tensors), gradients(expected, tensors), strict=True):
        assert error(a, e) < tolerances.DOUBLE_GRADIENT


def in_pieces(case: Case, tensors: list[Tensor]) -> tuple[Tensor, ...]:
    """Call the operator for each part of a sequence between two resets."""
    x, *weights, h_0, c_0 = tensors
    outputs, ends, cells = [], [], []
    for b in range(case.batch):
        steps = case.steps if case.lengths is None else int(case.lengths[b])
        begins = [t for t in range(1, steps) if case.resets[t, b]]
        state = (h_0[:, b : b + 1], c_0[:, b : b + 1])
        parts, of_cells = [x.new_zeros(0, 1, case.units)], [x.new_zeros(case.layers, 0, 1, case.units)]
        for begin, end in zip([0, *begins], [*begins, steps], strict=True):
            if begin < steps and case.resets[begin, b]:
                state = (torch.zeros_like(state[0]), torch.zeros_like(state[1]))
            options = {"residual": case.residual, "output_peephole": case.output_peephole, "return_cells": True}
            part, *state, of_part = residual_lstm(x[begin:end, b : b + 1], *weights, *state, **options)
            parts.append(part)
            of_cells.append(of_part)
        after = case.steps - steps
        outputs.append(torch.cat([*parts, x.new_zeros(after, 1, case.units)]))
        cells.append(torch.cat([*of_cells, x.new_zeros(case.layers, after, 1, case.units)], 1))
        ends.append(state)
    h_n, c_n = (torch.cat(states, 1) for states in zip(*ends, strict=True))
    return torch.cat(outputs, 1), h_n, c_n, torch.cat(cells, 2)


@settings(deadline=None, max_examples=60)
@given(
    steps=st.integers(0, 40),
    batch=st.integers(1, 20),
    units=st.sampled_from([1, 3, 6, 8, 17, 33]),
    layers=st.integers(1, 5),
    p=st.sampled_from([0.02, 0.1, 0.3, 0.9, 1.0]),
    with_lengths=st.booleans(),
    seed=st.integers(0, 10**6),
)
def test_a_call_is_separate_calls_on_the_pieces(
    steps: int, batch: int, units: int, layers: int, p: float, with_lengths: bool, seed: int
) -> None:
    output_peephole = ("current", "previous")[seed % 2]
    case = Case(
        steps, batch, 3, units, layers, output_peephole, with_lengths=with_lengths, seed=seed, resets_p=p, cells=True
    )
    tensors = case.tensors()
    found, expected = case.run(tensors), in_pieces(case, tensors)
    assert all(error(a, e) < tolerances.DOUBLE for a, e in zip(found, expected, strict=True))
    for name, a, e in zip(NAMES, gradients(found, tensors), gradients(expected, tensors), strict=True):
        assert error(a, e) < tolerances.DOUBLE_GRADIENT, name


@torch.no_grad()
@pytest.mark.parametrize("layers", [1, 2, 3])
def test_the_cells_of_torch_run_piece_by_piece(layers: int) -> None:
    """An oracle that nobody here wrote: torch.nn.LSTM, where peepholes are zero and there are no shortcuts."""
    torch.manual_seed(layers)
    theirs = nn.LSTM(5, 7, layers)
    ours = resblock.ResidualLSTM.from_torch(theirs)
    x, resets = torch.randn(30, 4, 5), torch.rand(30, 4) < 0.15
    h_0, c_0 = torch.randn(2, layers, 4, 7)
    output, (h_n, c_n), cells = ours(x, (h_0, c_0), resets=resets, return_cells=True)
    state = (h_0, c_0)
    for t in range(30):  # as training loops of reinforcement learning do
        going_on = (~resets[t]).float().view(1, -1, 1)
        expected, state = theirs(x[t : t + 1], (going_on * state[0], going_on * state[1]))
        assert error(output[t], expected[0]) < tolerances.TORCH_LSTM_FLOAT32
        assert error(cells[:, t], state[1]) < tolerances.TORCH_LSTM_FLOAT32
    assert error(h_n, state[0]) < tolerances.TORCH_LSTM_FLOAT32
    assert error(c_n, state[1]) < tolerances.TORCH_LSTM_FLOAT32


@pytest.mark.parametrize("units", [8, 33])
def test_nothing_goes_past_a_reset(units: int) -> None:
    case = Case(6, 3, 4, units, 4)
    tensors, resets = case.tensors(), torch.zeros(6, 3, dtype=torch.bool)
    resets[0, 0] = resets[3, 1] = True
    output, h_n, _ = residual_lstm(*tensors, resets=resets)
    x, *_, h_0, c_0 = torch.autograd.grad(output[3:].sum() + h_n.sum(), tensors)
    assert not h_0[:, 0].any()
    assert not c_0[:, 0].any()
    assert not x[:3, 1].any()
    assert not h_0[:, 1].any()
    assert x[3:, 1].any()
    assert h_0[:, 2].any()


def test_resets_that_change_nothing() -> None:
    """Nowhere, or past the lengths: the same bits as without, and nothing more is saved."""
    case = Case(30, 5, 4, 8, 4, with_lengths=True)
    tensors = case.tensors(torch.float32)
    past = torch.arange(30).unsqueeze(1) >= case.lengths
    for resets in (past, torch.zeros_like(past)):
        expected, found = case.run(tensors), residual_lstm(*tensors, case.lengths, resets=resets)
        assert all(torch.equal(a, e) for a, e in zip(found, expected, strict=True))
        pairs = zip(gradients(found, tensors), gradients(expected, tensors), strict=True)
        assert all(torch.equal(a, e) for a, e in pairs)


@pytest.mark.parametrize("units", [8, 40])
def test_infinite_weights_meet_zeros_of_resets_as_those_of_initial_states(units: int) -> None:
    case = Case(4, 3, 4, units, 2, resets_p=0.5)
    *tensors, h_0, c_0 = [t.detach() for t in case.tensors(torch.float32)]
    tensors[3][0, 0, 0] = torch.inf
    resets = torch.ones(4, 3, dtype=torch.bool)
    nowhere = torch.zeros(()).expand_as(h_0)
    assert not residual_lstm(*tensors, nowhere, nowhere, resets=resets)[0].isnan().any()
    assert residual_lstm(*tensors, h_0, c_0, resets=resets)[0].isnan().any()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_types_store_in_half_and_compute_in_float32(dtype: torch.dtype) -> None:
    case = Case(9, 5, 18, 8, 4, resets_p=0.2, cells=True)
    halves = case.tensors(dtype)
    exact = [t.detach().double().requires_grad_() for t in halves]
    actual, expected = case.run(halves), case.reference(exact)
    pairs = [*zip(actual, expected, strict=True)]
    pairs += zip(gradients(actual, halves), gradients(expected, exact), strict=True)
    for a, e in pairs:
        assert a.dtype == dtype
        assert error(a, e) < tolerances.HALF[dtype]


def test_autocast_runs_in_the_type_of_the_region() -> None:
    case = Case(9, 5, 18, 8, 4, resets_p=0.2, cells=True)
    tensors = case.tensors(torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = case.run(tensors)
    expected = case.run([t.bfloat16() for t in tensors])
    assert all(torch.equal(a, e) and a.dtype == torch.bfloat16 for a, e in zip(found, expected, strict=True))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_compile_makes_one_graph() -> None:
    for p in (0.02, 0.5):
        case = Case(40, 3, 5, 8, 4, with_lengths=True, resets_p=p, cells=True)
        tensors = case.tensors(torch.float32)
        compiled = torch.compile(residual_lstm, fullgraph=True)
        actual = compiled(*tensors, case.lengths, resets=case.resets, return_cells=True)
        expected = case.run(tensors)
        assert all(torch.equal(a, e) for a, e in zip(actual, expected, strict=True))
        for a, e in zip(gradients(actual, tensors), gradients(expected, tensors), strict=True):
            assert torch.equal(a, e)


def test_cells_that_nobody_asks_for_are_not_there() -> None:
    case = Case(5, 3, 5, 8, 3)
    arguments = case.operator_arguments(case.tensors())
    assert torch.ops.resblock.residual_lstm(*arguments)[3] is None
    assert len(case.run(case.tensors())) == 3
