"""Whatever is handed to the kernels, an exception or a right answer comes back: never a crash, never a wrong number.

Addresses are plain numbers in the compiled module, so that wild ones can't be told from good ones; all else is tried.
tests/compiled/test_steps.py does the same for single steps.
"""

import math
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from elman import compiled, kernels
from elman.kernels import ReservoirWeights, native_status, reference, reservoir_reference, scan_reference
from elman.kernels.arguments import FIRST, GATES, Arguments

NATIVE = native_status()
pytestmark = [
    pytest.mark.skipif(not NATIVE.built, reason=NATIVE.why_not or ""),
    pytest.mark.filterwarnings("ignore:Sparse CS. tensor support is in beta:UserWarning"),
]
T, B, I, H = 3, 2, 4, 5
quick = settings(max_examples=150, deadline=None, derandomize=True)

# --- the compiled module ----------------------------------------------------------------------------------------------

LARGEST = 1 << 15
SIZES = {"isa": 0, "cell": 2, "dtype": 0, "parts": 1, "members": 1, "T": T, "B": B, "I": I, "H": H}
INPUTS = ("x", "h_0", "c_0", "W_ih", "W_hh")
SCAN = {"isa": 0, "dtype": 0, "complex": False, "threads": 1, "T": T, "B": B, "H": H, "a_step": 0, "a_row": 0}
VARIANT = {"isa": 0, "cell": 2, "dtype": 0, "parts": 1, "T": T, "B": B, "I": I, "H": H, "R": H}
ZONEOUT = {"zoneout_h": 0.1, "zoneout_c": 0.1}
EXTRAS = ("W_hr", "peephole", "norm_ih", "norm_hh", "norm_c", "bias_c", "mask")
FLAGS = {"keep_h": 0, "keep_c": 0, "lengths": 0, "reset": 0}
WHAT = {"projected": True, "normed": True}
# The numbers of each function, its arrays, and which of these it can do without.
OF_WEIGHTS, OF_BIASES = ("of_W_ih", "of_W_hh"), ("of_b_ih", "of_b_hh")
FUNCTIONS = {
    "forward_workspace": ({k: v for k, v in SIZES.items() if k != "members"}, (), ()),
    "backward_workspace": (SIZES, (), ()),
    "forward": (
        SIZES | {"lengths": 0, "reset": 0, "packed_size": LARGEST},
        (*INPUTS, "b_ih", "b_hh", "y", "h_n", "c_n", "saved", "c", "packed"),
        ("h_0", "c_0", "b_ih", "b_hh", "saved"),
    ),
    "backward": (
        SIZES | {"lengths": 0, "reset": 0, "packed_size": LARGEST},
        (*INPUTS, "y", "saved", "c", "dy", "dx", "dh", "dc", "dW_ih", "dW_hh", *OF_WEIGHTS, *OF_BIASES, "packed"),
        ("h_0", "c_0", "dy", "dx", *OF_BIASES),
    ),
    "variant_saved_numbers": ({"cell": 2, "H": H, "normed": True}, (), ()),
    "variant_small_numbers": ({"cell": 2, "H": H}, (), ()),
    "variant_forward_workspace": (VARIANT | WHAT, (), ()),
    "variant_backward_workspace": (VARIANT | WHAT, (), ()),
    "variant_forward": (
        VARIANT | ZONEOUT | FLAGS | {"packed_size": LARGEST},
        (*INPUTS, "b_ih", "b_hh", *EXTRAS, "y", "h_n", "c_n", "saved", "c", "bars", "packed"),
        ("h_0", "c_0", "b_ih", "b_hh", "W_hr", "peephole", "norm_ih", "bias_c", "mask", "saved", "bars"),
    ),
    "variant_backward": (
        VARIANT | ZONEOUT | FLAGS | {"packed_size": LARGEST},
        (*INPUTS, *EXTRAS, "y", "saved", "c", "dy", "dx", "dh", "dc", "dW_ih", "dW_hh", "dW_hr", "dsmall", "squares",
         "packed"),
        ("h_0", "c_0", "W_hr", "peephole", "norm_ih", "bias_c", "mask", "dy", "dx", "squares"),
    ),
    "scan_forward": (SCAN | {"lengths": 0, "reset": 0}, ("a", "b", "h_0", "h", "h_n"), ("h_0",)),
    "scan_backward": (
        SCAN | {"lengths": 0, "reset": 0}, ("a", "h", "h_0", "dh", "dh_n", "da", "db", "dh_0"),
        ("h_0", "dh", "dh_n", "da"),
    ),
    "reservoir_forward": (
        {"isa": 0, "dtype": 0, "parts": 1, "members": 1, "T": T, "B": B, "I": I, "N": H, "leak": 0.5, "lengths": 0,
         "reset": 0},
        ("x", "h_0", "feedback", "starts", "values", "columns", "units", "places", "W_in", "b", "y", "h_n", "states"),
        ("h_0", "feedback", "values", "columns"),  # `starts` of zeros is a W without numbers
    ),
}  # fmt: skip
SMALL = {
    "isa": st.sampled_from(range(len(NATIVE.supported))),
    "cell": st.integers(0, 3),
    "dtype": st.integers(0, 1),
    "parts": st.integers(1, B),
    "members": st.just(1),
    "threads": st.integers(1, 3),
    "R": st.integers(1, H),
    "packed_size": st.integers(0, LARGEST),
    "leak": st.floats(0, 1),
    "zoneout_h": st.floats(0, 1),
    "zoneout_c": st.floats(0, 1),
} | dict.fromkeys(("T", "B", "I", "H", "N"), st.integers(1, 5))
IMPOSSIBLE = st.sampled_from(
    [-(2**63), -(2**31), -1, 0, 2**61, 2**62, 2**63 - 1, 2**63, 2**64, 10**30, None, "3", 1.5, [3], (), b"3", object]
)
NO_NUMBER = st.sampled_from([None, "3", [3], (), object, -1, 2**64])
# More than enough for every size that is let through; one for each array, as none that is written may be another.
MEMORY = {
    name: torch.zeros(LARGEST if name == "packed" else 1 << 12, dtype=torch.float64)
    for name in {array for _, arrays, _ in FUNCTIONS.values() for array in arrays}
}


def addresses(names):
    return {name: MEMORY[name].data_ptr() for name in names}


@pytest.mark.parametrize("name", FUNCTIONS)
@quick
@given(data=st.data())
def test_numbers_that_can_not_be_raise(name, data):
    numbers, arrays, optional = FUNCTIONS[name]
    made = numbers | addresses(arrays)
    kinds = sorted(set(numbers) & set(SMALL))
    odd = data.draw(st.sampled_from([None, *kinds, *arrays]), label="odd")
    changed = data.draw(st.sets(st.sampled_from(kinds), max_size=3), label="changed")
    for kind in changed:
        made[kind] = data.draw(SMALL[kind], label=kind)
    possible = odd in optional or odd is None
    if odd in kinds:
        bad = [0, -1, "1", None] if odd == "members" else []
        made[odd] = data.draw(st.sampled_from(bad) if bad else IMPOSSIBLE, label=odd)
    elif odd is not None:
        made[odd] = 0 if possible else data.draw(st.just(0) | NO_NUMBER, label=odd)
    try:
        result = getattr(compiled._native, name)(**made)
    except (ValueError, TypeError) as error:
        assert str(error)
        assert changed or not possible
    else:
        # 0 is a good isa, cell, dtype and leak; a workspace may be large; arrays of another cell may be left out
        assert possible or odd in ("isa", "cell", "dtype", "leak", "zoneout_h", "zoneout_c", "packed_size", *arrays)
        assert result is None or result >= 0


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name.endswith(("workspace", "numbers"))])
@quick
@given(data=st.data())
def test_workspaces_of_any_size_are_positive_or_refused(name, data):
    """Also where a size is as large as can be: a sum that wrapped around would ask for too little memory."""
    numbers, *_ = FUNCTIONS[name]
    large = st.integers(0, 63).map(lambda bits: 2**bits - 1) | st.integers(0, 63).map(lambda bits: 2**bits)
    sized = {k: data.draw(large, label=k) for k in ("T", "B", "I", "H", "R", "parts", "members") if k in numbers}
    kinds = {k: data.draw(SMALL[k], label=k) for k in ("cell", "dtype") if k in numbers}
    made = numbers | sized | kinds
    try:
        found = getattr(compiled._native, name)(**made)
    except (ValueError, TypeError):
        return
    H, widest = made["H"], max(made.get("I", 1), made.get("R", 1))
    assert H * widest <= found < 2**63


@pytest.mark.parametrize(("name", "of"), [("scan_forward", "threads"), ("reservoir_forward", "members")])
@pytest.mark.parametrize("threads", [0, -1, -(2**31), 2**20])
def test_a_number_of_threads_that_can_not_be_raises(name, of, threads):
    numbers, arrays, _ = FUNCTIONS[name]
    made = numbers | addresses(arrays) | {of: threads}
    with pytest.raises(ValueError, match="expected threads from 1 to"):
        getattr(compiled._native, name)(**made)


# --- the doors --------------------------------------------------------------------------------------------------------

D = torch.float64


class Marked(torch.Tensor):
    pass


# Memory of any order is read right; all else is read right too, or refused.
LAYOUTS = {
    "transposed": lambda t: t.transpose(0, -1).contiguous().transpose(0, -1),
    "strided": lambda t: t.repeat_interleave(2, -1)[..., ::2],
    "shifted": lambda t: torch.cat([t.flatten()[:1], t.flatten()])[1:].view(t.shape),
    "expanded": lambda t: t[:1].expand_as(t),
    "wholly expanded": lambda t: t.flatten()[0].expand_as(t),
    "parameter": lambda t: torch.nn.Parameter(t, requires_grad=False),
    "needs a gradient": lambda t: t.clone().requires_grad_(t.is_floating_point()),
}
ODD = {
    "negated": lambda t: torch._neg_view(t) if t.is_floating_point() else t,
    **{
        str(dtype): lambda t, dtype=dtype: t.to(dtype)
        for dtype in (torch.float16, torch.bfloat16, torch.float32, D, torch.int64, torch.int32, torch.bool,
                      torch.complex64, torch.complex128, torch.uint8, torch.float8_e4m3fn)
    },
    "meta": lambda t: t.to("meta"),
    "sparse": lambda t: t.to_sparse(),
    "csr": lambda t: t.to_sparse_csr() if t.dim() == 2 else t.to_sparse(),
    "mkldnn": lambda t: t.to_mkldnn() if t.dtype == torch.float32 else t,
    "a number": lambda t: t.flatten()[0],
    "a row": lambda t: t[0],
    "a dimension more": lambda t: t[None],
    "no columns": lambda t: t[..., :0],
    "no rows": lambda t: t[:0],
    "more rows": lambda t: torch.cat([t, t]),
    "fewer rows": lambda t: t[1:],
    "more columns": lambda t: torch.cat([t, t], -1),
    "fewer columns": lambda t: t[..., 1:],
    "huge": lambda t: t.flatten()[0].expand(2**40),
    "huge batch": lambda t: t.flatten()[0].expand(1, 2**40, *t.shape[2:]),
    "larger": lambda t: t + 100 if t.dtype != torch.bool else t,
    "negative": lambda t: t - 50 if t.dtype != torch.bool else t,
    "subclass": lambda t: t.as_subclass(Marked),
    "nothing": lambda t: None,
    "numpy": lambda t: t.numpy(),
    "list": lambda t: t.tolist(),
    "text": lambda t: "text",
    "integer": lambda t: 3,
    "float": lambda t: 0.5,
    "nan": lambda t: math.nan,
    "object": lambda t: object(),
    "type": lambda t: torch.Tensor,
}  # fmt: skip
fits = settings(max_examples=200, deadline=None, derandomize=True)


def tensors(dtype, **shapes):
    g = torch.Generator().manual_seed(0)
    return {name: (torch.rand(shape, generator=g, dtype=D) - 0.5).to(dtype) for name, shape in shapes.items()}


def masks():
    return {"lengths": torch.tensor([3, 1]), "reset": torch.tensor([[False, False], [True, False], [False, False]])}


def of_cell(cell, dtype):
    rows = GATES.get(cell, 1) * H
    made = tensors(dtype, x=(T, B, I), h=(B, H), W_ih=(rows, I), W_hh=(rows, H), b_ih=(rows,), b_hh=(rows,))
    return made | (tensors(dtype, c=(B, H)) if cell == "lstm" else {}) | masks()


def run_cell(cell, module, made):
    made = dict(made)
    state = made.pop("h")
    if cell == "lstm":
        state = None if state is made["c"] is None else (state, made["c"])
        del made["c"]
    return getattr(module, cell)(made.pop("x"), state, **made)


def run_scan(module, made):
    return module.scan(**made)


def run_reservoir(module, made):
    made = dict(made)
    W_in, W, b = (made.pop(name) for name in ("W_in", "W", "b"))
    x, h = made.pop("x"), made.pop("h")
    if module is kernels:
        return kernels.reservoir(x, h, ReservoirWeights(W_in, W, b), **made)
    return module.reservoir(x, h, W_in, W, b, **made)


DOORS = {
    **{
        cell: (partial(of_cell, cell), partial(run_cell, cell), reference)
        for cell in ("rnn", "lstm", "gru")
    },
    "scan": (
        lambda dtype: tensors(dtype, a=(T, B, H), b=(T, B, H), h_0=(B, H)) | masks(), run_scan, scan_reference,
    ),
    "reservoir": (
        lambda dtype: tensors(dtype, x=(T, B, I), h=(B, H), feedback=(T, B, H), W_in=(H, I), W=(H, H), b=(H,))
        | masks() | {"leak": 0.5},
        run_reservoir, reservoir_reference,
    ),
}  # fmt: skip


def exact(t):
    """The same numbers in memory as plain as can be."""
    if not isinstance(t, torch.Tensor):
        return t
    t = t.detach().as_subclass(torch.Tensor).to_dense().resolve_neg().contiguous()
    return t.to(D) if t.is_floating_point() else t


def flat(results):
    y, state = results
    return [y, *(state if isinstance(state, tuple) else (state,))]


@pytest.mark.parametrize("forced", ["native", ""])
@pytest.mark.parametrize("door", DOORS)
@fits
@given(data=st.data())
def test_what_does_not_fit_raises_and_what_fits_is_read_right(door, forced, data):
    make, run, twin = DOORS[door]
    dtype = data.draw(st.sampled_from([torch.float32, D]), label="dtype")
    made = make(dtype)
    names = [name for name in made if name != "leak"]
    for name in data.draw(st.sets(st.sampled_from(names), max_size=3), label="laid out"):
        made[name] = LAYOUTS[data.draw(st.sampled_from(list(LAYOUTS)), label=name)](made[name])
    odd = data.draw(st.none() | st.sampled_from(list(made)), label="odd")
    if odd is not None:
        how = data.draw(st.sampled_from(list(ODD)), label=odd)
        try:
            made[odd] = ODD[how](torch.tensor(made[odd]) if odd == "leak" else made[odd].detach())
        except (RuntimeError, TypeError, IndexError):  # torch has no such tensor
            return
    if door == "reservoir" and forced:
        made = {
            name: t.detach() if isinstance(t, torch.Tensor) else t for name, t in made.items()
        }  # it has no gradient
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ELMAN_KERNEL", forced)
        try:
            found = flat(run(kernels, made))
        except (ValueError, TypeError, RuntimeError) as error:
            assert odd is not None, error
            assert str(error)
            return
    try:
        expected = flat(run(twin, {name: exact(t) for name, t in made.items()}))
    except Exception:  # the door was wider than the twin
        return
    tolerance = 5e-6 if made[next(iter(made))].dtype == torch.float32 else 1e-12
    assert_close([exact(t) for t in found], expected, rtol=tolerance, atol=tolerance, equal_nan=True)
    leaves = [t for t in made.values() if isinstance(t, torch.Tensor) and t.requires_grad]
    if leaves:
        gradients = torch.autograd.grad(sum(t.sum() for t in found), leaves, allow_unused=True)
        assert all(g is None or g.shape == t.shape for g, t in zip(gradients, leaves, strict=True))


@pytest.mark.parametrize("door", DOORS)
def test_tensors_whose_memory_was_freed_raise(door, monkeypatch):
    """Some libraries do that to save it. torch itself crashes where it looks at their numbers."""
    monkeypatch.setenv("ELMAN_KERNEL", "native")
    make, run, _ = DOORS[door]
    for name in set(make(D)) - {"lengths", "leak", "W_in", "W", "b" if door == "reservoir" else ""}:
        made = make(D)
        made[name].untyped_storage().resize_(0)
        with pytest.raises(RuntimeError, match="memory"):
            run(kernels, made)


@pytest.mark.parametrize("door", DOORS)
def test_sound_arguments_pass(door):
    make, run, twin = DOORS[door]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ELMAN_KERNEL", "native")
        assert_close(flat(run(kernels, make(D))), flat(run(twin, make(D))), rtol=1e-12, atol=1e-12)


# --- torch's ops ------------------------------------------------------------------------------------------------------
#
# Everyone can call them, past the doors.


def recurrence_call(cell, dtype):
    """`(forward, backward)`: the arguments of both ops, by name."""
    made = of_cell(cell, dtype)
    given = dict.fromkeys(Arguments._fields)
    given |= {"cell": f"{cell}_tanh" if cell == "rnn" else cell, "zoneout_h": 0.0, "zoneout_c": 0.0}
    given |= {"h_0" if name == "h" else "c_0" if name == "c" else name: t for name, t in made.items()}
    forward = list(given.items())
    forward.insert(FIRST, ("keep", True))
    forward = dict(forward)
    y, h_n, c_n, saved, c = torch.ops.elman.recurrence(*forward.values())
    backward = {"need_dx" if name == "keep" else name: t for name, t in forward.items()}
    dc_n = c_n if cell == "lstm" else None
    return forward, backward | {"y": y, "saved": saved, "c": c, "dy": y.clone(), "dh_n": h_n, "dc_n": dc_n}


def scan_call(dtype):
    forward = DOORS["scan"][0](dtype)
    h, h_n = torch.ops.elman.scan(*forward.values())
    backward = {"h" if name == "b" else name: t for name, t in forward.items()} | {"h": h}
    return forward, backward | {"dh": h.clone(), "dh_n": h_n, "da_wanted": True}


def reservoir_call(dtype):
    made = DOORS["reservoir"][0](dtype)
    rows, columns = made["W"].nonzero(as_tuple=True)
    names = ("x", "h", "feedback", "lengths", "reset", "leak", "W_in")
    weights = {"rows": rows, "columns": columns, "values": made["W"][rows, columns], "b": made["b"]}
    return {name: made[name] for name in names} | weights


OPS = {
    **{
        f"recurrence of {cell}": lambda dtype, cell=cell: recurrence_call(cell, dtype)[0]
        for cell in ("rnn", "lstm", "gru")
    },
    **{
        f"recurrence_backward of {cell}": lambda dtype, cell=cell: recurrence_call(cell, dtype)[1]
        for cell in ("rnn", "lstm", "gru")
    },
    "scan": lambda dtype: scan_call(dtype)[0],
    "scan_backward": lambda dtype: scan_call(dtype)[1],
    "reservoir": reservoir_call,
}


@pytest.mark.parametrize("name", OPS)
@quick
@given(data=st.data())
def test_ops_refuse_what_does_not_fit_and_read_the_rest_right(name, data):
    made = OPS[name](data.draw(st.sampled_from([torch.float32, D]), label="dtype"))
    op = getattr(torch.ops.elman, name.partition(" ")[0]).default
    there = [k for k, t in made.items() if isinstance(t, torch.Tensor)]
    expected = op(*made.values())
    changed = data.draw(st.sets(st.sampled_from(there), max_size=2), label="laid out")
    sameness = [k for k in LAYOUTS if "expanded" not in k and "gradient" not in k]
    for k in changed:
        made[k] = LAYOUTS[data.draw(st.sampled_from(sameness), label=k)](made[k])
    odd = data.draw(st.none() | st.sampled_from([*there, *(k for k, t in made.items() if isinstance(t, str | float))]))
    if odd in there:
        how = data.draw(st.sampled_from([*ODD, *LAYOUTS]), label=odd)
        try:
            made[odd] = (ODD | LAYOUTS)[how](made[odd])
        except (RuntimeError, TypeError, IndexError):
            return
    elif odd is not None:
        made[odd] = data.draw(st.sampled_from(["lstn", "", None, -1.0, 2.0, math.nan, 3]), label=odd)
    try:
        found = op(*made.values())
    except (ValueError, TypeError, RuntimeError) as error:
        assert odd is not None, error
        assert str(error)
    else:
        if odd is None:
            assert_close(found, expected, rtol=0, atol=0, equal_nan=True)
