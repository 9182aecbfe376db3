"""AttentionPooling and ResAttnLSTM."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from resblock import AttentionPooling, ResAttnLSTM, ResAttnLSTMConfig
from resblock.errors import InputError
from resblock.files import write_container


def test_attention_is_the_weighted_sum_of_its_equation() -> None:
    torch.manual_seed(0)
    pooling, y = AttentionPooling(6, 4), torch.randn(5, 3, 6)
    score = torch.tanh(y @ pooling.project.weight.T + pooling.project.bias) @ pooling.score.weight[0]
    weights = torch.exp(score) / torch.exp(score).sum(0)
    torch.testing.assert_close(pooling.weights(y), weights)
    torch.testing.assert_close(pooling(y), (weights[..., None] * y).sum(0))


@pytest.mark.parametrize("batch_first", [False, True])
def test_attention_sees_valid_steps_only(batch_first: bool) -> None:
    pooling, y = AttentionPooling(6, batch_first=batch_first), torch.randn(5, 5, 6)
    lengths = torch.tensor([1, 5, 3, 2, 4])
    weights = pooling.weights(y, lengths)
    weights = weights.T if batch_first else weights
    torch.testing.assert_close(weights.sum(0), torch.ones(5))
    assert not weights[torch.arange(5)[:, None] >= lengths].any()
    one = y[2] if batch_first else y[:, 2]
    alone = AttentionPooling(6, batch_first=False)
    alone.load_state_dict(pooling.state_dict())
    torch.testing.assert_close(pooling(y, lengths)[2], alone(one[:3, None])[0])


@pytest.mark.parametrize("batch_first", [False, True])
def test_attention_over_nothing_gives_zeros(batch_first: bool) -> None:
    pooling = AttentionPooling(3, batch_first=batch_first)
    y = torch.randn((2, 4, 3) if batch_first else (4, 2, 3), requires_grad=True)
    pooled = pooling(y, [0, 3])
    assert not pooled[0].any()
    assert pooled[1].any()
    pooled.sum().backward()
    assert y.grad.isfinite().all()
    assert all(p.grad.isfinite().all() for p in pooling.parameters())


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
@pytest.mark.parametrize("batch_first", [False, True])
def test_attention_takes_nothing_from_padding(batch_first: bool, value: float) -> None:
    torch.manual_seed(1)
    pooling, lengths = AttentionPooling(3, batch_first=batch_first), torch.tensor([4, 1, 0])
    past_the_end = (
        (torch.arange(4).unsqueeze(1) >= lengths).T if batch_first else torch.arange(4).unsqueeze(1) >= lengths
    )
    clean = torch.randn((3, 4, 3) if batch_first else (4, 3, 3))
    results = []
    for padding in (0.0, value):
        y = clean.masked_fill(past_the_end.unsqueeze(-1), padding).requires_grad_()
        pooling.zero_grad()
        pooled = pooling(y, lengths)
        pooled.square().sum().backward()
        results.append((pooled, pooling.weights(y, lengths), y.grad, *(p.grad.clone() for p in pooling.parameters())))
    assert all(torch.equal(a, e) for a, e in zip(*results, strict=True))
    assert results[0][0][:2].all()


@pytest.mark.parametrize("lengths", [None, [0, 0]])
def test_attention_over_no_time_gives_zeros(lengths: list[int] | None) -> None:
    pooling, y = AttentionPooling(3), torch.zeros(0, 2, 3, requires_grad=True)
    pooled = pooling(y, lengths)
    assert torch.equal(pooled, torch.zeros(2, 3))
    pooled.sum().backward()
    assert not pooling.project.weight.grad.any()


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        ([5, 1], r"lengths\[0\] is 5, expected 0 to 4"),
        ([4, -1], r"lengths\[1\] is -1, expected 0 to 4"),
        ([4], r"lengths must be int64 of shape \(2,\), got .* of shape \(1,\)"),
        ([[4, 1]], "lengths must be int64 of shape"),
    ],
)
@pytest.mark.parametrize("batch_first", [False, True])
def test_attention_refuses_lengths_that_are_none(lengths: list[int], message: str, batch_first: bool) -> None:
    pooling = AttentionPooling(3, batch_first=batch_first)
    y = torch.randn((2, 4, 3) if batch_first else (4, 2, 3))
    for call in (pooling, pooling.weights):
        with pytest.raises(RuntimeError, match=f"^AttentionPooling: {message}"):
            call(y, lengths)


@pytest.mark.parametrize("attention", [True, False])
def test_a_sequence_without_steps_gets_the_logits_of_zeros(attention: bool) -> None:
    model = ResAttnLSTM(input_size=5, num_layers=4, attention=attention).eval()
    logits = model(torch.randn(7, 3, 5), [0, 7, 4])
    assert torch.equal(logits[0], model.head.bias)
    assert not torch.equal(logits[1], logits[0])
    for lengths in (None, [0, 0]):
        assert torch.equal(model(torch.zeros(0, 2, 5), lengths), model.head.bias.expand(2, 2))
    assert model(torch.zeros(4, 0, 5), []).shape == (0, 2)


def test_one_layer_has_no_dropout_to_warn_of(recwarn: pytest.WarningsRecorder) -> None:
    ResAttnLSTM(num_layers=1)
    assert not recwarn.list


def test_the_default_is_the_papers_network() -> None:
    model = ResAttnLSTM()
    assert (model.config.num_layers, model.config.hidden_size) == (60, 8)
    assert (model.config.input_dropout, model.config.dropout) == (0.15, 0.6)
    assert model(torch.randn(9, 4, 18)).shape == (4, 2)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("attention", [True, False])
def test_padding_changes_no_logit(attention: bool, bidirectional: bool) -> None:
    model = ResAttnLSTM(input_size=5, num_layers=4, attention=attention, bidirectional=bidirectional).eval()
    x, lengths = torch.randn(7, 3, 5), torch.tensor([2, 7, 4])
    logits = model(x, lengths)
    for b, length in enumerate(lengths):
        torch.testing.assert_close(logits[b : b + 1], model(x[:length, b : b + 1]))


@pytest.mark.parametrize("attention", [True, False])
@pytest.mark.parametrize("lengths", [None, [2, 0, 6, 6, 1, 3]])
def test_the_batch_may_come_first(attention: bool, lengths: list[int] | None) -> None:
    options = {"input_size": 5, "num_layers": 4, "attention": attention, "bidirectional": True}
    model, batch_first = ResAttnLSTM(**options).eval(), ResAttnLSTM(**options, batch_first=True).eval()
    batch_first.load_state_dict(model.state_dict())
    x = torch.randn(6, 6, 5)
    torch.testing.assert_close(batch_first(x, lengths), model(x.transpose(0, 1), lengths))
    if attention:
        weights = batch_first(x, lengths, need_weights=True)[1]
        torch.testing.assert_close(weights, model(x.transpose(0, 1), lengths, need_weights=True)[1].T)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_attention_weights_are_those_that_made_the_logits(bidirectional: bool) -> None:
    model = ResAttnLSTM(input_size=5, num_layers=4, bidirectional=bidirectional).eval()
    x, lengths = torch.randn(7, 3, 5), torch.tensor([2, 7, 0])
    logits, weights = model(x, lengths, need_weights=True)
    assert torch.equal(logits, model(x, lengths))
    torch.testing.assert_close(weights.sum(0), torch.tensor([1.0, 1.0, 0.0]))
    output, _ = model.lstm(x, lengths=lengths)
    torch.testing.assert_close(logits, model.head((weights.unsqueeze(-1) * output).sum(0)))
    with pytest.raises(ValueError, match="attention=False"):
        ResAttnLSTM(input_size=5, num_layers=2, attention=False)(x, need_weights=True)


def test_without_attention_the_head_sees_where_each_direction_ended() -> None:
    model = ResAttnLSTM(input_size=5, num_layers=2, bidirectional=True, attention=False).eval()
    x, lengths = torch.randn(7, 3, 5), torch.tensor([2, 7, 4])
    _, (h_n, _) = model.lstm(x, lengths=lengths)  # two layers have no residual connection: h_n is y
    torch.testing.assert_close(model(x, lengths), model.head(torch.cat([h_n[-2], h_n[-1]], 1)))


def test_every_parameter_learns() -> None:
    torch.manual_seed(0)
    model = ResAttnLSTM(num_layers=6)
    loss = torch.nn.functional.cross_entropy(model(torch.randn(9, 20, 18)), torch.randint(2, (20,)))
    loss.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_from_config_takes_a_dataclass_or_a_mapping() -> None:
    config = ResAttnLSTMConfig(num_layers=2, hidden_size=5, residual=False)
    assert ResAttnLSTM.from_config(config).config == config
    assert ResAttnLSTM.from_config({"num_layers": 2, "hidden_size": 5, "residual": False}).config == config
    with pytest.raises(InputError, match="'layers' is unknown"):
        ResAttnLSTM.from_config({"layers": 2})


@pytest.mark.parametrize("stacked", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_saved_and_loaded(tmp_path: Path, dtype: torch.dtype, stacked: bool) -> None:
    options = {"output_peephole": "previous", "bidirectional": True, "batch_first": True}
    model = ResAttnLSTM(num_layers=4, **options, stacked=stacked, dtype=dtype).eval()
    model.save(tmp_path / "weights.safetensors")
    loaded = ResAttnLSTM.load(tmp_path / "weights.safetensors").eval()
    assert loaded.config == model.config
    x = torch.randn(9, 4, 18, dtype=dtype)
    assert torch.equal(loaded(x), model(x))
    assert [p.name for p in tmp_path.iterdir()] == ["weights.safetensors"]


def test_files_that_are_not_weights(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    foreign = tmp_path / "foreign.safetensors"
    save_file({"x": torch.zeros(1)}, foreign)
    garbled = tmp_path / "garbled.safetensors"
    garbled.write_bytes(b"not a safetensors file")
    contradictory = tmp_path / "contradictory.safetensors"
    description = {"format": "resblock.ResAttnLSTM", "format_version": 1, "config": {"num_layers": 3}}
    write_container(contradictory, description, {"x": torch.zeros(1)})
    mixed = tmp_path / "mixed.safetensors"
    write_container(mixed, description, {"x": torch.zeros(1), "y": torch.zeros(1).double()})
    for path, message in (
        (foreign, "holds nothing, wanted resblock.ResAttnLSTM"),
        (contradictory, "do not fit"),
        (mixed, "do not fit"),
        (garbled, "no safetensors file"),
        (tmp_path / "absent.safetensors", "no such file"),
    ):
        with pytest.raises(InputError, match=message) as raised:
            ResAttnLSTM.load(path)
        assert str(path) in str(raised.value)
