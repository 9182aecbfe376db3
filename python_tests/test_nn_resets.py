"""ResidualLSTM with resets, and its cell states of every step, in every form of input."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from resblock import ResidualLSTM

LENGTHS = torch.tensor([6, 2, 5])


def made(**options: bool) -> tuple[ResidualLSTM, Tensor, Tensor]:
    torch.manual_seed(3)
    return ResidualLSTM(5, 4, 4, dtype=torch.float64, **options), torch.randn(6, 3, 5).double(), torch.rand(6, 3) < 0.4


def test_states_begin_as_in_loops_over_steps() -> None:
    lstm, x, resets = made()
    state = (torch.randn(4, 3, 4).double(), torch.randn(4, 3, 4).double())
    output, (h_n, c_n), cells = lstm(x, state, resets=resets, return_cells=True)
    assert cells.shape == (4, 6, 3, 4)
    for t in range(6):
        going_on = (~resets[t]).double()[:, None]
        expected, state = lstm(x[t : t + 1], (state[0] * going_on, state[1] * going_on))
        torch.testing.assert_close(output[t], expected[0])
        torch.testing.assert_close(cells[:, t], state[1])
    torch.testing.assert_close((h_n, c_n), tuple(state))


@pytest.mark.parametrize("with_lengths", [False, True])
def test_backwards_the_same_boundaries_count(with_lengths: bool) -> None:
    lstm, x, resets = made(bidirectional=True)
    lengths = LENGTHS if with_lengths else None
    state = (torch.randn(8, 3, 4).double(), torch.randn(8, 3, 4).double())
    output, (h_n, c_n), cells = lstm(x, state, lengths, resets=resets, return_cells=True)
    assert cells.shape == (8, 6, 3, 4)
    for b in range(3):
        steps = int(lengths[b]) if with_lengths else 6
        h, c = (s[:, b : b + 1] for s in state)
        for t in reversed(range(steps)):
            if t + 1 < steps and resets[t + 1, b]:
                h, c = torch.zeros_like(h), torch.zeros_like(c)
            expected, (h, c) = lstm(x[t : t + 1, b : b + 1], (h, c))
            torch.testing.assert_close(output[t, b, 4:], expected[0, 0, 4:])
            torch.testing.assert_close(cells[1::2, t, b], c[1::2, 0])
        torch.testing.assert_close(h_n[1::2, b], h[1::2, 0])
        torch.testing.assert_close(c_n[1::2, b], c[1::2, 0])
        assert not cells[:, steps:, b].any()
    ahead = ResidualLSTM(5, 4, 4, dtype=torch.float64)
    ahead.load_state_dict({k: v for k, v in lstm.state_dict().items() if not k.endswith("_reverse")})
    first, _, of_first = ahead(x, (state[0][::2], state[1][::2]), lengths, resets=resets, return_cells=True)
    torch.testing.assert_close(output[..., :4], first)
    torch.testing.assert_close(cells[::2], of_first)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_batch_first_and_single_sequences(bidirectional: bool) -> None:
    lstm, x, resets = made(bidirectional=bidirectional)
    output, _, cells = lstm(x, resets=resets, return_cells=True)
    lstm.batch_first = True
    turned, _, of_turned = lstm(x.transpose(0, 1), resets=resets.T, return_cells=True)
    torch.testing.assert_close(turned.transpose(0, 1), output)
    torch.testing.assert_close(of_turned.transpose(1, 2), cells)
    alone, _, of_alone = lstm(x[:, 1], resets=resets[:, 1], return_cells=True)
    torch.testing.assert_close(alone, output[:, 1])
    torch.testing.assert_close(of_alone, cells[:, :, 1])


@pytest.mark.parametrize("bidirectional", [False, True])
def test_packed_sequences(bidirectional: bool) -> None:
    lstm, x, resets = made(bidirectional=bidirectional)
    packed, of_resets = (pack_padded_sequence(t, LENGTHS, enforce_sorted=False) for t in (x, resets))
    found, states, cells = lstm(packed, resets=of_resets, return_cells=True)
    output, expected_states, expected_cells = lstm(x, lengths=LENGTHS, resets=resets, return_cells=True)
    torch.testing.assert_close(pad_packed_sequence(found)[0], output)
    torch.testing.assert_close(states, expected_states)
    for layer, expected in zip(cells, expected_cells, strict=True):
        torch.testing.assert_close(pad_packed_sequence(PackedSequence(layer, *found[1:]))[0], expected)


def test_gradients_reach_every_weight_through_cells_alone() -> None:
    lstm, x, resets = made(bidirectional=True)
    lstm(x, resets=resets, return_cells=True)[2].square().sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in lstm.parameters())


def test_nothing_to_run() -> None:
    lstm, x, resets = made(bidirectional=True)
    for cut in ((slice(0, 0), slice(None)), (slice(None), slice(0, 0))):
        output, _, cells = lstm(x[cut], resets=resets[cut], return_cells=True)
        assert output.numel() == cells.numel() == 0


@pytest.mark.parametrize(
    ("resets", "error", "message"),
    [
        (torch.ones(6, 3), TypeError, "resets are torch.float32, expected a tensor of torch.bool"),
        ([[True]], TypeError, "resets are list"),
        (torch.ones(6) > 0, ValueError, r"resets have shape \(6,\), expected 2 dimensions"),
        (torch.ones(3, 6) > 0, RuntimeError, r"resets must be bool of shape \(6, 3\), got .* of shape \(3, 6\)"),
    ],
)
def test_wrong_resets_are_named(resets: object, error: type[Exception], message: str) -> None:
    lstm, x, _ = made()
    with pytest.raises(error, match=message):
        lstm(x, resets=resets)


def test_resets_that_are_packed_otherwise() -> None:
    lstm, x, resets = made()
    packed = pack_padded_sequence(x, LENGTHS, enforce_sorted=False)
    with pytest.raises(TypeError, match="resets are no PackedSequence but the input is one"):
        lstm(packed, resets=resets)
    with pytest.raises(ValueError, match="resets are packed otherwise than the input"):
        lstm(packed, resets=pack_padded_sequence(resets, LENGTHS.flip(0), enforce_sorted=False))
    with pytest.raises(TypeError, match=r"resets are torch\.float64"):
        lstm(packed, resets=pack_padded_sequence(resets.double(), LENGTHS, enforce_sorted=False))


def test_exported_with_free_time_and_batch() -> None:
    lstm, x, resets = made(bidirectional=True, batch_first=True)
    batch, time = torch.export.Dim("batch", min=2, max=100), torch.export.Dim("time", min=2, max=100)
    dynamic = {"input": {0: batch, 1: time}, "resets": {0: batch, 1: time}, "return_cells": None}
    arguments = {"input": x.transpose(0, 1).contiguous(), "resets": resets.T.contiguous(), "return_cells": True}
    program = torch.export.export(lstm.eval(), (), arguments, dynamic_shapes=dynamic).module()
    x, resets = torch.randn(4, 9, 5).double(), torch.rand(4, 9) < 0.3
    found = program(input=x, resets=resets, return_cells=True)
    torch.testing.assert_close(found, lstm(x, resets=resets, return_cells=True))


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning")
def test_traced() -> None:
    lstm, x, resets = made(bidirectional=True)

    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = lstm

        def forward(self, x: Tensor, resets: Tensor) -> tuple[Tensor, Tensor]:
            output, _, cells = self.lstm(x, resets=resets, return_cells=True)
            return output, cells

    traced = torch.jit.trace(Network(), (x, resets))
    x, resets = torch.randn(9, 4, 5).double(), torch.rand(9, 4) < 0.3
    output, cells = traced(x, resets)
    expected, _, expected_cells = lstm(x, resets=resets, return_cells=True)
    assert torch.equal(output, expected)
    assert torch.equal(cells, expected_cells)
    pairs = zip(
        torch.autograd.grad(cells.sum() + output.sum(), list(lstm.parameters())),
        torch.autograd.grad(expected_cells.sum() + expected.sum(), list(lstm.parameters())),
        strict=True,
    )
    assert all(torch.equal(a, e) for a, e in pairs)
