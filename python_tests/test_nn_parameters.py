"""What people write over `named_parameters()`, for the layer alone and inside a network."""

from __future__ import annotations

import copy
import pickle
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import prune

from resblock import ResAttnLSTM, ResidualLSTM

LAYERS, UNITS, INPUTS = 5, 6, 3


def alone() -> nn.Module:
    return ResidualLSTM(INPUTS, UNITS, LAYERS)


def both_ways() -> nn.Module:
    return ResidualLSTM(INPUTS, UNITS, LAYERS, bidirectional=True)


def nested() -> nn.Module:
    return ResAttnLSTM(
        input_size=INPUTS, hidden_size=UNITS, num_layers=LAYERS, num_classes=UNITS, dropout=0.0, input_dropout=0.0
    )


def lstm_of(network: nn.Module) -> ResidualLSTM:
    return network if isinstance(network, ResidualLSTM) else network.lstm


def run(network: nn.Module) -> Tensor:
    output = network(torch.linspace(-2, 2, 7 * 2 * INPUTS).view(7, 2, INPUTS))
    return output[0] if isinstance(output, tuple) else output


@pytest.fixture(params=[alone, both_ways, nested], ids=lambda make: make.__name__)
def network(request: pytest.FixtureRequest) -> nn.Module:
    torch.manual_seed(3)
    return request.param()


def weights(network: nn.Module) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
    """Input weights, recurrent weights, bias and peepholes of every layer and direction, as they are computed with."""
    for layer in lstm_of(network).all_weights:
        yield tuple(weight.detach() for weight in layer)


def orthogonal(network: nn.Module) -> bool:
    for name, p in network.named_parameters():
        if re.search(r"weight_hh", name):
            nn.init.orthogonal_(p)
    return all(torch.allclose(hh.T @ hh, torch.eye(UNITS), atol=1e-5) for _, hh, _, _ in weights(network))


def orthogonal_by_gate(network: nn.Module) -> bool:
    with torch.no_grad():
        for name, p in network.named_parameters():
            if "weight_hh" in name:
                for gate in p.chunk(4):
                    nn.init.orthogonal_(gate)
    gates = [gate for _, hh, _, _ in weights(network) for gate in hh.chunk(4)]
    return all(torch.allclose(gate.T @ gate, torch.eye(UNITS), atol=1e-5) for gate in gates)


def xavier(network: nn.Module) -> bool:
    for name, p in network.named_parameters():
        if "weight_ih" in name:
            nn.init.xavier_uniform_(p)
    # The bound of each matrix follows from its own sizes; 72 uniform numbers come near to it.
    bounds = [(6 / sum(ih.shape)) ** 0.5 for ih, *_ in weights(network)]
    found = [float(ih.abs().max()) for ih, *_ in weights(network)]
    return all(0.8 * bound < most <= bound for most, bound in zip(found, bounds, strict=True))


def forget_biases(network: nn.Module) -> bool:
    for name, p in network.named_parameters():
        if "bias_ih" in name:
            n = p.size(0)
            p.data.zero_()[n // 4 : n // 2].fill_(2.0)
    wanted = torch.zeros(4, UNITS)
    wanted[1] = 2
    return all(torch.equal(bias, wanted.flatten()) for _, _, bias, _ in weights(network))


def decay_of_matrices(network: nn.Module) -> bool:
    lstm = lstm_of(network)
    groups = [
        {"params": [p for p in lstm.parameters() if (p.dim() >= 2) == decays], "weight_decay": 0.5 * decays}
        for decays in (True, False)
    ]
    before = [tuple(weight.clone() for weight in layer) for layer in weights(network)]
    for p in lstm.parameters():
        p.grad = torch.zeros_like(p)
    torch.optim.AdamW(groups, lr=1.0).step()
    return all(
        torch.allclose(new, old * (0.5 if new.dim() == 2 else 1.0))
        for after, given in zip(weights(network), before, strict=True)
        for new, old in zip(after, given, strict=True)
    )


def learning_rates_by_layer(network: nn.Module) -> bool:
    lstm = lstm_of(network)
    rates = {layer: 0.5**layer for layer in range(LAYERS)}
    groups = [
        {"params": [p for name, p in lstm.named_parameters() if f"_l{layer}" in name], "lr": rate}
        for layer, rate in rates.items()
    ]
    assert sum(len(group["params"]) for group in groups) == len(list(lstm.parameters()))
    before = [layer[1].clone() for layer in weights(network)]
    for p in lstm.parameters():
        p.grad = torch.ones_like(p)
    torch.optim.SGD(groups).step()
    moved = [old - new[1] for old, new in zip(before, weights(network), strict=True)]
    return all(
        torch.allclose(step, torch.tensor(rates[k * LAYERS // len(moved)]), atol=1e-6) for k, step in enumerate(moved)
    )


def muon(network: nn.Module) -> bool:
    matrices = [p for name, p in network.named_parameters() if "weight_ih" in name or "weight_hh" in name]
    before = [p.detach().clone() for p in matrices]
    for p in matrices:
        p.grad = torch.randn_like(p)
    torch.optim.Muon(matrices, lr=0.1, weight_decay=0.0).step()
    # Each step is near an orthogonal matrix: all its singular values are about the same.
    steps = [torch.linalg.svdvals(old - p.detach()) for old, p in zip(before, matrices, strict=True)]
    return all(float(values[0] / values[-1]) < 3 for values in steps)


def adafactor(network: nn.Module) -> bool:
    before = [p.detach().clone() for p in network.parameters()]
    run(network).square().sum().backward()
    norm = nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    torch.optim.Adafactor(network.parameters()).step()
    moved = [not torch.equal(p, old) for p, old in zip(network.parameters(), before, strict=True)]
    return bool(norm.isfinite()) and all(moved)


IDIOMS = [
    orthogonal,
    orthogonal_by_gate,
    xavier,
    forget_biases,
    decay_of_matrices,
    learning_rates_by_layer,
    muon,
    adafactor,
]


@pytest.mark.parametrize("idiom", IDIOMS, ids=lambda idiom: idiom.__name__)
def test_idioms_do_what_they_say(network: nn.Module, idiom: Callable[[nn.Module], bool]) -> None:
    assert idiom(network)


def test_a_frozen_layer_gets_no_gradient_and_changes_no_other(network: nn.Module) -> None:
    run(network).square().sum().backward()
    all_trained = {name: p.grad for name, p in network.named_parameters()}
    network.zero_grad()
    frozen = {name for name, _ in network.named_parameters() if "_l2" in name}
    assert len(frozen) == 4 * (2 if lstm_of(network).bidirectional else 1)
    for name in frozen:
        network.get_parameter(name).requires_grad_(False)
    run(network).square().sum().backward()
    for name, p in network.named_parameters():
        assert p.grad is None if name in frozen else torch.equal(p.grad, all_trained[name])


def test_only_the_last_layer_is_trained(network: nn.Module) -> None:
    network.requires_grad_(False)
    lstm_of(network).weight_hh_l4.requires_grad_()
    run(network).sum().backward()
    assert [p.grad is not None for p in network.parameters()] == [p.requires_grad for p in network.parameters()]


@pytest.mark.parametrize("name", ["weight_hh_l0", "weight_ih_l3", "weight_peephole_l1"])
def test_spectral_norm_of_one_matrix(network: nn.Module, name: str) -> None:
    lstm, before = lstm_of(network), run(network)
    nn.init.normal_(getattr(lstm, name))
    nn.utils.parametrizations.spectral_norm(lstm, name, n_power_iterations=30)
    assert float(torch.linalg.matrix_norm(getattr(lstm, name).detach(), 2)) == pytest.approx(1, abs=1e-3)
    after = run(network)
    assert not torch.allclose(before, after)
    after.sum().backward()
    assert lstm.parametrizations[name].original.grad.any()
    network.eval()
    again = copy.deepcopy(network)
    again.load_state_dict(network.state_dict())
    normed = run(network)
    assert torch.equal(normed, run(again))
    nn.utils.parametrize.remove_parametrizations(lstm, name)
    assert torch.allclose(run(network), normed, atol=1e-6)


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
@pytest.mark.parametrize("norm", [nn.utils.weight_norm, nn.utils.parametrizations.weight_norm])
def test_weight_norm_changes_nothing_at_first_and_is_trained(network: nn.Module, norm: Callable[..., object]) -> None:
    before = run(network)
    norm(lstm_of(network), "weight_hh_l1", dim=None)
    after = run(network)
    assert torch.allclose(before, after, atol=1e-6)
    after.sum().backward()
    assert all(p.grad is not None for p in network.parameters())


def test_pruned_weights_are_zero_where_they_are_computed_with(network: nn.Module) -> None:
    lstm, before = lstm_of(network), run(network)
    prune.l1_unstructured(lstm, "weight_ih_l1", 0.9)
    after = run(network)
    assert not torch.allclose(before, after)
    after.sum().backward()
    assert not lstm.weight_ih_l1_orig.grad[lstm.weight_ih_l1_mask == 0].any()
    assert torch.equal(run(network), after)


def test_starting_again_also_draws_what_is_parametrised() -> None:
    lstm = ResidualLSTM(INPUTS, UNITS, 2)
    nn.utils.parametrizations.weight_norm(lstm, "weight_hh_l0")
    before = [p.detach().clone() for p in lstm.parameters()]
    lstm.reset_parameters()
    assert not any(torch.equal(p, old) for p, old in zip(lstm.parameters(), before, strict=True))


@pytest.mark.parametrize(
    "copied",
    [copy.deepcopy, lambda n: pickle.loads(pickle.dumps(n)), nn.Module.share_memory, lambda n: n.double().float()],
    ids=["deepcopy", "pickle", "share_memory", "to"],
)
@pytest.mark.parametrize("stacked", [False, True])
def test_copies_compute_the_same(copied: Callable[[nn.Module], nn.Module], stacked: bool) -> None:
    lstm = ResidualLSTM(INPUTS, UNITS, LAYERS, bidirectional=True, stacked=stacked)
    assert torch.equal(run(lstm), run(copied(copy.deepcopy(lstm))))
    other = copied(copy.deepcopy(lstm))
    run(other).sum().backward()
    assert all(p.grad is not None for p in other.parameters())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_types_by_conversion(dtype: torch.dtype) -> None:
    lstm = ResidualLSTM(INPUTS, UNITS, LAYERS).to(dtype)
    output, _ = lstm(torch.randn(4, 2, INPUTS, dtype=dtype))
    assert output.dtype == dtype
    output.sum().backward()
    assert {p.grad.dtype for p in lstm.parameters()} == {dtype}


def test_calls_with_other_parameters_by_their_names() -> None:
    networks = [ResidualLSTM(INPUTS, UNITS, 2) for _ in range(3)]
    for network in networks[1:]:
        given = {f"weight_hh_l{layer}": getattr(network, f"weight_hh_l{layer}").detach() for layer in range(2)}
        expected = copy.deepcopy(networks[0])
        expected.load_state_dict(given, strict=False)
        x = torch.randn(3, 2, INPUTS)
        called = torch.func.functional_call(networks[0], given, (x,))[0]
        assert torch.equal(called, expected(x)[0])
    stacked, _ = torch.func.stack_module_state(networks)
    outputs = torch.func.vmap(lambda p: torch.func.functional_call(networks[0], p, (x,))[0])(stacked)
    assert torch.equal(outputs, torch.stack([network(x)[0] for network in networks]))
    outputs.sum().backward()
    assert all(p.grad.any() for p in stacked.values())


@pytest.mark.parametrize("stacked", [False, True])
def test_compiled_whole_and_exported(stacked: bool) -> None:
    lstm = ResidualLSTM(INPUTS, UNITS, 3, bidirectional=True, stacked=stacked)
    nn.utils.parametrizations.weight_norm(lstm, "weight_hh" if stacked else "weight_hh_l1")
    x = torch.randn(4, 2, INPUTS)
    expected = torch.autograd.grad(lstm(x)[0].sum(), list(lstm.parameters()))
    compiled = torch.compile(lstm, fullgraph=True, backend="aot_eager")
    found = torch.autograd.grad(compiled(x)[0].sum(), list(lstm.parameters()))
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(found, expected, strict=True))
    program = torch.export.export(lstm, (x,)).module()
    assert torch.allclose(program(x)[0], lstm(x)[0])


@pytest.mark.filterwarnings("ignore:FSDP2-wrapped module")
@pytest.mark.parametrize("layers", [1, 3])
def test_fully_sharded(tmp_path: Path, layers: int) -> None:
    distributed = pytest.importorskip("torch.distributed")
    from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    lstm = ResidualLSTM(INPUTS, UNITS, layers, bidirectional=True)
    expected = [p.detach().clone() for p in torch.autograd.grad(run(lstm).sum(), list(lstm.parameters()))]
    distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        sharded = copy.deepcopy(lstm)
        fully_shard(sharded, mesh=init_device_mesh("cpu", (1,)))
        run(sharded).sum().backward()
        grads = [p.grad.full_tensor() for p in sharded.parameters()]
        state = get_model_state_dict(sharded, options=StateDictOptions(full_state_dict=True))
    finally:
        distributed.destroy_process_group()
    assert all(torch.equal(a, b) for a, b in zip(grads, expected, strict=True))
    lstm.load_state_dict(state)


def shapes(**options: object) -> dict[str, tuple[int, ...]]:
    return {name: tuple(p.shape) for name, p in ResidualLSTM(INPUTS, UNITS, **options).named_parameters()}


def test_names_and_shapes_are_those_of_torch_but_for_peepholes_and_one_bias() -> None:
    theirs = nn.LSTM(INPUTS, UNITS, 2, bidirectional=True).named_parameters()
    expected = [(name, tuple(p.shape)) for name, p in theirs if "bias_hh" not in name]
    # The layers above the first see one direction here.
    expected = [(name, (24, 6) if name.startswith("weight_ih_l1") else shape) for name, shape in expected]
    found = shapes(num_layers=2, bidirectional=True)
    peepholes = {name: shape for name, shape in found.items() if "peephole" in name}
    assert [item for item in found.items() if item[0] not in peepholes] == expected
    assert peepholes == {f"weight_peephole_l{k}{end}": (3, 6) for k in range(2) for end in ("", "_reverse")}


def test_stacked_names_and_shapes() -> None:
    stacked = {
        "weight_ih_first": (24, 3),
        "weight_ih": (4, 24, 6),
        "weight_hh": (5, 24, 6),
        "weight_peephole": (5, 3, 6),
        "bias": (5, 24),
    }
    assert shapes(num_layers=5, stacked=True) == stacked
    both = shapes(num_layers=5, stacked=True, bidirectional=True)
    assert both == stacked | {f"{name}_reverse": shape for name, shape in stacked.items()}


@pytest.mark.parametrize("stacked", [False, True])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_absent_parameters_are_absent(stacked: bool, bidirectional: bool) -> None:
    options = {"stacked": stacked, "bidirectional": bidirectional}
    least = ResidualLSTM(INPUTS, UNITS, 1, bias=False, peephole=False, **options)
    assert len(list(least.parameters())) == (4 if bidirectional else 2)
    one = ResidualLSTM(INPUTS, UNITS, 1, **options)
    assert all(p.numel() for p in one.parameters())
    given = least.state_dict()
    zeros = {name: torch.zeros_like(p) for name, p in one.named_parameters() if name not in given}
    one.load_state_dict({**given, **zeros})
    assert torch.equal(run(least), run(one))


@pytest.mark.parametrize("bidirectional", [False, True])
def test_both_forms_start_and_train_the_same(bidirectional: bool) -> None:
    networks = []
    for stacked in (False, True):
        torch.manual_seed(8)
        network = ResidualLSTM(INPUTS, UNITS, LAYERS, bidirectional=bidirectional, stacked=stacked)
        optimizer = torch.optim.Adam(network.parameters(), lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            run(network).square().sum().backward()
            optimizer.step()
        networks.append(network)
    layers, stacked = networks
    for a, b in zip(layers.all_weights, stacked.all_weights, strict=True):
        assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))
    assert [tuple(weight.shape) for weight in layers.all_weights[-1]] == [(24, 6), (24, 6), (24,), (3, 6)]
    assert torch.equal(run(layers), run(stacked))


def test_the_start_is_uniform_but_for_the_forget_gates_bias() -> None:
    torch.manual_seed(0)
    for ih, hh, bias, peephole in weights(ResidualLSTM(50, 100, 4)):
        i, f, g, o = bias.chunk(4)
        assert (f == 1).all()
        for weight in (ih, hh, torch.cat([i, g, o]), peephole):
            assert weight.abs().max() <= 0.1
            # A uniform variable in +-0.1 has standard deviation 0.1 / sqrt(3).
            assert float(weight.std()) == pytest.approx(0.1 / 3**0.5, rel=0.08)


@pytest.mark.parametrize("name", ["weight_ih_l0", "weight_hh_l0", "weight_peephole_l1", "bias_ih_l2"])
@pytest.mark.parametrize("training", [True, False])
def test_a_parameter_whose_memory_was_freed_is_refused(name: str, training: bool) -> None:
    network = ResidualLSTM(3, 5, 3)
    network.get_parameter(name).untyped_storage().resize_(0)
    with torch.set_grad_enabled(training), pytest.raises(RuntimeError, match=r"has a storage of 0 bytes.*freed"):
        network(torch.randn(2, 1, 3))


def test_a_network_on_meta_gives_shapes() -> None:
    network = ResidualLSTM(3, 5, 3, device="meta")
    assert network(torch.randn(2, 1, 3, device="meta"))[0].shape == (2, 1, 5)
