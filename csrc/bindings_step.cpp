// Python's way to single steps, for streams. Arrays come through the buffer protocol: where a step takes a microsecond,
// nb::ndarray costs too much. src/elman/compiled/steps.py is the only caller.
#include <algorithm>
#include <optional>
#include <string_view>

#include "bindings.h"

namespace {

using Shape = std::initializer_list<int64_t>;

template <class Sizes>
std::string tuple(const Sizes& sizes) {
    std::string found;
    for (int64_t size : sizes) found += (found.empty() ? "" : ", ") + text(size);
    return "(" + found + (sizes.size() == 1 ? ",)" : ")");
}

// An array of Python's, held for as long as this lives. What it takes to say what is wrong with it runs only then.
class Array {
  public:
    Array(const char* name, nb::handle object) : name(name) {
        if (PyObject_GetBuffer(object.ptr(), &view, PyBUF_RECORDS_RO) == 0) return;
        nb::python_error cause;
        const nb::str type = nb::inst_name(object);
        nb::raise_from(cause, PyExc_TypeError, "%s: expected a numpy array, found %s", name, type.c_str());
    }
    ~Array() { PyBuffer_Release(&view); }
    Array(const Array&) = delete;
    Array& operator=(const Array&) = delete;

    int dimensions() const { return view.ndim; }
    // 1 where there is no such dimension or nothing in it: as no array here may be empty, `expect` then refuses it.
    int64_t size(int dimension) const {
        return dimension < view.ndim ? std::max<int64_t>(view.shape[dimension], 1) : 1;
    }

    Dtype dtype() const {
        if (is(float32)) return float32;
        if (is(float64)) return float64;
        throw nb::type_error((name + (": expected float32 or float64, found " + found())).c_str());
    }

    void expect(Dtype dtype, Shape shape, bool writable = false) const {
        if (is(dtype) && has(shape) && contiguous() && aligned() && !(writable && view.readonly)) return;
        const std::string message = name + (": expected " + of(dtype) + " of shape " + tuple(shape) +
                                            ", C-contiguous, aligned" + (writable ? ", writable" : "") +
                                            "; found " + found());
        if (is(dtype)) throw nb::value_error(message.c_str());
        throw nb::type_error(message.c_str());
    }

    bool overlaps(const Array& other) const {
        const char *begin = data<char>(), *others = other.data<char>();
        return begin < others + other.view.len && others < begin + view.len;
    }

    template <class T>
    T* data() const { return static_cast<T*>(view.buf); }

  private:
    static std::string of(Dtype dtype) { return dtype == float32 ? "float32" : "float64"; }
    std::string_view format() const { return view.format ? view.format : "B"; }
    bool is(Dtype dtype) const { return format() == (dtype == float32 ? "f" : "d"); }
    bool has(Shape shape) const { return std::equal(shape.begin(), shape.end(), view.shape, view.shape + view.ndim); }
    bool contiguous() const { return PyBuffer_IsContiguous(&view, 'C'); }
    bool aligned() const {
        return reinterpret_cast<uintptr_t>(view.buf) % (is(float32) ? sizeof(float) : sizeof(double)) == 0;
    }

    std::string found() const {
        const std::string other = "format '" + std::string(format()) + "'";
        return (is(float32) ? of(float32) : is(float64) ? of(float64) : other) + " of shape " +
               tuple(std::vector<int64_t>(view.shape, view.shape + view.ndim)) +
               (contiguous() ? "" : ", not contiguous") + (aligned() ? "" : ", not aligned") +
               (view.readonly ? ", read-only" : "");
    }

    const char* name;
    Py_buffer view;
};

// Memory that begins with a line of the cache, which only ever grows.
class Memory {
  public:
    template <class Real>
    Real* numbers(size_t count) {
        const size_t wanted = (count * sizeof(Real) + sizeof(Line) - 1) / sizeof(Line);
        if (lines.size() < wanted) lines.resize(wanted);
        return reinterpret_cast<Real*>(lines.data());
    }

  private:
    struct alignas(64) Line { char bytes[64]; };
    std::vector<Line> lines;
};

// A cell with its weights packed, that moves states on by one step.
class Step {
  public:
    Step(size_t isa, int cell, nb::handle W_ih, nb::handle W_hh, nb::handle b_ih, nb::handle b_hh)
        : isa(isa), cell(cell) {
        if (cell < 0 || cell >= elman::cells)
            throw nb::value_error(("expected a cell below " + text(elman::cells) + ", found " + text(cell)).c_str());
        if (b_ih.is_none() != b_hh.is_none())
            throw nb::value_error("expected both biases b_ih and b_hh or neither, found one");
        const Array input("W_ih", W_ih), hidden("W_hh", W_hh);
        std::optional<Array> b_input, b_hidden;
        dtype = hidden.dtype(), I = input.size(1), H = hidden.size(1);
        const int64_t rows = elman::gates(elman::Cell(cell)) * H;
        input.expect(dtype, {rows, I});
        hidden.expect(dtype, {rows, H});
        if (!b_ih.is_none()) b_input.emplace("b_ih", b_ih).expect(dtype, {rows});
        if (!b_hh.is_none()) b_hidden.emplace("b_hh", b_hh).expect(dtype, {rows});
        with(isa, cell, dtype, [&]<class Real>(const elman::Kernels<Real>& kernels) {
            const auto of = [](const std::optional<Array>& a) { return a ? a->data<const Real>() : nullptr; };
            kernels.pack({
                .T = 1, .B = 1, .I = I, .H = H, .parts = 1,
                .W_ih = input.data<const Real>(), .W_hh = hidden.data<const Real>(),
                .b_ih = of(b_input), .b_hh = of(b_hidden),
                .packed = packed.numbers<Real>(kernels.forward_workspace(1, 1, I, H, 1)),
            }, 0, 1);
        });
    }

    void move(nb::handle x, nb::handle state) {
        // An array may be an object whose Python code runs here and calls this very step; after this no Python runs.
        const Array from("x", x), to("state", state);
        const int64_t B = to.size(1);
        to.expect(dtype, {cell == elman::lstm ? 2 : 1, B, H}, true);
        if (B == 1 && from.dimensions() == 1) from.expect(dtype, {I});
        else from.expect(dtype, {B, I});
        if (from.overlaps(to))
            throw nb::value_error("x, state: expected arrays that share no memory, found an overlap");
        with(isa, cell, dtype, [&]<class Real>(const elman::Kernels<Real>& kernels) {
            Real *h = to.data<Real>(), *c = cell == elman::lstm ? h + B * H : nullptr;
            kernels.forward({
                .T = 1, .B = B, .I = I, .H = H, .parts = 1,
                .x = from.data<const Real>(), .h_0 = h, .c_0 = c,
                .y = y.numbers<Real>(size_t(B * H)), .h_n = h, .c_n = c, .packed = packed.numbers<Real>(0),
            }, 0, 0, B, {});
        });
    }

  private:
    size_t isa;
    int cell;
    Dtype dtype;
    int64_t I, H;
    Memory packed, y;
};

}  // namespace

void bind_step(nb::module_& m) {
    nb::class_<Step>(m, "Step", "A cell with its weights packed; elman.compiled.steps.Step says the rest.")
        .def(nb::init<size_t, int, nb::handle, nb::handle, nb::handle, nb::handle>(), "isa"_a, "cell"_a,
             "W_ih"_a.none(), "W_hh"_a.none(), "b_ih"_a.none(), "b_hh"_a.none())
        .def("__call__", &Step::move, "x"_a.none(), "state"_a.none(),
             "Moves the state one step on, in place. Holds the GIL.");
}
