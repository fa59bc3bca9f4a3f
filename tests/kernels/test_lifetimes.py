"""Whose memory it is: tensors that share it, lie in it crosswise, are gone or changed before backward; other processes.

Every result is compared by each bit with that of plain copies of the same numbers.
"""

import gc
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

import elman
from elman import kernels
from elman.kernels import native_status

NATIVE = native_status()
pytestmark = pytest.mark.skipif(not NATIVE.built, reason=NATIVE.why_not or "")
every_cell = pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
SIZES = (40, 8, 6, 24)  # large enough for memory that is kept between calls


@pytest.fixture(autouse=True)
def native(monkeypatch):
    monkeypatch.setenv("ELMAN_KERNEL", "native")


def parts(state):
    return state if isinstance(state, tuple) else (state,)


def call(cell, x, state, weights):
    y, after = getattr(kernels, cell)(x, state, *weights)
    return [y, *parts(after)]


def leaves_of(x, state, weights):
    return [x, *parts(state), *weights]


def plain(given):
    """Copies whose memory is their own, as plain as can be."""
    x, state, *weights = given

    def copy(t):
        return t.detach().clone(memory_format=torch.contiguous_format).requires_grad_()

    state = tuple(map(copy, state)) if isinstance(state, tuple) else copy(state)
    return copy(x), state, list(map(copy, weights))


def results(cell, given, dy=torch.ones_like):
    """Outputs, and the gradients of all arguments, each taken as a leaf."""
    x, state, weights = given
    found = call(cell, x, state, weights)
    return found, torch.autograd.grad(found, leaves_of(x, state, weights), [dy(t) for t in found])


def assert_same(found, expected):
    for one, other in zip([*found[0], *found[1]], [*expected[0], *expected[1]], strict=True):
        assert torch.equal(one, other)


@every_cell
def test_arguments_that_are_gone_before_backward(arguments, cell):
    made = arguments(cell, *SIZES, dtype=torch.float32, requires_grad=True)
    expected = results(cell, plain(made))[1]
    x, state, weights = plain(made)
    held = leaves_of(x, state, weights)
    inner = [t * 1 for t in held]  # no leaf: only the graph holds it
    count = len(parts(state))
    given = tuple(inner[1 : 1 + count]) if isinstance(state, tuple) else inner[1]
    found = call(cell, inner[0], given, inner[1 + count :])
    del inner, given
    gc.collect()
    thieves = [torch.full_like(t, torch.nan) for t in held for _ in range(3)]  # memory, were it free
    call(cell, *plain(made))
    gradients = torch.autograd.grad(found, held, [torch.ones_like(t) for t in found])
    assert all(torch.equal(one, other) for one, other in zip(gradients, expected, strict=True))
    del thieves


@every_cell
def test_results_outlive_what_made_them(arguments, cell):
    made = arguments(cell, *SIZES, dtype=torch.float32)
    with torch.no_grad():
        found = call(cell, made[0], made[1], made[2:])
        kept = [t.clone() for t in found]
        for seed in range(3):
            other = arguments(cell, *SIZES, dtype=torch.float32, seed=seed + 1)
            call(cell, other[0], other[1], other[2:])
    assert all(torch.equal(one, other) for one, other in zip(found, kept, strict=True))


@every_cell
def test_arguments_that_share_memory(arguments, cell):
    T, B, H = 7, 5, 9
    weights = list(arguments(cell, T, B, H, H, dtype=torch.float32)[2:])
    pool = torch.randn(T * B * H + 3, generator=torch.Generator().manual_seed(0))
    x = pool[: T * B * H].view(T, B, H)
    h = pool[3 : 3 + B * H].view(B, H)  # crosses the first step of x, and c is the same as h
    weights[1] = weights[0]
    weights[3] = weights[2]
    given = (x, (h, h) if cell == "lstm" else h, *weights)
    expected = results(cell, plain(given))
    with torch.no_grad():
        found = call(cell, given[0], given[1], given[2:])
    assert all(torch.equal(one, other) for one, other in zip(found, expected[0], strict=True))

    pool.requires_grad_()
    x, h = pool[: T * B * H].view(T, B, H), pool[3 : 3 + B * H].view(B, H)
    found = call(cell, x, (h, h) if cell == "lstm" else h, weights)
    (gradient,) = torch.autograd.grad(found, pool, [torch.ones_like(t) for t in found])
    dx, *dstate = expected[1][: 3 if cell == "lstm" else 2]
    wanted = torch.zeros_like(pool)
    wanted[: T * B * H] += dx.flatten()
    wanted[3 : 3 + B * H] += sum(dstate).flatten()
    torch.testing.assert_close(gradient, wanted, rtol=1e-6, atol=1e-6)


@every_cell
def test_results_are_arguments_of_the_next_call(arguments, cell):
    """y as x, and the state as state: a deep network whose layers share their weights, and truncated time."""
    x, state, *weights = arguments(cell, 7, 5, 9, 9, dtype=torch.float32, requires_grad=True)
    leaves = leaves_of(x, state, weights)

    def twice(between):
        y, *after = call(cell, x, state, weights)
        y, after = between(y), [between(t) for t in after]
        found = call(cell, y, tuple(after) if cell == "lstm" else after[0], weights)
        return found, torch.autograd.grad(found, leaves, [torch.ones_like(t) for t in found])

    assert_same(twice(lambda t: t), twice(lambda t: t.clone()))


@every_cell
def test_a_change_in_place_before_backward_raises(arguments, cell):
    made = arguments(cell, 5, 3, 4, 6, requires_grad=True)
    count = len(leaves_of(*plain(made)))
    for index in [*range(count - 2), "y"]:  # the gradient does not depend on the biases
        x, state, weights = plain(made)
        leaves = leaves_of(x, state, weights)
        inner = [t * 1 for t in leaves]
        states = len(parts(state))
        given = tuple(inner[1 : 1 + states]) if isinstance(state, tuple) else inner[1]
        found = call(cell, inner[0], given, inner[1 + states :])
        changed = found[0] if index == "y" else inner[index]
        with torch.no_grad():
            changed.add_(1)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            torch.autograd.grad(found[0].sum(), leaves)


def turned(t):
    return t.transpose(0, -1).contiguous().transpose(0, -1)


def sliced(t):
    return torch.cat([t[..., :1], t, t[..., :1]], -1)[..., 1:-1]


def of_one_buffer(t):
    return torch.cat([t.flatten()[:1], t.flatten()])[1:].view(t.shape)


LAYOUTS = {"turned": turned, "sliced": sliced, "of one buffer": of_one_buffer}


@every_cell
@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_change_no_bit_of_results_and_gradients(arguments, cell, layout):
    made = arguments(cell, 7, 5, 4, 9, dtype=torch.float32)
    expected = results(cell, plain(made))
    x, state, weights = plain(made)
    leaves = leaves_of(x, state, weights)
    given = [LAYOUTS[layout](t) for t in leaves]
    states = len(parts(state))
    found = call(cell, given[0], tuple(given[1 : 1 + states]) if cell == "lstm" else given[1], given[1 + states :])
    gradients = torch.autograd.grad(found, leaves, [torch.ones_like(t) for t in found])
    assert_same((found, gradients), expected)


@every_cell
def test_batch_first_and_one_state_for_all(arguments, cell):
    x, state, *weights = arguments(cell, 7, 5, 4, 9, dtype=torch.float32)
    one = [t[:1].clone().requires_grad_() for t in parts(state)]
    batch_first = x.transpose(0, 1).contiguous().requires_grad_()
    spread = tuple(t.expand(5, -1) for t in one)
    expected = results(cell, plain((x, spread if cell == "lstm" else spread[0], *weights)))
    found = call(cell, batch_first.transpose(0, 1), spread if cell == "lstm" else spread[0], weights)
    dx, *dstate = torch.autograd.grad(found, [batch_first, *one], [torch.ones_like(t) for t in found])
    assert all(torch.equal(a, b) for a, b in zip(found, expected[0], strict=True))
    assert torch.equal(dx.transpose(0, 1), expected[1][0])
    for found_one, wanted in zip(dstate, expected[1][1:], strict=False):
        torch.testing.assert_close(found_one, wanted.sum(0, keepdim=True), rtol=1e-5, atol=1e-6)


@every_cell
@pytest.mark.parametrize("gradient", [
    lambda t: torch.ones((), dtype=t.dtype).expand_as(t),
    lambda t: turned(torch.ones_like(t)),
    lambda t: torch.ones(*t.shape[:-1], 2 * t.shape[-1], dtype=t.dtype)[..., ::2],
], ids=["expanded", "turned", "strided"])  # fmt: skip
def test_gradients_of_any_layout_come_in(arguments, cell, gradient):
    made = arguments(cell, 7, 5, 4, 9, dtype=torch.float32)
    assert_same(results(cell, plain(made), gradient), results(cell, plain(made)))


@every_cell
def test_python_threads_may_share_a_graph(arguments, cell):
    x, state, weights = plain(arguments(cell, *SIZES, dtype=torch.float32))
    found = call(cell, x, state, weights)

    def backward(_):
        return torch.autograd.grad(
            found, leaves_of(x, state, weights), [torch.ones_like(t) for t in found], retain_graph=True
        )

    first = backward(0)
    with ThreadPoolExecutor(4) as pool:
        for other in pool.map(backward, range(12)):
            assert all(torch.equal(a, b) for a, b in zip(other, first, strict=True))


class Encoded(Dataset):
    """Sequences that go through a network in the process that loads them."""

    def __init__(self, net, xs):
        self.net, self.xs = net, xs

    def __len__(self):
        return len(self.xs)

    def __getitem__(self, index):
        x = self.xs[index].clone().requires_grad_()
        y, _ = self.net(x)
        y.sum().backward()
        return y.detach(), x.grad


@pytest.mark.parametrize("layer", ["RNN", "LSTM", "GRU"])
def test_workers_of_a_data_loader_run_the_kernels(layer):
    """They are forked, and OpenMP's threads, busy here before and after, are not with them."""
    torch.manual_seed(0)
    net, xs = getattr(elman, layer)(16, 64), torch.randn(8, 60, 16, 16)
    data = Encoded(net, xs)
    expected = [data[k] for k in range(len(data))]
    found = list(DataLoader(data, batch_size=None, num_workers=2, multiprocessing_context="fork", timeout=60))
    again = [data[k] for k in range(len(data))]
    for one, other, third in zip(found, expected, again, strict=True):
        assert all(torch.equal(a, b) and torch.equal(b, c) for a, b, c in zip(one, other, third, strict=True))
