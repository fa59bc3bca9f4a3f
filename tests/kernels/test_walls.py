"""No kernel reads or writes a byte beside its arrays: each of them ends, or begins, at memory that no one may touch.

A kernel that does is killed by the processor, and pytest with it. This sees what ASan does not: masked loads and stores
that are written as assembly, and gathers.
"""

import ctypes
import mmap
import subprocess
import sys

import numpy as np
import pytest
import torch

from elman import compiled
from elman.kernels import native_status, ops, recurrence, reservoir_native, scan_native, variants
from elman.kernels.reservoir_weights import ReservoirWeights

NATIVE = native_status()
pytestmark = pytest.mark.skipif(not NATIVE.built, reason=NATIVE.why_not or "")
every_cell = pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
every_isa = pytest.mark.parametrize("isa", NATIVE.supported or [None])
both_dtypes = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
SIZES = [(1, 1, 1, 1), (4, 3, 3, 5), (5, 7, 19, 33), (3, 1, 20, 70), (30, 2, 9, 17)]  # T, B, I, H

libc = ctypes.CDLL(None, use_errno=True)
libc.mprotect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)


class Room:
    """Memory for so many bytes between two walls; the bytes lie at the second where `behind`, else at the first."""

    def __init__(self, size, behind):
        pages = -(-size // mmap.PAGESIZE)
        self.memory = mmap.mmap(-1, (pages + 2) * mmap.PAGESIZE)
        first = ctypes.addressof(ctypes.c_char.from_buffer(self.memory))
        self.address = first + mmap.PAGESIZE + (pages * mmap.PAGESIZE - size if behind else 0)
        for wall in (first, first + (pages + 1) * mmap.PAGESIZE):
            if libc.mprotect(wall, mmap.PAGESIZE, 0):
                raise OSError(ctypes.get_errno(), "mprotect")


class Walls:
    """Stands for the compiled module: what its functions get lies between walls for the time of the call."""

    def __init__(self, behind):
        self.native, self.behind, self.moved = compiled._native, behind, []

    def address(self, t):
        if t is None or t.numel() == 0:
            return 0
        size = t.numel() * t.element_size()
        room = Room(size, self.behind)
        ctypes.memmove(room.address, t.data_ptr(), size)
        self.moved.append((t, room, size))
        return room.address

    def __getattr__(self, name):
        function = getattr(self.native, name)

        def call(*args, **options):
            result = function(*args, **options)
            for t, room, size in self.moved:
                ctypes.memmove(t.data_ptr(), room.address, size)
            self.moved.clear()
            return result

        return call


@pytest.mark.parametrize("behind", [False, True])
def test_walls_kill(behind):
    code = (
        "import ctypes, importlib.util as u\n"
        f"spec = u.spec_from_file_location('walls', {__file__!r})\n"
        "walls = u.module_from_spec(spec)\n"
        "spec.loader.exec_module(walls)\n"
        f"room = walls.Room(100, {behind})\n"
        "ctypes.memset(room.address, 0, 100)\n"
        "print('inside', flush=True)\n"
        f"ctypes.memset(room.address + {100 if behind else -1}, 0, 1)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout == "inside\n", done.stderr
    assert done.returncode != 0


@pytest.fixture(params=["before", "behind"])
def walled(request, monkeypatch):
    """Calls a function twice, the second time between walls; gives both results."""

    def twice(function):
        expected = function()
        walls = Walls(request.param == "behind")
        with monkeypatch.context() as patch:
            patch.setattr(compiled, "_native", walls)
            for module in (recurrence, variants, scan_native, reservoir_native):
                patch.setattr(module, "address", walls.address)
            return function(), expected

    return twice


def assert_same(pair):
    for found, expected in zip(*pair, strict=True):
        assert torch.equal(found, expected)


def flags(T, B, seed=0):
    g = torch.Generator().manual_seed(seed)
    return {"lengths": torch.randint(0, T + 1, (B,), generator=g), "reset": torch.rand(T, B, generator=g) < 0.2}


def with_gradients(function, leaves):
    y, state = function(*leaves)
    outputs = [y, *(state if isinstance(state, tuple) else (state,))]
    return [*outputs, *torch.autograd.grad(outputs, leaves, [torch.ones_like(t) for t in outputs])]


def run_cell(cell, isa, made, **options):
    x, state, *weights = made
    state = state if isinstance(state, tuple) else (state,)
    leaves = [t.detach().requires_grad_() for t in (x, *state, *weights)]

    def call(x, *rest):
        given = rest[:2] if cell == "lstm" else rest[0]
        return getattr(ops, cell)(x, given, *rest[len(state) :], isa=isa, **options)

    return with_gradients(call, leaves)


@pytest.fixture(params=[(2, 1), (1, 2)], ids=["parts", "team"])
def shares(request, monkeypatch):
    parts, members = request.param
    monkeypatch.setattr(recurrence, "_shares", lambda a, back: (min(parts, a.x.shape[1]), members))


@every_cell
@every_isa
@both_dtypes
@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("masked", [False, True])
def test_cells(arguments, walled, shares, cell, isa, dtype, sizes, masked):
    made = arguments(cell, *sizes, dtype=dtype)
    options = flags(*sizes[:2]) if masked else {}
    assert_same(walled(lambda: run_cell(cell, isa, made, **options)))


@every_cell
@every_isa
@both_dtypes
@pytest.mark.parametrize("sizes", SIZES)
def test_cells_with_all_extras(arguments, walled, cell, isa, dtype, sizes):
    T, B, _, H = sizes
    R = (H + 1) // 2 if cell == "lstm" else H
    made = arguments(cell, *sizes, R=R if R != H else None, dtype=dtype)
    rows = made[2].shape[0]

    def draw(*shape):
        return torch.rand(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(dtype)

    options = flags(T, B) | {
        "norm_ih": draw(rows), "norm_hh": draw(rows), "mask": draw(B, R), "keep_h": draw(T, B, R) < 0.5,
    }  # fmt: skip
    if cell == "lstm":
        options |= {"peephole": draw(3, H), "norm_c": draw(H), "bias_c": draw(H), "keep_c": draw(T, B, H) < 0.5}
    assert_same(walled(lambda: run_cell(cell, isa, made, **options)))


@every_isa
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.complex64, torch.complex128])
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("sizes", [(1, 1, 1), (4, 3, 5), (3, 2, 33), (3, 5, 150)])
def test_scan(walled, monkeypatch, isa, dtype, shared, sizes):
    monkeypatch.setattr(compiled, "chosen_isa", lambda: isa)
    g = torch.Generator().manual_seed(0)
    T, B, H = sizes
    shapes = ((H,) if shared else sizes, sizes, (B, H))
    leaves = [torch.randn(shape, generator=g, dtype=dtype).requires_grad_() for shape in shapes]
    for options in ({}, flags(T, B)):
        scan = lambda *given, options=options: scan_native.scan(*given, **options)  # noqa: E731
        assert_same(walled(lambda scan=scan: with_gradients(scan, leaves)))


@every_isa
@both_dtypes
@pytest.mark.parametrize("sizes", SIZES)
def test_reservoir(walled, monkeypatch, isa, dtype, sizes):
    monkeypatch.setattr(compiled, "chosen_isa", lambda: isa)
    g = torch.Generator().manual_seed(0)
    T, B, I, N = sizes

    def draw(*shape):
        return torch.randn(shape, generator=g, dtype=torch.float64).to(dtype)

    weights = ReservoirWeights(draw(N, I), draw(N, N) * (torch.rand(N, N, generator=g) < 0.3), draw(N))
    x, h, feedback = draw(T, B, I), draw(B, N), draw(T, B, N)
    for options in ({}, flags(T, B) | {"feedback": feedback}):
        run = lambda options=options: reservoir_native.reservoir(x, h, weights, leak=0.5, **options)  # noqa: E731
        assert_same(walled(run))


@every_isa
@pytest.mark.parametrize("cell", compiled.CELLS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("behind", [False, True])
@pytest.mark.parametrize("sizes", SIZES)
def test_steps(isa, cell, dtype, behind, sizes):
    from elman.compiled.steps import Step

    _, B, I, H = sizes
    rng, rooms = np.random.default_rng(0), []

    def put(a):
        rooms.append(Room(a.nbytes, behind))
        inside = np.ctypeslib.as_array((ctypes.c_char * a.nbytes).from_address(rooms[-1].address)).view(a.dtype)
        inside = inside.reshape(a.shape)
        inside[:] = a
        return inside

    rows = {"lstm": 4, "gru": 3}.get(cell, 1) * H
    given = [rng.normal(size=shape).astype(dtype) for shape in ((rows, I), (rows, H), (rows,), (rows,))]
    x, state = rng.normal(size=(B, I)).astype(dtype), rng.normal(size=(2 if cell == "lstm" else 1, B, H)).astype(dtype)
    name, _, nonlinearity = cell.partition("_")
    options = {"isa": isa} | ({"nonlinearity": nonlinearity} if nonlinearity else {})
    inside, x_inside = put(state), put(x)
    Step(name, *given, **options)(x, state)
    Step(name, *map(put, given), **options)(x_inside, inside)
    np.testing.assert_array_equal(inside, state)
