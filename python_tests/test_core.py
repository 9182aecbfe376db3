"""The kernels without torch, through the module that CMake builds (CONTRIBUTING.md): CPU, and CUDA on the host."""

import importlib
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

BUILD = Path(os.environ.get("RESBLOCK_CORE", Path(__file__).resolve().parents[1] / "build" / "core"))


def import_core():
    sys.path.insert(0, str(BUILD))
    try:
        return importlib.import_module("resblock_core")
    except ImportError as error:
        pytest.skip(
            f"no resblock_core in {BUILD} ({error}); build it with CMake or set RESBLOCK_CORE",
            allow_module_level=True,
        )
    finally:
        sys.path.remove(str(BUILD))


core = import_core()
devices = pytest.mark.parametrize("device", core.devices)

WEIGHTS = ("weight_ih_first", "weight_ih", "weight_hh", "weight_peephole", "bias")


def make_arrays(T, B, inputs, H, L, seed=0, dtype=np.float64):
    random = np.random.default_rng(seed)
    shapes = {
        "input": (T, B, inputs),
        "weight_ih_first": (4 * H, inputs),
        "weight_ih": (L - 1, 4 * H, H),
        "weight_hh": (L, 4 * H, H),
        "weight_peephole": (L, 3, H),
        "bias": (L, 4 * H),
        "h_0": (L, B, H),
        "c_0": (L, B, H),
    }
    return {
        name: random.uniform(-1, 1, shape).astype(dtype) * (0.5 if name != "input" else 1)
        for name, shape in shapes.items()
    }


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def expected_forward(a, lengths=None, mask=None, residual=True, output_peephole_previous=False):
    """The equations, a time step and a layer at a time, for all sequences at once."""
    T, B, _ = a["input"].shape
    L, _, H = a["h_0"].shape
    h, c = a["h_0"].copy(), a["c_0"].copy()
    output = np.zeros((T, B, H))
    for t in range(T):
        valid = np.ones((B, 1), bool) if lengths is None else (t < np.asarray(lengths))[:, None]
        x, y = np.where(valid, a["input"][t], 0), []
        for layer in range(L):
            W = a["weight_ih"][layer - 1] if layer else a["weight_ih_first"]
            if layer and mask is not None:
                x = x * mask[layer - 1, t]
            z = x @ W.T + h[layer] @ a["weight_hh"][layer].T + a["bias"][layer]
            z_i, z_f, z_g, z_o = np.split(z, 4, axis=1)
            p_i, p_f, p_o = a["weight_peephole"][layer]
            i, f, g = sigmoid(z_i + p_i * c[layer]), sigmoid(z_f + p_f * c[layer]), np.tanh(z_g)
            c_now = f * c[layer] + i * g
            o = sigmoid(z_o + p_o * (c[layer] if output_peephole_previous else c_now))
            h_now = o * np.tanh(c_now)
            y.append(h_now + y[layer - 2] if residual and layer in range(3, L, 2) else h_now)
            x = y[-1]
            c[layer] = np.where(valid, c_now, c[layer])
            h[layer] = np.where(valid, h_now, h[layer])
        output[t] = np.where(valid, y[-1], 0)
    return {"output": output, "h_n": h, "c_n": c}


def run_both(arrays, grads, **options):
    problem = core.Problem(**arrays, **options)
    results = core.forward(problem)
    return results, core.backward(problem, results["saved"], *grads)


def make_grads(arrays, T, seed=1):
    random = np.random.default_rng(seed)
    L, B, H = arrays["h_0"].shape
    dtype = arrays["input"].dtype
    return [random.normal(size=shape).astype(dtype) for shape in [(T, B, H), (L, B, H), (L, B, H)]]


@devices
@settings(max_examples=40, deadline=None)
@given(
    T=st.integers(0, 6),
    B=st.integers(0, 5),
    inputs=st.integers(1, 9),
    H=st.integers(1, 10),
    L=st.integers(1, 9),
    residual=st.booleans(),
    previous=st.booleans(),
    dropout=st.sampled_from([0.0, 0.3]),
    seed=st.integers(0, 2**64 - 1),
    data=st.data(),
)
def test_forward_follows_the_equations(device, T, B, inputs, H, L, residual, previous, dropout, seed, data):
    arrays = make_arrays(T, B, inputs, H, L, seed=seed % 1000)
    lengths = None
    if T and B and data.draw(st.booleans()):
        lengths = np.array(data.draw(st.lists(st.integers(0, T), min_size=B, max_size=B)))
        for b, length in enumerate(lengths):
            arrays["input"][length:, b] = np.nan
    problem = core.Problem(
        **arrays,
        lengths=lengths,
        dropout=dropout,
        seed=seed,
        residual=residual,
        output_peephole_previous=previous,
        device=device,
    )
    results = core.forward(problem)
    mask = core.dropout_mask(L, T, B, H, dropout, seed) if dropout else None
    for name, expected in expected_forward(arrays, lengths, mask, residual, previous).items():
        np.testing.assert_allclose(results[name], expected, rtol=1e-12, atol=1e-13, err_msg=name)


@devices
@pytest.mark.parametrize("previous", [False, True])
@pytest.mark.parametrize("dropout", [0.0, 0.4])
@pytest.mark.parametrize("with_lengths", [False, True])
def test_backward_is_the_derivative_of_forward(device, previous, dropout, with_lengths):
    T, B, inputs, H, L = 5, 3, 4, 6, 8
    arrays = make_arrays(T, B, inputs, H, L)
    grads = make_grads(arrays, T)
    options = {
        "device": device,
        "dropout": dropout,
        "seed": 11,
        "output_peephole_previous": previous,
        "lengths": np.array([5, 1, 3]) if with_lengths else None,
    }
    _, gradients = run_both(arrays, grads, **options)

    def loss(shifted):
        results = core.forward(core.Problem(**shifted, **options), needs_backward=False)
        return sum(np.sum(results[name] * grad) for name, grad in zip(("output", "h_n", "c_n"), grads, strict=True))

    random = np.random.default_rng(2)
    for name, gradient in gradients.items():
        direction = random.normal(size=gradient.shape)
        step = 1e-6
        above = loss({**arrays, name: arrays[name] + step * direction})
        below = loss({**arrays, name: arrays[name] - step * direction})
        # Central differences: about 1e-10 of truncation and rounding beside sums of order 10.
        assert np.sum(gradient * direction) == pytest.approx((above - below) / (2 * step), rel=1e-6, abs=1e-7), name


@pytest.mark.skipif("cuda" not in core.devices, reason="built without CUDA headers")
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_cuda_agrees_with_cpu(dtype):
    T, B, inputs, H, L = 6, 4, 18, 8, 12
    arrays = make_arrays(T, B, inputs, H, L, dtype=np.float32)
    grads = make_grads(arrays, T)
    unit = {"float32": 2.0**-24, "float16": 2.0**-11, "bfloat16": 2.0**-8}[dtype]

    def stored(array):
        if dtype == "bfloat16":  # its bits: the upper half of a float32
            return (array.view(np.uint32) >> 16).astype(np.uint16)
        return array.astype(dtype)

    def as_float(array):
        if array.dtype == np.uint16:
            return (array.astype(np.uint32) << 16).view(np.float32)
        return array.astype(np.float32)

    arrays = {name: stored(array) for name, array in arrays.items()}
    grads = [stored(array) for array in grads]
    options = {"dropout": 0.6, "seed": 5, "lengths": np.array([6, 1, 3, 6])}
    exact = {name: as_float(array) for name, array in arrays.items()}
    on_cpu = run_both(exact, [as_float(array) for array in grads], **options)
    on_cuda = run_both(arrays, grads, **options, device="cuda")
    for cpu, cuda in zip(on_cpu, on_cuda, strict=True):
        for name, expected in cpu.items():
            if name == "saved":  # each schedule has its own layout
                continue
            found = as_float(cuda[name])
            # The result is rounded once, and accumulated in float32 before.
            bound = (unit + 200 * 2.0**-24) * np.abs(expected).max()
            assert np.abs(found - expected).max() <= bound, name


@pytest.mark.skipif("cuda" not in core.devices, reason="built without CUDA headers")
def test_cuda_is_bitwise_repeatable_in_every_order():
    arrays = make_arrays(5, 7, 3, 8, 6, dtype=np.float32)
    grads = make_grads(arrays, 5)
    first = run_both(arrays, grads, device="cuda")
    try:
        for order in ("ascending", "descending", "shuffled"):
            core.set_schedule(order, resident_blocks=3)
            again = run_both(arrays, grads, device="cuda")
            for one, other in zip(first, again, strict=True):
                assert all(one[name].tobytes() == other[name].tobytes() for name in one)
    finally:
        core.set_schedule("ascending", resident_blocks=1)


def test_threads_do_not_change_a_bit():
    arrays = make_arrays(9, 50, 18, 8, 6, dtype=np.float32)
    grads = make_grads(arrays, 9)
    one = run_both(arrays, grads, threads=1)
    for threads in (2, 3):
        several = run_both(arrays, grads, threads=threads)
        for a, b in zip(one, several, strict=True):
            assert all(a[name].tobytes() == b[name].tobytes() for name in a)


@devices
def test_nothing_is_saved_without_a_backward_pass(device):
    arrays = make_arrays(4, 3, 2, 5, 4)
    problem = core.Problem(**arrays, device=device)
    training, inference = core.forward(problem), core.forward(problem, needs_backward=False)
    assert inference["saved"].size == 0
    for name in ("output", "h_n", "c_n"):  # perhaps by another schedule
        np.testing.assert_allclose(inference[name], training[name], rtol=0, atol=64 * np.finfo(float).eps)


def test_arguments_are_checked():
    arrays = make_arrays(4, 3, 2, 5, 4)
    with pytest.raises(ValueError, match="bias has another shape"):
        core.forward(core.Problem(**{**arrays, "bias": arrays["bias"][:1]}))
    with pytest.raises(ValueError, match="c_0 has another dtype"):
        core.forward(core.Problem(**{**arrays, "c_0": arrays["c_0"].astype(np.float32)}))
    with pytest.raises(ValueError, match="schedule is 'fast', expected one of: batched"):
        core.forward(core.Problem(**arrays, schedule="fast"))
    with pytest.raises(ValueError, match=r"lengths are in 0\.\.T"):
        core.forward(core.Problem(**arrays, lengths=np.array([1, -1, 2])))
