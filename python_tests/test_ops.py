"""The operator against the reference, and everything PyTorch expects of an operator."""

from __future__ import annotations

import dataclasses

import pytest
import tolerances
import torch
from networks import ALL_GRADIENTS, NAMES, Case, backward_arguments, check_float64, gradients, odd_sizes
from tolerances import error
from torch import Tensor

import resblock.ops
from resblock.ops import residual_lstm
from resblock.ops.composite import residual_lstm_composite
from resblock.ops.composite_backward import residual_lstm_backward_composite

# With weights larger than the second-level cache, in two chunks of time.
FAR_WEIGHTS = Case(17, 40, 5, 264, 2, "previous", with_lengths=True, dropout_p=0.2)


@pytest.mark.parametrize("schedule", [None, "batched", "layerwise"])
@pytest.mark.parametrize("case", [*odd_sizes(), FAR_WEIGHTS], ids=str)
def test_float64_agrees_with_the_reference(case: Case, schedule: str | None) -> None:
    check_float64(dataclasses.replace(case, schedule=schedule))


@torch.no_grad()
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("schedule", resblock.ops.schedules("cpu"))
@pytest.mark.parametrize("case", odd_sizes(), ids=str)
def test_inference_agrees_with_the_reference(case: Case, schedule: str, dtype: torch.dtype) -> None:
    tensors, case = case.tensors(dtype), dataclasses.replace(case, schedule=schedule)
    if not case.is_taken_by(schedule, dtype):
        with pytest.raises(ValueError, match=f"schedule is '{schedule}', which takes"):
            case.run(tensors)
        return
    expected = case.reference([t.double() for t in tensors])
    tolerance = tolerances.DOUBLE if dtype == torch.float64 else 4 * tolerances.FLOAT32_FLOOR
    assert all(error(a, e) < tolerance for a, e in zip(case.run(tensors), expected, strict=True))


@pytest.mark.parametrize(
    "case",
    [
        Case(20, 4, 18, 8, 60),
        Case(20, 4, 18, 8, 60, "previous"),
        Case(300, 2, 18, 8, 6),
        Case(12, 17, 18, 33, 4, with_lengths=True),
        Case(9, 20, 18, 8, 60, dropout_p=0.6),
    ],
    ids=str,
)
def test_float32_errs_no_more_than_twice_plain_torch(case: Case) -> None:
    exact = case.tensors(torch.float32)
    exact = [t.detach().double().requires_grad_() for t in exact]
    ours = [t.detach().float().requires_grad_() for t in exact]
    plain = [t.detach().float().requires_grad_() for t in exact]
    results = [(run, run(tensors)) for run, tensors in ((case.reference, exact), (case.run, ours))]
    results.append((case.reference, case.reference(plain)))
    forward = [outputs for _, outputs in results]
    backward = [gradients(outputs, t) for outputs, t in zip(forward, (exact, ours, plain), strict=True)]
    for name, (expected, actual, torchs) in {
        **{f"output {k}": values for k, values in enumerate(zip(*forward, strict=True))},
        **dict(zip(NAMES, zip(*backward, strict=True), strict=True)),
    }.items():
        allowed = max(tolerances.TIMES_TORCH_FLOAT32 * error(torchs, expected), tolerances.FLOAT32_FLOOR)
        assert error(actual, expected) <= allowed, name


@pytest.mark.parametrize("chunks", [0, 2])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("case", [Case(4, 17, 5, 8, 3), Case(4, 2, 5, 8, 4), Case(4, 3, 5, 40, 2)], ids=str)
def test_zeros_that_are_laid_out_nowhere(case: Case, dtype: torch.dtype, chunks: int) -> None:
    *tensors, h_0, c_0 = case.tensors(dtype)
    results = []
    for zeros in (torch.zeros((), dtype=dtype).expand_as(h_0), torch.zeros_like(h_0)):
        states = [zeros.detach().requires_grad_() for _ in (h_0, c_0)]
        outputs = case.run([*tensors, *states], chunks)
        results.append((*outputs, *gradients(outputs[:1], [*tensors, *states])))
    assert all(torch.equal(a, e) for a, e in zip(*results, strict=True))
    ones = torch.ones((), dtype=dtype).expand_as(h_0)
    actual, expected = (case.run([*tensors, state, state])[2] for state in (ones, ones.contiguous()))
    assert torch.equal(actual, expected)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("case", [Case(9, 5, 18, 8, 4), Case(9, 5, 18, 33, 4, "previous", with_lengths=True)], ids=str)
def test_half_types_store_in_half_and_compute_in_float32(case: Case, dtype: torch.dtype) -> None:
    halves = case.tensors(dtype)
    exact = [t.detach().double().requires_grad_() for t in halves]
    actual, expected = case.run(halves), case.reference(exact)
    for a, e in zip(actual, expected, strict=True):
        assert a.dtype == dtype
        assert error(a, e) < tolerances.HALF[dtype]
    for a, e in zip(gradients(actual, halves), gradients(expected, exact), strict=True):
        assert a.dtype == dtype
        assert error(a, e) < tolerances.HALF[dtype]


WITH_ALL = Case(4, 3, 3, 4, 5, "previous", True, True, 0.4, resets_p=0.4, cells=True)


@pytest.mark.parametrize("case", [Case(4, 3, 3, 4, 5), dataclasses.replace(WITH_ALL, cells=False), WITH_ALL], ids=str)
def test_composite_agrees_with_the_operator(case: Case) -> None:
    tensors, options = case.tensors(), case.options
    expected = case.run(tensors)
    for a, e in zip(residual_lstm_composite(tensors, options, case.cells)[: len(expected)], expected, strict=True):
        assert error(a, e) < tolerances.DOUBLE
    grads = [torch.randn_like(e) for e in expected]
    backward = residual_lstm_backward_composite(grads if case.cells else [*grads, None], tensors, options)
    for a, e in zip(backward, torch.autograd.grad(expected, tensors, grads), strict=True):
        assert error(a, e) < tolerances.DOUBLE_GRADIENT


CHECKED = [
    Case(3, 2, 2, 2, 4),
    Case(3, 2, 2, 2, 4, "previous", False),
    Case(3, 2, 2, 2, 4, with_lengths=True, dropout_p=0.3),
    Case(2, 1, 2, 1, 1),
    Case(3, 2, 2, 2, 4, "previous", with_lengths=True, dropout_p=0.3, resets_p=0.5, cells=True),
    Case(4, 2, 2, 2, 4, resets_p=0.3),
]


@pytest.mark.parametrize("case", CHECKED, ids=str)
def test_gradcheck(case: Case) -> None:
    assert torch.autograd.gradcheck(lambda *t: case.run(list(t)), case.tensors())


@pytest.mark.parametrize("case", CHECKED, ids=str)
def test_gradgradcheck(case: Case) -> None:
    """Of all numbers by themselves in a small network, along random directions in the others: a minute each else."""
    few = case.layers == 1
    assert torch.autograd.gradgradcheck(lambda *t: case.run(list(t)), case.tensors(), fast_mode=not few)


@pytest.mark.parametrize(
    ("case", "dtype"),
    [
        (Case(2, 2, 2, 2, 4, with_lengths=True, dropout_p=0.3), torch.float32),
        (Case(2, 1, 2, 2, 1, schedule="batched"), torch.bfloat16),
        (Case(3, 2, 2, 2, 4, with_lengths=True, dropout_p=0.3, resets_p=0.5, cells=True), torch.float32),
    ],
)
@pytest.mark.parametrize("wanted", [ALL_GRADIENTS, 0b00111110, 0b01001001])
def test_opcheck(case: Case, dtype: torch.dtype, wanted: int) -> None:
    arguments = case.operator_arguments(case.tensors(dtype))
    torch.library.opcheck(torch.ops.resblock.residual_lstm.default, arguments)
    torch.library.opcheck(torch.ops.resblock.residual_lstm_training.default, arguments)
    with torch.no_grad():
        *outputs, saved = torch.ops.resblock.residual_lstm_training(*arguments)
    grads = [torch.randn_like(o).requires_grad_() for o in outputs if o is not None]
    call = backward_arguments(arguments, grads, saved, wanted)
    torch.library.opcheck(torch.ops.resblock.residual_lstm_backward.default, call)


INPUT, WEIGHTS, STATES = [0], [1, 2, 3, 4, 5], [6, 7]


@pytest.mark.parametrize("asked", [WEIGHTS, INPUT + WEIGHTS, WEIGHTS + STATES, STATES[1:]], ids=str)
@pytest.mark.parametrize("case", [Case(5, 17, 3, 8, 4), Case(5, 2, 3, 40, 3), Case(0, 3, 2, 4, 2)], ids=str)
def test_gradients_that_nobody_asks_for_change_no_other(case: Case, asked: list[int]) -> None:
    tensors = case.tensors(torch.float32)
    every = torch.autograd.grad(summed(case, tensors), tensors)
    some = [t if k in asked else t.detach() for k, t in enumerate(tensors)]
    for k, gradient in zip(asked, torch.autograd.grad(summed(case, some), [tensors[k] for k in asked]), strict=True):
        assert torch.equal(gradient, every[k])


def summed(case: Case, tensors: list[Tensor]) -> Tensor:
    return torch.stack([output.sum() for output in case.run(tensors)]).sum()


def test_gradgradcheck_of_weights_alone() -> None:
    case = CHECKED[0]
    first, *_, h_0, c_0 = (t.detach() for t in case.tensors())
    weights = case.tensors()[1:6]
    assert torch.autograd.gradgradcheck(lambda *w: case.run([first, *w, h_0, c_0]), weights)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_compile_makes_one_graph() -> None:
    case = Case(4, 3, 5, 8, 4, with_lengths=True)
    tensors = case.tensors(torch.float32)
    compiled = torch.compile(residual_lstm, fullgraph=True)
    actual, expected = compiled(*tensors, case.lengths), case.run(tensors)
    for a, e in zip(actual, expected, strict=True):
        assert torch.equal(a, e)
    for a, e in zip(gradients(actual, tensors), gradients(expected, tensors), strict=True):
        assert torch.equal(a, e)


def test_autocast_runs_in_the_type_of_the_region() -> None:
    case = Case(4, 3, 5, 8, 4)
    tensors = case.tensors(torch.float32)
    for dtype in (torch.bfloat16, torch.float16):
        with torch.autocast("cpu", dtype=dtype):
            outputs = case.run(tensors)
        assert all(o.dtype == dtype for o in outputs)
        for a, e in zip(outputs, case.run([t.to(dtype) for t in tensors]), strict=True):
            assert torch.equal(a, e)
        assert all(g.dtype == torch.float32 for g in gradients(outputs, tensors))


def test_non_contiguous_arguments() -> None:
    case = Case(5, 4, 6, 8, 4)
    dense = case.tensors()
    strided = [torch.stack([t.detach(), t.detach()], -1)[..., 0].requires_grad_() for t in dense]
    assert not any(t.is_contiguous() for t in strided)
    actual, expected = case.run(strided), case.run(dense)
    assert all(torch.equal(a, e) for a, e in zip(actual, expected, strict=True))
    pairs = zip(gradients(actual, strided), gradients(expected, dense), strict=True)
    assert all(torch.equal(a, e) for a, e in pairs)


def test_padding_is_never_read() -> None:
    case = Case(6, 5, 4, 8, 4, with_lengths=True, dropout_p=0.2)
    clean, poisoned = case.tensors(), case.tensors()
    past_the_end = torch.arange(case.steps)[:, None] >= case.lengths
    with torch.no_grad():
        poisoned[0][past_the_end] = torch.nan
    actual, expected = case.run(poisoned), case.run(clean)
    assert torch.equal(actual[0][past_the_end], torch.zeros_like(actual[0][past_the_end]))
    assert all(torch.equal(a, e) for a, e in zip(actual, expected, strict=True))
    pairs = zip(gradients(actual, poisoned), gradients(expected, clean), strict=True)
    assert all(torch.equal(a, e) for a, e in pairs)


def test_nan_and_infinity_stay_in_their_sequence() -> None:
    case = Case(6, 20, 4, 8, 4)
    tensors = case.tensors(torch.float32)
    expected = case.run(tensors)[0]
    with torch.no_grad():
        tensors[0][2, 7, 1], tensors[0][3, 9, :] = torch.nan, torch.inf
    actual = case.run(tensors)[0]
    others = [b for b in range(case.batch) if b not in (7, 9)]
    assert torch.equal(actual[:, others], expected[:, others])
    assert actual[2:, 7].isnan().all()
    assert torch.equal(actual[:2, 7], expected[:2, 7])


@pytest.mark.parametrize("scale", [0.0, 1e-40, 1e4, 1e30, torch.inf])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_saturated_and_tiny_values_behave_as_in_the_reference(scale: float, dtype: torch.dtype) -> None:
    case = Case(4, 2, 3, 6, 2)
    tensors = case.tensors(dtype)
    with torch.no_grad():
        tensors[0].copy_(torch.sign(tensors[0]) * scale)
    actual, expected = case.run(tensors), case.reference(tensors)
    for a, e in zip(actual, expected, strict=True):
        torch.testing.assert_close(a, e, equal_nan=True)


@torch.no_grad()
@pytest.mark.parametrize("value", [torch.inf, -torch.inf, 3e38])
@pytest.mark.parametrize("name", [name for name in NAMES if name != "weight_hh"])
@pytest.mark.parametrize("sizes", [(1, 1), (3, 2), (7, 1), (12, 18), (33, 2)], ids=str)
def test_infinite_and_huge_values_give_what_the_equations_give(sizes: tuple[int, int], name: str, value: float) -> None:
    """Recurrent weights are left out: output gates do not fall below exp(-40), which these would make visible."""
    (units, batch), place = sizes, NAMES.index(name)
    for seed in range(3):
        case = Case(3, batch, 4, units, 5, ("current", "previous")[seed % 2], seed=seed)
        tensors = [3 * t.detach() for t in case.tensors(torch.float32)]
        generator = torch.Generator().manual_seed(seed)
        tensors[place].view(-1)[torch.randint(tensors[place].numel(), (1,), generator=generator)] = value
        expected = case.reference(tensors)
        for schedule in (None, "layerwise", "batched"):
            actual = dataclasses.replace(case, schedule=schedule).run(tensors)
            for a, e in zip(actual, expected, strict=True):
                torch.testing.assert_close(a, e, rtol=1e-4, atol=1e-5, equal_nan=True)


def test_dropout_has_its_rate_mean_and_seed() -> None:
    def mask(seed: int, p: float = 0.6) -> Tensor:
        return torch.ops.resblock.residual_lstm_dropout_mask(torch.tensor([seed]), 5, 20, 30, 7, p)

    first = mask(1)
    assert first.shape == (4, 20, 30, 7)
    assert first.unique().tolist() == [0.0, pytest.approx(2.5)]
    # 16,800 draws: the standard error of the rate is 0.004.
    assert float((first == 0).float().mean()) == pytest.approx(0.6, abs=0.02)
    assert torch.equal(first, mask(1))
    assert not torch.equal(first, mask(2))
    assert not mask(1, 1.0).any()
    for axis in range(4):
        slices = first.unbind(axis)
        assert not any(torch.equal(slices[0], other) for other in slices[1:])


def test_the_memory_of_saved_activations_serves_the_next_call_and_never_two_at_once() -> None:
    cases = [Case(150, 40, 8, 8, 4, seed=seed) for seed in (1, 2)]  # large enough to wait for the next call
    alone = []
    for case in cases:
        tensors = case.tensors(torch.float32)
        alone.append(gradients(case.run(tensors), tensors))
    both = [case.tensors(torch.float32) for case in cases]
    outputs = [case.run(tensors) for case, tensors in zip(cases, both, strict=True)]
    for of, tensors, expected in zip(reversed(outputs), reversed(both), reversed(alone), strict=True):
        assert all(torch.equal(a, e) for a, e in zip(gradients(of, tensors), expected, strict=True))


@torch.no_grad()
def test_the_memory_of_large_results_serves_the_next_call_when_they_end() -> None:
    case = Case(2, 4_000, 5, 8, 40)  # states of 5 MB
    first = case.run(case.tensors(torch.float32))
    copies = [result.clone() for result in first]
    second = case.run(Case(2, 4_000, 5, 8, 40, seed=1).tensors(torch.float32))
    assert all(torch.equal(result, copy) for result, copy in zip(first, copies, strict=True))
    places = {state.data_ptr() for state in (*first[1:], *second[1:])}
    assert len(places) == 4
    del first, second
    again = case.run(case.tensors(torch.float32))
    assert {state.data_ptr() for state in again[1:]} <= places
    assert all(torch.equal(result, copy) for result, copy in zip(again, copies, strict=True))


def test_without_gradients_nothing_is_saved() -> None:
    case = Case(7, 3, 5, 8, 4)
    *_, saved = torch.ops.resblock.residual_lstm_training(*case.operator_arguments(case.tensors()))
    assert saved.numel() == 4 * 7 * 3 * 6 * 8
    with torch.profiler.profile(profile_memory=True) as profile, torch.no_grad():
        case.run(case.tensors())
    called = {event.key for event in profile.key_averages()}
    assert "resblock::residual_lstm" in called
    assert "resblock::residual_lstm_training" not in called


def replaced(name: str, value: Tensor) -> list[Tensor]:
    tensors = Case(5, 3, 5, 8, 3).tensors()
    tensors[NAMES.index(name)] = value
    return tensors


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        (replaced("input", torch.zeros(5, 3).double()), r"input has shape \(5, 3\)"),
        (replaced("input", torch.zeros(5, 3, 5).long()), "input is Long"),
        (
            replaced("weight_ih_first", torch.zeros(32, 4).double()),
            r"weight_ih_first has shape \(32, 4\), expected \(32, 5\)",
        ),
        (
            replaced("weight_ih", torch.zeros(3, 32, 8).double()),
            r"weight_ih has shape \(3, 32, 8\), expected \(2, 32, 8\)",
        ),
        (replaced("weight_hh", torch.zeros(3, 31, 8).double()), r"weight_hh has shape \(3, 31, 8\)"),
        (replaced("weight_peephole", torch.zeros(3, 4, 8).double()), "weight_peephole has shape"),
        (replaced("bias", torch.zeros(3, 32)), "bias is Float but input is Double"),
        (replaced("h_0", torch.zeros(3, 2, 8).double()), "h_0 has shape"),
        (replaced("c_0", torch.zeros(3, 3, 9).double()), "c_0 has shape"),
    ],
)
def test_wrong_tensors_are_named(tensors: list[Tensor], message: str) -> None:
    with pytest.raises(RuntimeError, match=message):
        residual_lstm(*tensors)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lengths": torch.tensor([1, 2])}, "lengths must be int64 of shape"),
        ({"lengths": torch.tensor([1.0, 2, 3])}, "^residual_lstm: lengths must be int64"),
        ({"lengths": torch.tensor([1, -1, 3])}, r"lengths\[1\] is -1, expected 0 to 5"),
        ({"lengths": torch.tensor([1, 2, 6])}, r"lengths\[2\] is 6"),
        ({"dropout_p": 1.5}, "dropout_p is 1.5"),
        ({"dropout_p": 0.5}, "no dropout_seed"),
        ({"dropout_p": 0.5, "dropout_seed": torch.zeros(2)}, "dropout_seed must be one int64"),
        ({"checkpoint_chunks": -1}, "checkpoint_chunks is -1"),
    ],
)
def test_wrong_options_are_named(options: dict[str, object], message: str) -> None:
    with pytest.raises(RuntimeError, match=message):
        residual_lstm(*Case(5, 3, 5, 8, 3).tensors(), **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"output_peephole": "next"}, "output_peephole is 'next'"),
        ({"schedule": "fast"}, "schedule is 'fast', expected one of: batched, layerwise, wavefront"),
        ({"schedule": "wavefront"}, "schedule is 'wavefront', which takes no training"),
        ({"schedule": "wavefront", "checkpoint_chunks": 2}, "schedule is 'wavefront', which takes no training"),
    ],
)
def test_wrong_words_are_named(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        residual_lstm(*Case().tensors(), **options)


def test_it_says_which_kernels_run() -> None:
    sets = ("x86-64", "x86-64-v3", "x86-64-v4", "x86-64-v4-bf16", "x86-64-v4-bf16-amx", "portable")
    assert resblock.ops.instruction_set() in sets
    assert resblock.ops.schedules("cpu") == ("batched", "layerwise", "wavefront")
    assert resblock.ops.has_cuda_kernels() == ("wavefront" in resblock.ops.schedules("cuda"))
