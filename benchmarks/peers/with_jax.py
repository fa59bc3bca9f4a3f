"""JAX's side: lax.scan, jitted, on the CPU. Of several ways to write it, the fastest for the shape at hand."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import product
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

from worker import Numbers, Run, serve, turn

Weights = Sequence[Array]
NAMES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


def rnn(h: Array, from_x: Array, W_hh: Array, b_hh: Array) -> tuple[Array, Array]:
    h = jnp.tanh(from_x + h @ W_hh.T + b_hh)
    return h, h


def gru(h: Array, from_x: Array, W_hh: Array, b_hh: Array) -> tuple[Array, Array]:
    x_r, x_z, x_n = jnp.split(from_x, 3, -1)
    h_r, h_z, h_n = jnp.split(h @ W_hh.T + b_hh, 3, -1)
    r, z = jax.nn.sigmoid(x_r + h_r), jax.nn.sigmoid(x_z + h_z)
    n = jnp.tanh(x_n + r * h_n)
    h = n + z * (h - n)
    return h, h


def lstm(state: tuple[Array, Array], from_x: Array, W_hh: Array, b_hh: Array) -> tuple[tuple[Array, Array], Array]:
    h, c = state
    i, f, g, o = jnp.split(from_x + h @ W_hh.T + b_hh, 4, -1)
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
    h = jax.nn.sigmoid(o) * jnp.tanh(c)
    return (h, c), h


CELLS = {"rnn": rnn, "gru": gru, "lstm": lstm}


def sequence(cell: str, project_first: bool, unroll: int, x: Array, weights: Weights) -> Array:
    W_ih, W_hh, b_ih, b_hh = weights
    zeros = jnp.zeros((x.shape[1], W_hh.shape[1]), x.dtype)

    def step(state: Any, x_t: Array) -> tuple[Any, Array]:
        from_x = x_t if project_first else x_t @ W_ih.T + b_ih
        return CELLS[cell](state, from_x, W_hh, b_hh)

    xs = x @ W_ih.T + b_ih if project_first else x
    return lax.scan(step, (zeros, zeros) if cell == "lstm" else zeros, xs, unroll=unroll)[1]


def fastest(function_of: Callable[..., Callable[..., Any]], job: dict[str, Any], arguments: Sequence[Any]) -> Run:
    """Compiles `function_of(sequence)` for each way to write it, and keeps the fastest."""
    best: tuple[float, Run] | None = None
    for project_first, unroll in [(True, 1)] if job["quick"] else product((True, False), (1, 4)):
        compiled = jax.jit(function_of(partial(sequence, job["cell"], project_first, unroll)))

        def run(compiled: Callable[..., Any] = compiled) -> list[Any]:
            return jax.tree.leaves(jax.block_until_ready(compiled(*arguments)))

        run()
        seconds = min(turn(run, 0.02) for _ in range(2))
        if best is None or seconds < best[0]:
            best = seconds, run
    assert best is not None
    return best[1]


def train(numbers: Numbers, job: dict[str, Any]) -> Run:
    def step_of(sequence: Callable[[Array, Weights], Array]) -> Callable[..., Any]:
        def step(x: Array, weights: Weights, dy: Array) -> Any:
            y, pull = jax.vjp(sequence, x, weights)
            return y, *pull(dy)

        return step

    x, weights, dy = jnp.asarray(numbers["x"]), [jnp.asarray(numbers[k]) for k in NAMES], jnp.asarray(numbers["dy"])
    return fastest(step_of, job, (x, weights, dy))


def forward(numbers: Numbers, job: dict[str, Any]) -> Run:
    x, weights = jnp.asarray(numbers["x"]), [jnp.asarray(numbers[k]) for k in NAMES]
    return fastest(lambda sequence: lambda x, weights: [sequence(x, weights)], job, (x, weights))


if __name__ == "__main__":
    serve({"train": train, "forward": forward}, {"jax": jax.__version__})
