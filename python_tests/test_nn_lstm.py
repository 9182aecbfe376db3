"""ResidualLSTM as a module: called like torch.nn.LSTM, and equal to it where both can be."""

from __future__ import annotations

import copy
import io
import pickle

import pytest
import tolerances
import torch
from tolerances import error
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pack_sequence, pad_packed_sequence

from resblock import ResidualLSTM


def twin(layers: int = 3, **options: object) -> tuple[nn.LSTM, ResidualLSTM]:
    torch.manual_seed(layers)
    lstm = nn.LSTM(7, 10, layers, **options)
    return lstm, ResidualLSTM.from_torch(lstm)


def state(layers: int, batch: int, units: int = 10) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(layers, batch, units), torch.randn(layers, batch, units)


@pytest.mark.parametrize("layers", [1, 2, 5])
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_equals_torch_lstm_without_peepholes_and_additions(layers: int, batch_first: bool, bias: bool) -> None:
    lstm, ours = twin(layers, batch_first=batch_first, bias=bias)
    x, initial = torch.randn(12, 40, 7), state(layers, 12 if batch_first else 40)
    for arguments in ((x,), (x, initial)):
        expected, (h, c) = lstm(*arguments)
        actual, (h_n, c_n) = ours(*arguments)
        for a, e in ((actual, expected), (h_n, h), (c_n, c)):
            assert a.shape == e.shape
            assert error(a, e) < tolerances.TORCH_LSTM_FLOAT32


def test_gradients_equal_those_of_torch_lstm() -> None:
    lstm, ours = twin(3)
    x = torch.randn(12, 5, 7)
    lstm(x)[0].square().sum().backward()
    ours(x)[0].square().sum().backward()
    theirs = dict(lstm.named_parameters())
    found = {name: error(p.grad, theirs[name].grad) for name, p in ours.named_parameters()}
    assert len(found) == 9
    assert max(found.values()) < tolerances.TORCH_LSTM_FLOAT32, found


def test_many_sequences_are_computed_as_few() -> None:
    """States of so many go past the caches, but for those of the last few, which fill no vector."""
    torch.manual_seed(6)
    lstm, x = ResidualLSTM(3, 8, 60), torch.randn(2, 4_404, 3)
    states = [torch.randn(60, 4_404, 8, requires_grad=True) for _ in range(2)]
    output, (h_n, c_n) = lstm(x, (states[0], states[1]))
    found = (output, h_n, c_n, *torch.autograd.grad(output.sum() + h_n.sum() + c_n.sum(), states))
    for part in torch.arange(4_404).split(1_000):
        few = [s.detach()[:, part].requires_grad_() for s in states]
        output, (h_n, c_n) = lstm(x[:, part], (few[0], few[1]))
        expected = (output, h_n, c_n, *torch.autograd.grad(output.sum() + h_n.sum() + c_n.sum(), few))
        assert all(torch.equal(a[:, part], b) for a, b in zip(found, expected, strict=True))


def test_one_sequence_without_batch() -> None:
    lstm, ours = twin(2)
    x, (h, c) = torch.randn(9, 7), state(2, 1)
    for initial in (None, (h[:, 0], c[:, 0])):
        expected, expected_state = lstm(x, initial)
        actual, actual_state = ours(x, initial)
        assert actual.shape == expected.shape == (9, 10)
        for a, e in zip((actual, *actual_state), (expected, *expected_state), strict=True):
            assert a.shape == e.shape
            assert error(a, e) < tolerances.TORCH_LSTM_FLOAT32


@pytest.mark.parametrize("enforce_sorted", [True, False])
def test_packed_sequence_in_packed_sequence_out(enforce_sorted: bool) -> None:
    lstm, ours = twin(2)
    lengths = [9, 6, 6, 1] if enforce_sorted else [6, 1, 9, 6]
    packed = pack_sequence([torch.randn(n, 7) for n in lengths], enforce_sorted=enforce_sorted)
    initial = state(2, 4)
    expected, (h, c) = lstm(packed, initial)
    actual, (h_n, c_n) = ours(packed, initial)
    assert error(actual.data, expected.data) < tolerances.TORCH_LSTM_FLOAT32
    assert torch.equal(actual.batch_sizes, expected.batch_sizes)
    if not enforce_sorted:
        assert torch.equal(actual.sorted_indices, expected.sorted_indices)
    for a, e in ((h_n, h), (c_n, c), (pad_packed_sequence(actual)[0], pad_packed_sequence(expected)[0])):
        assert error(a, e) < tolerances.TORCH_LSTM_FLOAT32


def test_lengths_are_packed_sequences_without_packing() -> None:
    lstm, ours = twin(3)
    x, lengths = torch.randn(8, 4, 7), torch.tensor([3, 8, 1, 8])
    expected, (h, c) = lstm(pack_padded_sequence(x, lengths, enforce_sorted=False))
    actual, (h_n, c_n) = ours(x, lengths=lengths)
    pairs = ((actual, pad_packed_sequence(expected)[0]), (h_n, h), (c_n, c))
    assert all(error(a, e) < tolerances.TORCH_LSTM_FLOAT32 for a, e in pairs)


def test_to_torch_and_back() -> None:
    lstm, ours = twin(4, dropout=0.25, batch_first=True)
    again = ResidualLSTM.from_torch(ours.to_torch())
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), again.parameters(), strict=True))
    assert (again.dropout, again.batch_first) == (0.25, True)
    x = torch.randn(3, 6, 7)
    assert error(ours.eval().to_torch()(x)[0], lstm.eval()(x)[0]) < tolerances.TORCH_LSTM_FLOAT32


def test_to_torch_refuses_what_torch_lacks() -> None:
    with pytest.raises(ValueError, match="peepholes are not zero"):
        ResidualLSTM(3, 4, 2).to_torch()
    with pytest.raises(ValueError, match="4 layers with residual=True"):
        ResidualLSTM(3, 4, 4, peephole=False).to_torch()
    zeroed = ResidualLSTM(3, 4, 3)
    for layer in range(3):
        nn.init.zeros_(getattr(zeroed, f"weight_peephole_l{layer}"))
    assert zeroed.to_torch().num_layers == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [({"num_layers": 2, "bidirectional": True}, "bidirectional with 2 layers"), ({"proj_size": 2}, "proj_size is 2")],
)
def test_from_torch_refuses_what_ours_lacks(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ResidualLSTM.from_torch(nn.LSTM(3, 4, **options))


def test_arguments_stand_where_torch_has_them() -> None:
    arguments = (3, 4, 2, False, True, 0.25, True, 0, "cpu", torch.float64)
    lstm, ours = nn.LSTM(*arguments), ResidualLSTM(*arguments)
    for name in ("num_layers", "batch_first", "dropout", "bidirectional", "proj_size"):
        assert getattr(ours, name) == getattr(lstm, name)
    assert ours.bias is lstm.bias is False
    assert ours.weight_hh_l1_reverse.dtype == torch.float64
    ours.flatten_parameters()


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize(
    "lengths", [[2, 6, 0, 1], torch.tensor([2, 6, 0, 1], dtype=torch.int32)], ids=["list", "int32"]
)
def test_lengths_are_any_whole_numbers_zero_among_them(lengths: object, bidirectional: bool) -> None:
    torch.manual_seed(4)
    ours = ResidualLSTM(3, 5, 4, bidirectional=bidirectional)
    x, (h, c) = torch.randn(6, 4, 3), state(8 if bidirectional else 4, 4, 5)
    x[2:, 0] = torch.nan
    output, (h_n, c_n) = ours(x, (h, c), lengths=lengths)
    assert not output[:, 2].any()
    assert torch.equal(h_n[:, 2], h[:, 2])
    assert torch.equal(c_n[:, 2], c[:, 2])
    for b, length in ((0, 2), (1, 6), (3, 1)):
        alone, (h_alone, _) = ours(x[:length, b], (h[:, b], c[:, b]))
        assert error(output[:length, b], alone) < tolerances.TORCH_LSTM_FLOAT32
        assert error(h_n[:, b], h_alone) < tolerances.TORCH_LSTM_FLOAT32
    with pytest.raises(TypeError, match=r"lengths are torch\.float32"):
        ours(x, lengths=[2.5, 6, 0, 1])


def test_gradients_of_a_sequence_without_steps_go_to_its_state() -> None:
    ours, (h, c) = ResidualLSTM(3, 5, 4), state(4, 3, 5)
    x, h, c = torch.randn(6, 3, 3, requires_grad=True), h.requires_grad_(), c.requires_grad_()
    output, (h_n, c_n) = ours(x, (h, c), lengths=[0, 6, 0])
    (output.sum() + h_n.sum() + 2 * c_n.sum()).backward()
    assert not x.grad[:, [0, 2]].any()
    assert (h.grad[:, [0, 2]] == 1).all()
    assert (c.grad[:, [0, 2]] == 2).all()


@pytest.mark.parametrize("bidirectional", [False, True])
def test_dropout_of_one_layer_warns_once(bidirectional: bool) -> None:
    with pytest.warns(UserWarning, match=r"dropout is 0\.5.*num_layers is 1") as warned:
        ResidualLSTM(3, 4, dropout=0.5, bidirectional=bidirectional)
    assert len(warned) == 1


@pytest.mark.parametrize("output_peephole", ["current", "previous"])
def test_output_peephole_changes_the_function(output_peephole: str) -> None:
    torch.manual_seed(1)
    default = ResidualLSTM(3, 4, 2)
    other = ResidualLSTM(3, 4, 2, output_peephole=output_peephole)
    other.load_state_dict(default.state_dict())
    x = torch.randn(5, 2, 3)
    assert torch.equal(default(x)[0], other(x)[0]) == (output_peephole == "current")


def test_copies_compute_the_same() -> None:
    module = ResidualLSTM(3, 8, 6, dropout=0.5, output_peephole="previous").eval()
    x = torch.randn(5, 2, 3)
    buffer = io.BytesIO()
    torch.save(module.state_dict(), buffer)
    buffer.seek(0)
    loaded = ResidualLSTM(3, 8, 6, dropout=0.5, output_peephole="previous").eval()
    loaded.load_state_dict(torch.load(buffer))
    for other in (copy.deepcopy(module), pickle.loads(pickle.dumps(module)), loaded):
        assert torch.equal(module(x)[0], other(x)[0])


def test_dropout_acts_in_training_only_and_follows_the_seed() -> None:
    module, x = ResidualLSTM(3, 8, 6, dropout=0.5), torch.randn(5, 2, 3)

    def run(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return module(x)[0]

    assert torch.equal(run(1), run(1))
    assert not torch.equal(run(1), run(2))
    module.eval()
    assert torch.equal(run(1), run(2))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_other_types(dtype: torch.dtype) -> None:
    torch.manual_seed(8)
    module, x = ResidualLSTM(3, 8, 4, dtype=dtype), torch.randn(5, 2, 3, dtype=dtype)
    output, states = module(x)
    expected, expected_states = copy.deepcopy(module).float()(x.float())
    tolerance = tolerances.HALF.get(dtype, tolerances.TORCH_LSTM_FLOAT32)
    for a, e in zip((output, *states), (expected, *expected_states), strict=True):
        assert a.dtype == dtype
        assert error(a, e) < tolerance


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: m(torch.zeros(5, 2, 4)), r"input has shape \(5, 2, 4\).*input_size = 3"),
        (lambda m: m(torch.zeros(3)), r"input has shape \(3,\)"),
        (lambda m: m(torch.zeros(5, 3), lengths=torch.tensor([5])), "single sequence"),
        (lambda m: m(pack_sequence([torch.zeros(5, 3)]), lengths=torch.tensor([5])), "PackedSequence"),
        (lambda m: ResidualLSTM(0, 4), "input_size is 0"),
        (lambda m: ResidualLSTM(3, 4, 0), "num_layers is 0"),
        (lambda m: ResidualLSTM(3, 4, proj_size=2), "proj_size is 2, expected 0"),
        (lambda m: m(pack_sequence([torch.zeros(5, 4)])), r"input is a PackedSequence .*\(4,\), expected \(3,\)"),
        (lambda m: m(pack_sequence([torch.zeros(5)])), r"input is a PackedSequence .*\(\), expected \(3,\)"),
        (
            lambda m: m(torch.zeros(5, 3), state(2, 1, 4)),
            r"h_0 has shape \(2, 1, 4\), expected 2 dimensions.*one sequence",
        ),
        (
            lambda m: m(torch.zeros(5, 3), (torch.zeros(2, 4), torch.zeros(2, 1, 4))),
            r"c_0 has shape \(2, 1, 4\), expected 2 dimensions",
        ),
        (lambda m: ResidualLSTM(3, 4, dropout=2), "dropout is 2"),
        (lambda m: ResidualLSTM(3, 4, 2, dropout=True), "dropout is True, expected a probability"),
        (lambda m: ResidualLSTM(3, 4, 2, dropout="0.5"), "dropout is '0.5', expected a probability"),
        (lambda m: ResidualLSTM(3, 4, output_peephole="now"), "output_peephole is 'now'"),
        (lambda m: ResidualLSTM(3, 4, checkpoint_chunks=-2), "checkpoint_chunks is -2"),
    ],
)
def test_mistakes_are_named(call: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(ResidualLSTM(3, 4, 2))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((3, 4.0), "hidden_size is 4.0, expected an int"),
        ((3.0, 4), "input_size is 3.0"),
        ((3, 4, "2"), "num_layers is '2'"),
        ((3, 4, 2, 0.5), "bias is 0.5, expected True or False"),
        ((3, 4, 2, True, 1), "batch_first is 1, expected True or False"),
        ((3, 4, 2, True, False, 0.5, 2), "bidirectional is 2"),
    ],
)
def test_arguments_of_another_type_are_refused(arguments: tuple[object, ...], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        ResidualLSTM(*arguments)


def test_a_batch_of_no_sequences() -> None:
    ours = ResidualLSTM(3, 4, 2, bidirectional=True)
    output, (h_n, c_n) = ours(torch.zeros(5, 0, 3), lengths=[])
    assert (output.shape, h_n.shape, c_n.shape) == ((5, 0, 8), (4, 0, 4), (4, 0, 4))


@pytest.mark.parametrize("bidirectional", [False, True])
def test_sequences_of_no_steps(bidirectional: bool) -> None:
    ours, (h, c) = ResidualLSTM(3, 4, 2, bidirectional=bidirectional), state(4 if bidirectional else 2, 3, 4)
    for lengths in (None, [0, 0, 0]):
        output, (h_n, c_n) = ours(torch.zeros(0, 3, 3), (h, c), lengths)
        assert output.shape == (0, 3, 8 if bidirectional else 4)
        assert torch.equal(h_n, h)
        assert torch.equal(c_n, c)


def test_repr_names_what_is_not_default() -> None:
    assert repr(ResidualLSTM(3, 4, 2)) == "ResidualLSTM(3, 4, num_layers=2)"
    options = {"bias": False, "batch_first": True, "dropout": 0.5, "peephole": False, "output_peephole": "previous"}
    options |= {"residual": False, "checkpoint_chunks": 3, "bidirectional": True, "stacked": True}
    named = ", ".join(f"{name}={value!r}" for name, value in options.items())
    assert ResidualLSTM(3, 4, 2, **options).extra_repr() == f"3, 4, num_layers=2, {named}"
