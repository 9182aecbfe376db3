"""The operator under every transform of PyTorch: what the reference gives, or an error, eagerly and compiled."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
import reference
import tolerances
import torch
from networks import Case
from tolerances import error
from torch import Tensor
from torch.autograd import forward_ad
from torch.func import functional_call, grad, hessian, jacfwd, jacrev, jvp, linearize, stack_module_state, vjp, vmap

from resblock import ResidualLSTM
from resblock.ops import residual_lstm

Function = Callable[[Tensor], Tensor]

CASE = Case(3, 2, 3, 2, 4, "previous", with_lengths=True, dropout_p=0.3, seed=5, resets_p=0.4, cells=True)
X, *OTHERS = [t.detach() for t in CASE.tensors()]
V = torch.linspace(-1, 1, X.numel(), dtype=X.dtype).view_as(X)


LENGTHS, SEED, RESETS = CASE.lengths, CASE.dropout_seed, CASE.resets
MASK = torch.ops.resblock.residual_lstm_dropout_mask(SEED, CASE.layers, CASE.steps, CASE.batch, CASE.units, 0.3)


def run(*tensors: Tensor) -> tuple[Tensor, ...]:
    return residual_lstm(*tensors, LENGTHS, 0.3, SEED, True, "previous", resets=RESETS, return_cells=True)


def run_reference(*tensors: Tensor) -> tuple[Tensor, ...]:
    return reference.residual_lstm(*tensors, LENGTHS, MASK, True, "previous", RESETS)


def ours(x: Tensor) -> Tensor:
    output, h_n, c_n, cells = run(x, *OTHERS)
    return output.square().sum() + (h_n * c_n).sum() + cells.square().sum()


def expected(x: Tensor) -> Tensor:
    output, h_n, c_n, cells = run_reference(x, *OTHERS)
    return output.square().sum() + (h_n * c_n).sum() + cells.square().sum()


def squared(f: Function) -> Function:
    """The square of the gradient of f."""
    return lambda x: grad(f)(x).square().sum()


TRANSFORMS: dict[str, Callable[[Function], Tensor]] = {
    "grad": lambda f: grad(f)(X),
    "vjp": lambda f: vjp(f, X)[1](torch.ones((), dtype=X.dtype))[0],
    "jvp": lambda f: jvp(f, (X,), (V,))[1],
    "linearize": lambda f: linearize(f, X)[1](V),
    "jacfwd": lambda f: jacfwd(f)(X),
    "jacrev": lambda f: jacrev(f)(X),
    "hessian": lambda f: hessian(f)(X),
    "jacrev of jacrev": lambda f: jacrev(jacrev(f))(X),
    "jacrev of jacfwd": lambda f: jacrev(jacfwd(f))(X),
    "jacfwd of jacfwd": lambda f: jacfwd(jacfwd(f))(X),
    "third derivative": lambda f: grad(squared(squared(f)))(X),
    "vmap": lambda f: vmap(f)(torch.stack([X, V])),
    "vmap of grad": lambda f: vmap(grad(f))(torch.stack([X, V])),
    "vmap of jvp": lambda f: vmap(lambda x: jvp(f, (x,), (V,))[1])(torch.stack([X, V])),
    "grad of vmap": lambda f: grad(lambda x: vmap(f)(torch.stack([x, 2 * x])).sum())(X),
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_transforms(name: str) -> None:
    assert error(TRANSFORMS[name](ours), TRANSFORMS[name](expected)) < tolerances.DOUBLE_GRADIENT


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["grad", "jvp", "jacfwd", "vmap", "vmap of grad", "jacrev of jacrev"])
def test_transforms_inside_a_compiled_graph(name: str) -> None:
    torch.compiler.reset()
    compiled = torch.compile(lambda: TRANSFORMS[name](ours), fullgraph=True, backend="aot_eager")
    assert error(compiled(), TRANSFORMS[name](expected)) < tolerances.DOUBLE_GRADIENT


@pytest.mark.parametrize("fullgraph", [False, True])
@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
@pytest.mark.parametrize("trained", [False, True])
def test_a_level_of_forward_mode_around_a_compiled_graph(fullgraph: bool, backend: str, trained: bool) -> None:
    """Right or refused, cold and after a call without a level; inductor loses the tangents of plain operations."""
    lstm = ResidualLSTM(X.shape[-1], 4, 2, dtype=X.dtype).requires_grad_(trained)

    def tangent(f: Function) -> Tensor:
        with forward_ad.dual_level():
            return forward_ad.unpack_dual(f(forward_ad.make_dual(X, V))).tangent

    def output(x: Tensor) -> Tensor:
        return lstm(x)[0]

    for warm in (False, True):
        torch.compiler.reset()
        compiled = torch.compile(output, fullgraph=fullgraph, backend=backend)
        if warm:
            compiled(X)
        if trained and backend == "aot_eager":
            with pytest.raises(NotImplementedError, match="implement the jvp function"):
                tangent(compiled)
        else:
            assert error(tangent(compiled), tangent(output)) < tolerances.DOUBLE_GRADIENT


@pytest.mark.parametrize("fullgraph", [False, True])
@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_a_level_of_forward_mode_inside_a_compiled_graph(fullgraph: bool, backend: str) -> None:
    def tangent() -> Tensor:
        with forward_ad.dual_level():
            return forward_ad.unpack_dual(ours(forward_ad.make_dual(X, V))).tangent

    torch.compiler.reset()
    assert error(torch.compile(tangent, fullgraph=fullgraph, backend=backend)(), tangent()) < tolerances.DOUBLE_GRADIENT


def test_forward_mode_over_reverse_mode_without_torch_func() -> None:
    def product(f: Function) -> Tensor:
        with forward_ad.dual_level():
            x = forward_ad.make_dual(X.clone().requires_grad_(), V)
            (gradient,) = torch.autograd.grad(f(x), x, create_graph=True)
            return forward_ad.unpack_dual(gradient).tangent

    assert error(product(ours), product(expected)) < tolerances.DOUBLE_GRADIENT


def test_derivatives_of_every_argument_in_forward_mode() -> None:
    tensors = [X, *OTHERS]
    tangents = [torch.linspace(-1, 1, t.numel(), dtype=t.dtype).view_as(t) for t in tensors]
    pairs = zip(
        jvp(run, tuple(tensors), tuple(tangents))[1],
        jvp(run_reference, tuple(tensors), tuple(tangents))[1],
        strict=True,
    )
    assert all(error(a, e) < tolerances.DOUBLE_GRADIENT for a, e in pairs)


@pytest.mark.parametrize("order", [3, 4])
def test_higher_derivatives_by_autograd(order: int) -> None:
    """As a loss on derivatives of the output by the input has them (physics-informed training)."""
    case = Case(3, 2, 2, 3, 5, seed=order)

    def derivative(f: Callable[[list[Tensor]], tuple[Tensor, ...]]) -> Tensor:
        tensors = case.tensors()
        value = f(tensors)[0].sum()
        for _ in range(order - 1):
            (value,) = torch.autograd.grad(value, tensors[0], create_graph=True)
            value = value.square().sum()
        return torch.autograd.grad(value, tensors[3])[0]

    assert error(derivative(case.run), derivative(case.reference)) < 10 * tolerances.DOUBLE_GRADIENT


def test_ensembles_train_by_vmap() -> None:
    torch.manual_seed(2)
    networks = [ResidualLSTM(2, 3, 4, dtype=torch.float64) for _ in range(2)]
    parameters, _ = stack_module_state(networks)
    x = torch.randn(4, 3, 2, dtype=torch.float64)
    losses = vmap(lambda p: functional_call(networks[0], p, (x,), {"lengths": [4, 0, 2]})[0].square().sum())(parameters)
    losses.sum().backward()
    for k, network in enumerate(networks):
        network(x, lengths=[4, 0, 2])[0].square().sum().backward()
        for name, parameter in network.named_parameters():
            assert error(parameters[name].grad[k], parameter.grad) < tolerances.DOUBLE_GRADIENT


def test_per_sample_gradients_of_both_directions() -> None:
    torch.manual_seed(3)
    lstm, x = ResidualLSTM(2, 3, 2, bidirectional=True, dtype=torch.float64), torch.randn(3, 4, 2, dtype=torch.float64)
    parameters = {name: p.detach() for name, p in lstm.named_parameters()}

    def loss(parameters: dict[str, Tensor], sequence: Tensor) -> Tensor:
        return functional_call(lstm, parameters, (sequence,))[0].square().sum()

    found = vmap(grad(loss), in_dims=(None, 1))(parameters, x)
    for b in range(4):
        wanted = torch.autograd.grad(loss(dict(lstm.named_parameters()), x[:, b]), list(lstm.parameters()))
        pairs = zip(parameters, wanted, strict=True)
        assert all(error(found[name][b], e) < tolerances.DOUBLE_GRADIENT for name, e in pairs)


def test_vmap_over_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="size 0"):
        vmap(ours)(X[None][:0])


class Encoder(torch.nn.Module):
    """Both directions, with lengths."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = ResidualLSTM(2, 3, 4, bidirectional=True, batch_first=True)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        return self.lstm(x, lengths=lengths)[0]


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize("trained", [False, True])
def test_traced(trained: bool) -> None:
    """With other sizes than it was traced with, and after saving and loading."""
    network = Encoder().train(trained)
    traced = torch.jit.trace(network, (torch.randn(3, 5, 2), torch.tensor([5, 2, 1])))
    file = io.BytesIO()
    torch.jit.save(traced, file)
    file.seek(0)
    x, lengths = torch.randn(4, 9, 2), torch.tensor([9, 1, 4, 0])
    for module in (traced, torch.jit.load(file)):
        assert torch.equal(module(x, lengths), network(x, lengths))
        module.zero_grad()
        module(x, lengths).sum().backward()
        network.zero_grad()
        network(x, lengths).sum().backward()
        pairs = zip(module.parameters(), network.parameters(), strict=True)
        assert all(torch.equal(a.grad, e.grad) for a, e in pairs)
        tangents = [jvp(lambda x, f=f: f(x, lengths), (x,), (torch.ones_like(x),))[1] for f in (module, network)]
        assert torch.equal(*tangents)


def test_an_exported_network_saves_nothing_and_trains_where_it_is_asked_to() -> None:
    lstm, x = ResidualLSTM(3, 4, 4, dropout=0.5).eval(), torch.randn(5, 2, 3)
    module = torch.export.export(lstm, (x,)).module()
    with torch.profiler.profile() as profile, torch.no_grad():
        assert torch.equal(module(x)[0], lstm(x)[0])
    assert not any("training" in event.key for event in profile.key_averages())
    module(x)[0].sum().backward()
    lstm(x)[0].sum().backward()
    named = zip(module.named_parameters(), lstm.named_parameters(), strict=True)
    assert all(torch.equal(a.grad, e.grad) for (_, a), (_, e) in named)


def test_exported_with_free_time_and_batch() -> None:
    batch, time = torch.export.Dim("batch", min=2, max=100), torch.export.Dim("time", min=2, max=100)
    network, lengths = Encoder().eval(), torch.tensor([5, 2, 1], dtype=torch.int32)
    dynamic = ({0: batch, 1: time}, {0: batch})
    program = torch.export.export(network, (torch.randn(3, 5, 2), lengths), dynamic_shapes=dynamic)
    x, lengths = torch.randn(4, 9, 2), torch.tensor([9, 1, 4, 0], dtype=torch.int32)
    assert torch.equal(program.module()(x, lengths), network(x, lengths))
