"""The same network in JAX: `lax.scan` over the steps, compiled as a whole by XLA, on one thread."""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np
from workloads import INPUTS, Size

# XLA reads it when it is loaded.
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
import jax
import jax.numpy as jnp
from jax import Array

Layer = tuple[Array, Array, Array, Array]
State = tuple[Array, Array]


def _cell(layer: Layer, state: State, from_input: Array) -> tuple[State, Array]:
    _, recurrent, _, peephole = layer
    h, c = state
    i, f, g, o = jnp.split(from_input + h @ recurrent, 4, axis=-1)
    i, f = jax.nn.sigmoid(i + peephole[0] * c), jax.nn.sigmoid(f + peephole[1] * c)
    c = f * c + i * jnp.tanh(g)
    h = jax.nn.sigmoid(o + peephole[2] * c) * jnp.tanh(c)
    return (h, c), h


def _network(layers: list[Layer], x: Array, states: list[State]) -> tuple[Array, list[State]]:
    outputs, last = [x], []
    for number, (layer, state) in enumerate(zip(layers, states, strict=True)):
        from_input = outputs[-1] @ layer[0] + layer[2]
        if len(x) == 1:
            state, h = _cell(layer, state, from_input[0])
            h = h[None]
        else:
            state, h = jax.lax.scan(lambda s, x, layer=layer: _cell(layer, s, x), state, from_input)
        last.append(state)
        outputs.append(h + outputs[-2] if number % 2 and number > 1 else h)
    return outputs[-1], last


def call_of(size: Size) -> Callable[[], object]:
    """Give a call: forward, or a training step's forward and backward to the parameters."""
    draw = np.random.default_rng(0)

    def uniform(*shape: int) -> Array:
        return jnp.asarray(draw.uniform(-1, 1, shape).astype(np.float32) / np.sqrt(size.units))

    units = size.units
    layers = [
        (uniform(units if n else INPUTS, 4 * units), uniform(units, 4 * units), uniform(4 * units), uniform(3, units))
        for n in range(size.layers)
    ]
    states = [(jnp.zeros((size.batch, units)),) * 2 for _ in layers]
    x = jnp.asarray(draw.standard_normal((size.steps, size.batch, INPUTS)).astype(np.float32))
    run = jax.jit(jax.value_and_grad(lambda layers: _network(layers, x, states)[0].sum()))
    forward = jax.jit(_network)
    if size.training:
        return lambda: jax.block_until_ready(run(layers))
    return lambda: jax.block_until_ready(forward(layers, x, states))
