"""State dicts of the other form, of 0.1.0 and of torch.nn.LSTM, read by the layer alone and inside a network."""

from __future__ import annotations

import pytest
import tolerances
import torch
from tolerances import error
from torch import Tensor, nn

from resblock import ResidualLSTM

State = dict[str, Tensor]
X = torch.linspace(-2, 2, 6 * 4 * 3).view(6, 4, 3)


class Network(nn.Module):
    """Holds a layer two modules deep."""

    def __init__(self, lstm: nn.Module) -> None:
        super().__init__()
        self.body = nn.ModuleDict({"lstm": lstm})

    def forward(self, x: Tensor) -> object:
        return self.body["lstm"](x)


@pytest.fixture(params=["", "body.lstm."], ids=["alone", "nested"])
def prefix(request: pytest.FixtureRequest) -> str:
    return request.param


def held(lstm: nn.Module, prefix: str) -> nn.Module:
    return Network(lstm) if prefix else lstm


def prefixed(state: State, prefix: str) -> State:
    return {prefix + name: tensor for name, tensor in state.items()}


def of_0_1_0(lstm: ResidualLSTM) -> State:
    """Give a stacked layer's state dict as 0.1.0 wrote it."""
    ends = ("", "_reverse") if lstm.bidirectional else ("",)
    given = {name: p for name, p in lstm.state_dict().items() if not name.endswith("_reverse")}
    given |= {f"reverse.{n.removesuffix('_reverse')}": p for n, p in lstm.state_dict().items() if n not in given}
    if lstm.num_layers == 1:
        units = lstm.hidden_size
        given |= {"reverse." * bool(end) + "weight_ih": torch.zeros(0, 4 * units, units) for end in ends}
    return given


FORMS = [(False, True), (True, False)]  # whether those that are saved are stacked, and whether those that read are


@pytest.mark.parametrize(("saved", "read"), FORMS, ids=["layers to stacked", "stacked to layers"])
@pytest.mark.parametrize("assign", [False, True])
@pytest.mark.parametrize(
    "options",
    [
        {"num_layers": 1},
        {"num_layers": 5, "bidirectional": True},
        {"num_layers": 1, "bidirectional": True, "bias": False},
        {"num_layers": 4, "peephole": False},
    ],
    ids=str,
)
def test_each_form_reads_the_other(
    prefix: str, saved: bool, read: bool, assign: bool, options: dict[str, object]
) -> None:
    given = held(ResidualLSTM(3, 4, stacked=saved, **options), prefix)
    reader = held(ResidualLSTM(3, 4, stacked=read, **options, device="meta" if assign else None), prefix)
    state = given.state_dict(keep_vars=True)
    names = list(state)
    assert str(reader.load_state_dict(state, assign=assign)) == "<All keys matched successfully>"
    assert list(state) == names
    assert torch.equal(given(X)[0], reader(X)[0])
    parameters = list(reader.parameters())
    assert all(p.is_leaf and p.requires_grad for p in parameters)
    assert len({p.untyped_storage().data_ptr() for p in parameters}) == len(parameters)
    reader(X)[0].sum().backward()
    assert all(p.grad is not None for p in parameters)


@pytest.mark.parametrize("stacked", [False, True])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("layers", [1, 4])
def test_those_of_0_1_0_are_read(prefix: str, stacked: bool, bidirectional: bool, layers: int) -> None:
    given = ResidualLSTM(3, 4, layers, bidirectional=bidirectional, stacked=True)
    reader = held(ResidualLSTM(3, 4, layers, bidirectional=bidirectional, stacked=stacked), prefix)
    reader.load_state_dict(prefixed(of_0_1_0(given), prefix))
    assert torch.equal(given(X)[0], reader(X)[0])


@pytest.mark.parametrize("stacked", [False, True])
@pytest.mark.parametrize("options", [{"residual": False}, {"num_layers": 3}, {"num_layers": 2, "peephole": False}])
@pytest.mark.parametrize("bias", [False, True])
def test_those_of_torch_are_read(prefix: str, stacked: bool, options: dict[str, object], bias: bool) -> None:
    options = {"num_layers": 5, **options}
    theirs = held(nn.LSTM(3, 4, options["num_layers"], bias=bias), prefix)
    ours = held(ResidualLSTM(3, 4, bias=bias, stacked=stacked, **options), prefix)
    ours.load_state_dict(theirs.state_dict())
    assert error(ours(X)[0], theirs(X)[0]) < tolerances.TORCH_LSTM_FLOAT32


@pytest.mark.parametrize("stacked", [False, True])
def test_one_layer_of_torch_in_both_directions_is_read(prefix: str, stacked: bool) -> None:
    theirs = held(nn.LSTM(3, 4, bidirectional=True), prefix)
    ours = held(ResidualLSTM(3, 4, bidirectional=True, stacked=stacked, device="meta"), prefix)
    ours.load_state_dict(theirs.state_dict(), assign=True)
    assert error(ours(X)[0], theirs(X)[0]) < tolerances.TORCH_LSTM_FLOAT32


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("stacked", [False, True])
@pytest.mark.parametrize(
    ("options", "ours", "message"),
    [
        ({"num_layers": 4}, {}, "no residual connections; this stack of 4 layers has some"),
        ({"num_layers": 6}, {"peephole": False}, "no residual connections; this stack of 6 layers has some"),
        ({"num_layers": 4, "bias": False}, {"peephole": False}, "no residual connections"),
        ({"num_layers": 2, "bidirectional": True}, {}, "directions meet after each of its 2 layers"),
    ],
    ids=str,
)
def test_those_of_torch_that_compute_something_else_are_refused(
    prefix: str, strict: bool, stacked: bool, options: dict[str, object], ours: dict[str, object], message: str
) -> None:
    theirs = held(nn.LSTM(3, 4, **options), prefix)
    reader = held(ResidualLSTM(3, 4, stacked=stacked, **options, **ours), prefix)
    before = {name: tensor.clone() for name, tensor in reader.state_dict().items()}
    with pytest.raises(RuntimeError, match=f"{prefix.rstrip('.') or 'ResidualLSTM'}: weights of a .*{message}") as told:
        reader.load_state_dict(theirs.state_dict(), strict=strict)
    assert "Missing" not in str(told.value)
    assert all(torch.equal(tensor, before[name]) for name, tensor in reader.state_dict().items())


@pytest.mark.parametrize("stacked", [False, True])
def test_own_weights_without_peepholes_are_not_taken_for_torchs(stacked: bool) -> None:
    given = ResidualLSTM(3, 4, 6, bias=False, peephole=False)
    reader = ResidualLSTM(3, 4, 6, bias=False, peephole=False, stacked=stacked)
    for state in (given.state_dict(), dict(given.state_dict())):
        reader.load_state_dict(state)
        assert torch.equal(given(X)[0], reader(X)[0])


def test_absent_peepholes_are_zeros_only_where_the_function_is_certain() -> None:
    for layers, options in ((3, {}), (6, {"residual": False})):
        given = ResidualLSTM(3, 4, layers, peephole=False, **options)
        reader = ResidualLSTM(3, 4, layers, **options)
        reader.load_state_dict(given.state_dict())
        assert torch.equal(given(X)[0], reader(X)[0])
    with pytest.raises(RuntimeError, match=r"Missing key.*weight_peephole_l0"):
        ResidualLSTM(3, 4, 6).load_state_dict(ResidualLSTM(3, 4, 6, peephole=False).state_dict())
    part = {"weight_hh_l0": torch.zeros(16, 4)}
    reader = ResidualLSTM(3, 4, 2)
    before = reader.weight_peephole_l0.detach().clone()
    missing, unexpected = reader.load_state_dict(part, strict=False)
    assert torch.equal(reader.weight_peephole_l0, before)
    assert not reader.weight_hh_l0.any()
    assert len(missing) == 7
    assert not unexpected


def keys(reader: nn.Module, state: State) -> tuple[set[str], set[str]]:
    missing, unexpected = reader.load_state_dict(state, strict=False)
    return set(missing), set(unexpected)


def test_what_is_missing_and_unexpected_has_names_that_are_known(prefix: str) -> None:
    def network(**options: object) -> nn.Module:
        return held(ResidualLSTM(3, 4, **{"num_layers": 3, **options}), prefix)

    def named(*names: str) -> set[str]:
        return {prefix + name for name in names}

    everything = set(network().state_dict())
    assert keys(network(), {}) == (everything, set())
    # Layers that only one side has.
    deeper = {name for name in network(num_layers=4).state_dict() if "_l3" in name}
    assert keys(network(), network(num_layers=4, stacked=True).state_dict()) == (set(), deeper)
    assert keys(network(num_layers=4), network(stacked=True).state_dict()) == (deeper, set())
    with pytest.raises(RuntimeError, match=r"size mismatch for .*weight_hh: .*\[3, 16, 4\].*\[4, 16, 4\]"):
        network(num_layers=4, stacked=True).load_state_dict(network().state_dict())
    # A direction, or a kind of weight, that only the file has, under the names of the file.
    state = of_0_1_0(ResidualLSTM(3, 4, 3, bidirectional=True, stacked=True))
    backward = {prefix + name for name in state if name.startswith("reverse.")}
    assert keys(network(), prefixed(state, prefix)) == (set(), backward)
    assert keys(network(bias=False), network(stacked=True).state_dict()) == (set(), named("bias"))
    theirs = prefixed(nn.LSTM(3, 4, 3).state_dict(), prefix)
    biases = {name for name in theirs if "bias" in name}
    assert keys(network(bias=False), theirs) == (set(), biases)
    # A gap among the layers, and what is no weight at all.
    gap = {name: tensor for name, tensor in network().state_dict().items() if "weight_hh_l0" not in name}
    left = named("weight_hh_l1", "weight_hh_l2")
    assert keys(network(stacked=True), gap) == (named("weight_hh"), left)
    assert keys(network(), network().state_dict() | prefixed({"scale": torch.ones(1)}, prefix))[1] == named("scale")
    with pytest.raises(RuntimeError, match=r"size mismatch for .*weight_ih_l0: .*\[16, 5\].*\[16, 3\]"):
        network().load_state_dict(held(ResidualLSTM(5, 4, 3, stacked=True), prefix).state_dict())


def test_names_of_both_forms_at_once_are_not_mixed() -> None:
    layers, stacked = ResidualLSTM(3, 4, 2), ResidualLSTM(3, 4, 2, stacked=True)
    both = layers.state_dict() | {"weight_hh": stacked.weight_hh}
    for reader, name in ((ResidualLSTM(3, 4, 2), "weight_hh"), (ResidualLSTM(3, 4, 2, stacked=True), "weight_hh_l0")):
        with pytest.raises(RuntimeError, match=f'Unexpected key.*"{name}"'):
            reader.load_state_dict(both)


def test_parametrised_weights_are_read_by_what_wrote_them(prefix: str) -> None:
    def network() -> nn.Module:
        lstm = ResidualLSTM(3, 4, 3)
        nn.utils.parametrizations.spectral_norm(lstm, "weight_hh_l1")
        return held(lstm, prefix).eval()

    given, reader = network(), network()
    reader.load_state_dict(given.state_dict())
    assert torch.equal(given(X)[0], reader(X)[0])


@pytest.mark.parametrize("stacked", [False, True])
def test_torch_reads_what_to_torch_gives_and_refuses_the_rest(stacked: bool) -> None:
    ours = ResidualLSTM(3, 4, 3, peephole=False, stacked=stacked)
    theirs = nn.LSTM(3, 4, 3)
    theirs.load_state_dict(ours.to_torch().state_dict())
    assert error(ours(X)[0], theirs(X)[0]) < tolerances.TORCH_LSTM_FLOAT32
    with pytest.raises(RuntimeError, match="bias_hh_l0"):
        theirs.load_state_dict(ours.state_dict())
    with pytest.raises(RuntimeError, match="weight_peephole"):
        theirs.load_state_dict(ResidualLSTM(3, 4, 3, stacked=stacked).state_dict())
