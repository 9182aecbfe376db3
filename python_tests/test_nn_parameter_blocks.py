"""Parameters of several layers in one block of memory."""

from __future__ import annotations

import copy
import itertools
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_model, save_model

from resblock import ResidualLSTM
from resblock.nn import parameters


def moved(network: ResidualLSTM) -> ResidualLSTM:
    network.weight_hh_l1.data = network.weight_hh_l1.data.clone()
    return network


def loaded_by_assignment(network: ResidualLSTM) -> ResidualLSTM:
    copies = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    network.load_state_dict(copies, assign=True)
    return network


def saved_whole(network: ResidualLSTM) -> ResidualLSTM:
    return pickle.loads(pickle.dumps(network))


SIDE_BY_SIDE = [lambda n: n, copy.deepcopy, saved_whole, ResidualLSTM.double, lambda n: n.to(torch.bfloat16).float()]
APART = [moved, loaded_by_assignment, ResidualLSTM.share_memory]


@pytest.mark.parametrize("change", [*SIDE_BY_SIDE, *APART])
def test_calls_without_gradients_take_layers_that_lie_side_by_side_as_they_are(
    change: Callable[[ResidualLSTM], ResidualLSTM], monkeypatch: pytest.MonkeyPatch
) -> None:
    network = change(ResidualLSTM(5, 64, 4, bidirectional=True))
    x = torch.randn(3, 2, 5, dtype=network.weight_hh_l0.dtype)
    expected = network(x)[0].detach()  # with gradients parameters are copied

    stacked, stack = [], torch.stack
    monkeypatch.setattr(parameters.torch, "stack", lambda of, *dim: stacked.append(of[0].shape) or stack(of, *dim))
    with torch.no_grad():
        assert torch.equal(network(x)[0], expected)
        assert ((4 * 64, 64) in stacked) == (change in APART)
        torch.nn.init.zeros_(network.weight_hh_l2)
        assert not torch.equal(network(x)[0], expected)


def test_flatten_parameters_lays_out_again() -> None:
    network = moved(ResidualLSTM(5, 64, 4))
    network.flatten_parameters()
    addresses = [getattr(network, f"weight_hh_l{layer}").data_ptr() for layer in range(4)]
    assert [b - a for a, b in itertools.pairwise(addresses)] == [4 * 64 * 64 * 4] * 3
    assert all(p.untyped_storage().nbytes() == 4 * p.numel() for p in network.parameters())


def test_parameters_are_saved_as_if_each_had_memory_of_its_own(tmp_path: Path) -> None:
    network, other = ResidualLSTM(5, 64, 4), ResidualLSTM(5, 64, 4)
    save_model(network, str(tmp_path / "weights"))  # refuses parameters that share their memory
    load_model(other, str(tmp_path / "weights"))
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), other.parameters(), strict=True))


@pytest.mark.parametrize("options", [{}, {"bias": False}, {"peephole": False}, {"bidirectional": True}])
@pytest.mark.parametrize(("layers", "change"), list(itertools.product([1, 2, 4], [*SIDE_BY_SIDE, *APART[1:]])))
def test_what_is_done_to_parameters_is_seen_by_the_next_call(
    layers: int, change: Callable[[ResidualLSTM], ResidualLSTM], options: dict[str, bool]
) -> None:
    network = change(ResidualLSTM(5, 32, layers, **options))
    x = torch.randn(3, 2, 5, dtype=network.weight_hh_l0.dtype)

    def agrees() -> bool:
        expected = network(x)[0].detach()  # with gradients parameters are taken one by one
        with torch.no_grad():
            return torch.equal(network(x)[0], expected)

    assert agrees()
    with torch.no_grad():
        network.weight_ih_l0 += 1
        for parameter in network.parameters():
            parameter.mul_(0.5)
    assert agrees()
    network.weight_hh_l0.data = network.weight_hh_l0.data.clone()
    assert agrees()
    network.weight_hh_l0.data = network.weight_hh_l0.data.view(32, 4 * 32).t()  # at the same address
    assert agrees()
    network.weight_ih_l0 = torch.nn.Parameter(torch.ones_like(network.weight_ih_l0))
    assert agrees()
    network.flatten_parameters()
    assert agrees()
