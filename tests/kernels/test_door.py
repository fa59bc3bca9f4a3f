"""The door: which implementation runs, what it says about it, and that nothing is lost on the way."""

import pytest
import torch
from torch.testing import assert_close

from elman import compiled, kernels
from elman.kernels import fused, native_status, ops, reference

CELLS = ["rnn", "lstm", "gru"]
NATIVE = native_status()
needs_native = pytest.mark.skipif(not NATIVE.built, reason=NATIVE.why_not or "")


@pytest.fixture(autouse=True)
def unforced(monkeypatch):
    monkeypatch.delenv("ELMAN_KERNEL", raising=False)


@pytest.fixture
def ran(monkeypatch):
    """Names of the implementations that ran, as they did."""
    names = []
    for name, module in (("native", ops), ("torch", fused), ("reference", reference)):

        def spy(*args, name=name, run=module.run, **options):
            names.append(name)
            return run(*args, **options)

        monkeypatch.setattr(module, "run", spy)
    return names


@needs_native
@pytest.mark.parametrize("cell", CELLS)
def test_native_runs_what_it_covers_gradients_and_lengths_included(arguments, ran, cell):
    made = arguments(cell, 5, 3, 2, 4, requires_grad=True)
    y, _ = getattr(kernels, cell)(*made)
    assert y.requires_grad
    getattr(kernels, cell)(*made, lengths=torch.tensor([5, 1, 0]))
    if cell == "lstm":
        getattr(kernels, cell)(*arguments(cell, 5, 3, 2, 4, R=3))
    assert set(ran) == {"native"}
    assert kernels.explain(cell, *made) == f"{cell} runs on the native kernels: they cover this call ({NATIVE.isa})."


def test_the_reference_runs_under_autocast(arguments, ran):
    made = arguments("lstm", 5, 3, 2, 4, dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        y, _ = kernels.lstm(*made)
        assert ran == ["reference"]
        assert "autocast is active" in kernels.explain("lstm", *made)
    # bfloat16 has 8 bits, a sum of some of its numbers an error of a few times 2^-9
    assert_close(y.float(), kernels.lstm(*made)[0], rtol=2e-2, atol=2e-2)


def test_the_reference_runs_the_rest(arguments, ran, monkeypatch):
    monkeypatch.setattr(compiled, "WHY_NOT", "the native kernels were not built: no compiler")
    made, lengths = arguments("lstm", 5, 3, 2, 4, R=3), torch.tensor([5, 0, 2])
    kernels.lstm(*made, lengths=lengths)
    assert ran == ["reference"]
    assert kernels.explain("lstm", *made, lengths=lengths).endswith(
        "torch's implementation refuses a sequence of length 0."
    )


def test_full_lengths_are_no_lengths(arguments, monkeypatch):
    seen = []
    for module in (ops, fused):
        run = module.run
        monkeypatch.setattr(module, "run", lambda a, *rest, run=run: (seen.append(a.lengths), run(a, *rest))[1])
    made = arguments("gru", 5, 3, 2, 4)
    kernels.gru(*made, lengths=torch.tensor([5, 5, 5]))
    kernels.gru(*made, lengths=torch.tensor([5, 4, 5]))
    assert seen[0] is None
    assert seen[1].tolist() == [5, 4, 5]


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("forced", ["torch", "reference"])
def test_elman_kernel_forces_an_implementation(arguments, ran, monkeypatch, cell, forced):
    monkeypatch.setenv("ELMAN_KERNEL", forced)
    made = arguments(cell, 5, 3, 2, 4)
    getattr(kernels, cell)(*made)
    assert ran == [forced]
    assert kernels.explain(cell, *made).endswith("ELMAN_KERNEL forces it.")


@needs_native
def test_elman_kernel_forces_native(arguments, ran, monkeypatch):
    monkeypatch.setenv("ELMAN_KERNEL", "native")
    kernels.rnn(*arguments("rnn", 5, 3, 2, 4))
    assert ran == ["native"]


@pytest.mark.parametrize(
    ("forced", "cell", "options", "message"),
    [
        ("torch", "lstm", {"lengths": torch.tensor([5, 0, 2])}, "refuses a sequence of length 0"),
        ("magic", "lstm", {}, "ELMAN_KERNEL: expected one of native, torch, reference; found 'magic'"),
    ],
)
def test_a_forced_choice_that_can_not_be_met_raises(arguments, monkeypatch, forced, cell, options, message):
    monkeypatch.setenv("ELMAN_KERNEL", forced)
    made = arguments(cell, 5, 3, 2, 4)
    for call in (getattr(kernels, cell), lambda *a, **k: kernels.explain(cell, *a, **k)):
        with pytest.raises((RuntimeError, ValueError)) as caught:
            call(*made, **options)
        assert message in str(caught.value)


@needs_native
def test_forced_native_under_autocast_raises(arguments, monkeypatch):
    monkeypatch.setenv("ELMAN_KERNEL", "native")
    with torch.autocast("cpu", torch.bfloat16), pytest.raises(RuntimeError, match="but autocast is active"):
        kernels.lstm(*arguments("lstm", 5, 3, 2, 4, dtype=torch.float32))


def test_without_the_extension_it_says_so_and_runs(arguments, ran, monkeypatch):
    monkeypatch.setattr(compiled, "WHY_NOT", "the native kernels were not built: no compiler")
    made = arguments("rnn", 5, 3, 2, 4)
    kernels.rnn(*made)
    assert ran == ["torch"]
    assert "were not built: no compiler" in kernels.explain("rnn", *made)
    assert kernels.native_status() == kernels.NativeStatus(False, compiled.WHY_NOT, (), (), None, False)


# Transforms: kernels would silently drop what these carry, so values are compared, not only that nothing is raised.


@pytest.mark.parametrize("cell", CELLS)
def test_vmap_goes_to_the_reference(arguments, ran, cell):
    x, state, *weights = arguments(cell, 5, 3, 2, 4)
    xs = torch.stack([x, 2 * x, -x])
    function = getattr(kernels, cell)
    found = torch.func.vmap(lambda x: function(x, state, *weights)[0])(xs)
    assert ran == ["reference"]
    assert_close(found, torch.stack([function(x, state, *weights)[0] for x in xs]), rtol=1e-12, atol=1e-12)


# torch loads its own rules for forward mode by a function that it has deprecated.
@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")
@pytest.mark.parametrize("way", ["torch.func", "forward_ad"])
@pytest.mark.parametrize("cell", CELLS)
def test_forward_mode_goes_to_the_reference(arguments, ran, cell, way):
    x, state, *weights = arguments(cell, 5, 3, 2, 4)
    tangent = torch.ones_like(x)

    def y(x):
        return getattr(kernels, cell)(x, state, *weights)[0]

    if way == "torch.func":
        _, found = torch.func.jvp(y, (x,), (tangent,))
    else:
        with torch.autograd.forward_ad.dual_level():
            dual = torch.autograd.forward_ad.make_dual(x, tangent)
            found = torch.autograd.forward_ad.unpack_dual(y(dual)).tangent
    assert ran == ["reference"]
    step = 1e-6  # central differences: an error of step^2 and of 1e-16 / step
    assert_close(found, (y(x + step * tangent) - y(x - step * tangent)) / (2 * step), rtol=1e-7, atol=1e-8)


def test_a_subclass_of_tensor_goes_to_the_reference(arguments, ran):
    class Marked(torch.Tensor):
        pass

    x, *rest = arguments("rnn", 5, 3, 2, 4)
    y, _ = kernels.rnn(x.as_subclass(Marked), *rest)
    assert ran == ["reference"]
    assert type(y) is Marked


def test_wrong_shapes_are_named_whatever_runs(arguments, monkeypatch):
    x, state, W_ih, *rest = arguments("lstm", 5, 3, 2, 4)
    for forced in ("torch", "reference"):
        monkeypatch.setenv("ELMAN_KERNEL", forced)
        with pytest.raises(
            ValueError, match=r"lstm: these shapes do not fit together: x \(5, 3, 2\), .*W_ih \(16, 1\)"
        ):
            kernels.lstm(x, state, W_ih[:, :1], *rest)
