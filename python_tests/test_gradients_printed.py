"""The paper's printed backward equations, evaluated literally in float64, against the operator's gradients.

Symbols as in the paper (after Graves): iota, phi, omega are the input, forget and output gates, c the cell, s its
state, b its output; a is what enters an activation function, delta the gradient of the loss by a, epsilon by b or s.
"""

from __future__ import annotations

import pytest
import tolerances
import torch
from networks import NAMES, Case, gradients
from tolerances import error
from torch import Tensor


class Layer:
    """One layer: its forward equations in time, and then its backward equations against time."""

    def __init__(self, w_in: Tensor, w_rec: Tensor, peephole: Tensor, bias: Tensor, b_0: Tensor, s_0: Tensor) -> None:
        self.w_in, self.w_rec, self.bias = w_in, w_rec, bias
        self.w_c_iota, self.w_c_phi, self.w_c_omega = peephole
        self.b_0, self.s_0 = b_0, s_0

    def forward(self, x: Tensor) -> Tensor:
        """Outputs b of all steps (T, B, H)."""
        self.x = x
        self.gates: list[tuple[Tensor, ...]] = []
        self.s, self.b = [self.s_0], [self.b_0]
        for x_t in x:
            a = x_t @ self.w_in.T + self.b[-1] @ self.w_rec.T + self.bias
            a_iota, a_phi, a_c, a_omega = a.chunk(4, -1)
            b_iota = torch.sigmoid(a_iota + self.w_c_iota * self.s[-1])
            b_phi = torch.sigmoid(a_phi + self.w_c_phi * self.s[-1])
            g = torch.tanh(a_c)
            s = b_phi * self.s[-1] + b_iota * g
            b_omega = torch.sigmoid(a_omega + self.w_c_omega * s)
            self.gates.append((b_iota, b_phi, g, b_omega))
            self.s.append(s)
            self.b.append(b_omega * torch.tanh(s))
        return torch.stack(self.b[1:])

    def backward(self, from_above: Tensor, epsilon_b_n: Tensor, epsilon_s_n: Tensor) -> Tensor:
        """Gradient by the input, from that by the outputs and those by the last output and state.

        `from_above` is what reaches epsilon_c from the layers above: the weighted deltas of the next layer and, in a
        big block, the gradient that the shortcut brings unchanged.
        """
        nothing = torch.zeros_like(self.s_0)
        delta_next, epsilon_s_next, b_phi_next = torch.zeros_like(self.b_0).repeat(1, 4), nothing, nothing
        self.by_w_in, self.by_w_rec = torch.zeros_like(self.w_in), torch.zeros_like(self.w_rec)
        self.by_bias, self.by_peephole = torch.zeros_like(self.bias), torch.zeros(3, len(self.w_c_iota)).double()
        by_input = torch.zeros_like(self.x)
        for t in reversed(range(len(self.x))):
            b_iota, b_phi, g, b_omega = self.gates[t]
            s, s_before = self.s[t + 1], self.s[t]
            delta_iota_next, delta_phi_next, _, _ = delta_next.chunk(4, -1)
            last = t == len(self.x) - 1
            epsilon_c = from_above[t] + delta_next @ self.w_rec + (epsilon_b_n if last else 0)
            delta_omega = b_omega * (1 - b_omega) * torch.tanh(s) * epsilon_c
            epsilon_s = (
                b_omega * (1 - torch.tanh(s) ** 2) * epsilon_c
                + b_phi_next * epsilon_s_next
                + self.w_c_iota * delta_iota_next
                + self.w_c_phi * delta_phi_next
                + self.w_c_omega * delta_omega
                + (epsilon_s_n if last else 0)
            )
            delta_c = b_iota * (1 - g**2) * epsilon_s
            delta_phi = b_phi * (1 - b_phi) * s_before * epsilon_s
            delta_iota = b_iota * (1 - b_iota) * g * epsilon_s
            delta = torch.cat([delta_iota, delta_phi, delta_c, delta_omega], -1)
            by_input[t] = delta @ self.w_in
            self.by_w_in += delta.T @ self.x[t]
            self.by_w_rec += delta.T @ self.b[t]
            self.by_bias += delta.sum(0)
            seen = (delta_iota * s_before, delta_phi * s_before, delta_omega * s)
            self.by_peephole += torch.stack([by.sum(0) for by in seen])
            delta_next, epsilon_s_next, b_phi_next = delta, epsilon_s, b_phi
        delta_iota, delta_phi, _, _ = delta_next.chunk(4, -1)
        self.by_b_0 = delta_next @ self.w_rec
        self.by_s_0 = b_phi_next * epsilon_s_next + self.w_c_iota * delta_iota + self.w_c_phi * delta_phi
        return by_input


def printed(tensors: list[Tensor], weights: list[Tensor], residual: bool) -> list[Tensor]:
    """Gradients of the sum of weights times output, h_n and c_n, in the order of `tensors`."""
    x, w_first, w_in, w_rec, peephole, bias, b_0, s_0 = (tensor.detach() for tensor in tensors)
    by_output, by_h_n, by_c_n = weights
    count = len(w_rec)
    layers = [
        Layer(w_in[k - 1] if k else w_first, w_rec[k], peephole[k], bias[k], b_0[k], s_0[k]) for k in range(count)
    ]

    def ends_a_block(number: int) -> bool:
        return residual and number >= 4 and number % 2 == 0

    y: list[Tensor] = []
    for number, layer in enumerate(layers, start=1):
        b = layer.forward(y[-1] if y else x)
        y.append(b + y[number - 3] if ends_a_block(number) else b)
    by_y = [torch.zeros_like(each) for each in y]
    by_y[-1] += by_output
    for number in range(count, 0, -1):
        k = number - 1
        if ends_a_block(number):
            by_y[k - 2] += by_y[k]
        by_input = layers[k].backward(by_y[k], by_h_n[k], by_c_n[k])
        if k:
            by_y[k - 1] += by_input
    by_weight_ih = torch.stack([layer.by_w_in for layer in layers[1:]]) if count > 1 else torch.zeros_like(w_in)
    stacked = [[getattr(layer, name) for layer in layers] for name in _STACKED]
    return [by_input, layers[0].by_w_in, by_weight_ih, *map(torch.stack, stacked)]


_STACKED = ("by_w_rec", "by_peephole", "by_bias", "by_b_0", "by_s_0")


@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize("layers", [1, 2, 3, 4, 7, 8])
def test_the_printed_equations_are_the_operators_gradients(layers: int, residual: bool) -> None:
    case = Case(steps=6, layers=layers, residual=residual)
    assert max(errors(case).values()) < tolerances.DOUBLE_GRADIENT, errors(case)


def test_they_are_not_the_gradients_of_the_printed_forward_equation() -> None:
    """With c[t-1] in the output gate, as printed, the printed w_c_omega * delta_omega[t] is not the derivative."""
    found = errors(Case(steps=6, layers=4, output_peephole="previous"))
    assert min(found[name] for name in ("weight_peephole", "weight_hh", "c_0")) > 1e-3, found


def errors(case: Case) -> dict[str, float]:
    tensors = case.tensors()
    outputs = case.run(tensors)
    actual = gradients(outputs, tensors)
    expected = printed(tensors, _weights(outputs), case.residual)
    return {name: error(a, e) for name, a, e in zip(NAMES, actual, expected, strict=True)}


def _weights(outputs: tuple[Tensor, ...], seed: int = 7) -> list[Tensor]:
    """Those that `networks.gradients` draws."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(o.shape, generator=generator, dtype=torch.float64) for o in outputs]
