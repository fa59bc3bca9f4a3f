"""numpy's streaming steps and scipy's reservoir, as somebody writes them who cares for speed: in place, few calls."""

import numpy as np
import scipy
from scipy.sparse import csr_array

from worker import Numbers, Run, serve

Array = np.ndarray


def stream(numbers: Numbers, job: dict[str, str]) -> Run:
    """A cell with its weights side by side, so that one product a step does both of torch's (two for the GRU)."""
    x, W_ih, W_hh, b_ih, b_hh = (numbers[k] for k in ("x", "weight_ih", "weight_hh", "bias_ih", "bias_hh"))
    make = {"rnn": rnn, "gru": gru, "lstm": lstm}[job["cell"]]
    return make(list(x), W_ih, W_hh, b_ih, b_hh)


def rnn(steps: list[Array], W_ih: Array, W_hh: Array, b_ih: Array, b_hh: Array) -> Run:
    W, b, I = np.hstack([W_ih, W_hh]), b_ih + b_hh, W_ih.shape[1]
    xh, h_bar = np.empty(W.shape[1], np.float32), np.empty_like(b)
    x, h = xh[:I], xh[I:]

    def run() -> list[Array]:
        h[:] = 0
        for x_t in steps:
            x[:] = x_t
            np.dot(W, xh, h_bar)
            np.add(h_bar, b, h_bar)
            np.tanh(h_bar, h)
        return [h[None]]

    return run


def lstm(steps: list[Array], W_ih: Array, W_hh: Array, b_ih: Array, b_hh: Array) -> Run:
    """sigmoid(a) = tanh(a / 2) / 2 + 1/2, the halves put into the weights: one call of tanh for all four gates."""
    H, I = W_hh.shape[1], W_ih.shape[1]
    half = np.repeat(np.array([0.5, 0.5, 1, 0.5], np.float32), H)
    W, b = np.hstack([W_ih, W_hh]) * half[:, None], (b_ih + b_hh) * half
    xh, gates, c = np.empty(I + H, np.float32), np.empty(4 * H, np.float32), np.empty(H, np.float32)
    x, h = xh[:I], xh[I:]
    i_f, i, f, g, o = gates[: 2 * H], gates[:H], gates[H : 2 * H], gates[2 * H : 3 * H], gates[3 * H :]
    one_half = np.float32(0.5)

    def run() -> list[Array]:
        h[:] = c[:] = 0
        for x_t in steps:
            x[:] = x_t
            np.dot(W, xh, gates)
            np.add(gates, b, gates)
            np.tanh(gates, gates)
            for sigmoid in (i_f, o):
                np.multiply(sigmoid, one_half, sigmoid)
                np.add(sigmoid, one_half, sigmoid)
            np.multiply(c, f, c)
            np.multiply(i, g, i)
            np.add(c, i, c)
            np.tanh(c, h)
            np.multiply(h, o, h)
        return [h[None], c[None]]

    return run


def gru(steps: list[Array], W_ih: Array, W_hh: Array, b_ih: Array, b_hh: Array) -> Run:
    H = W_hh.shape[1]
    half = np.repeat(np.array([0.5, 0.5, 1], np.float32), H)
    W_ih, W_hh, b_ih, b_hh = W_ih * half[:, None], W_hh * half[:, None], b_ih * half, b_hh * half
    from_x, from_h, h = np.empty(3 * H, np.float32), np.empty(3 * H, np.float32), np.empty(H, np.float32)
    r_z, r, z = from_x[: 2 * H], from_x[:H], from_x[H : 2 * H]
    n, h_rz, h_n = from_x[2 * H :], from_h[: 2 * H], from_h[2 * H :]
    one_half = np.float32(0.5)

    def run() -> list[Array]:
        h[:] = 0
        for x_t in steps:
            np.dot(W_ih, x_t, from_x)
            np.add(from_x, b_ih, from_x)
            np.dot(W_hh, h, from_h)
            np.add(from_h, b_hh, from_h)
            np.add(r_z, h_rz, r_z)
            np.tanh(r_z, r_z)
            np.multiply(r_z, one_half, r_z)
            np.add(r_z, one_half, r_z)
            np.multiply(h_n, r, h_n)
            np.add(n, h_n, n)
            np.tanh(n, n)
            np.subtract(h, n, h)  # h = n + z (h - n)
            np.multiply(h, z, h)
            np.add(h, n, h)
        return [h[None]]

    return run


def reservoir(numbers: Numbers, job: dict[str, float]) -> Run:
    x, W_in, b = numbers["x"], numbers["W_in"], numbers["b"]
    W = csr_array((numbers["values"], (numbers["rows"], numbers["columns"])), shape=(len(b), len(b)))
    leak, keep = np.float32(job["leak"]), np.float32(1 - job["leak"])

    def run() -> list[Array]:
        y = x @ W_in.T
        y += b
        h, kept = np.zeros_like(b), np.empty_like(b)
        for y_t in y:
            y_t += W @ h
            np.tanh(y_t, y_t)
            np.multiply(y_t, leak, y_t)
            np.multiply(h, keep, kept)
            np.add(y_t, kept, y_t)
            h = y_t
        return [y]

    return run


if __name__ == "__main__":
    serve({"stream": stream, "reservoir": reservoir}, {"numpy": np.__version__, "scipy": scipy.__version__})
