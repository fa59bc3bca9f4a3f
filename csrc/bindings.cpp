// Python's way to the kernels. Arrays come as addresses (Tensor.data_ptr()), which costs 0.1 us where DLPack costs 9 to
// 15; that an address belongs to a tensor of the right shape and type is checked in ops.py, the only caller.
#include "bindings.h"

namespace {

std::vector<std::string> names(bool supported_only) {
    std::vector<std::string> found;
    for (size_t i = 0; elman::table(i); ++i)
        if (!supported_only || elman::supported(i)) found.emplace_back(elman::table(i)->name);
    return found;
}

void check(int cell, int dtype, int64_t T, int64_t B, int64_t I, int64_t H) {
    // A packed panel is never more than 64 units wide, and a step never keeps more than 8 numbers a unit.
    const bool possible = T >= 1 && B >= 1 && I >= 1 && H >= 1 && addressable(T, B, I) && H < (int64_t(1) << 31) &&
                          I < (int64_t(1) << 31) && addressable(T, B, 8 * (H + 64)) && addressable(H + 64, I + H + 1, 8);
    if (possible && cell >= 0 && cell < elman::cells && (dtype == float32 || dtype == float64)) return;
    throw nb::value_error(("expected a cell below " + text(elman::cells) + ", dtype 0 (float32) or 1 (float64), and sizes of "
                           "at least 1 that fit into memory; found cell=" + text(cell) + ", dtype=" + text(dtype) + ", T=" +
                           text(T) + ", B=" + text(B) + ", I=" + text(I) + ", H=" + text(H)).c_str());
}

void check_packed(size_t expected, size_t found) {
    if (found < expected)
        throw nb::value_error(("expected a workspace of " + text(expected) + " numbers, found " + text(found)).c_str());
}

// Calls work with the kernels of the cell in its precision.
template <class Work>
auto with(size_t isa, int cell, int dtype, const Work& work) {
    const elman::Table& table = chosen(isa);
    return dtype == float32 ? work(*table.f32[cell]) : work(*table.f64[cell]);
}

size_t forward_workspace(size_t isa, int cell, int dtype, int64_t T, int64_t B, int64_t I, int64_t H) {
    check(cell, dtype, T, B, I, H);
    return with(isa, cell, dtype, [&](const auto& k) { return k.forward_workspace(T, B, I, H); });
}

size_t backward_workspace(size_t isa, int cell, int dtype, int64_t H) {
    check(cell, dtype, 1, 1, 1, H);
    return with(isa, cell, dtype, [&](const auto& k) { return k.backward_workspace(H); });
}

void forward(size_t isa, int cell, int dtype, int threads, int64_t T, int64_t B, int64_t I, int64_t H, uintptr_t x,
             uintptr_t h_0, uintptr_t c_0, uintptr_t W_ih, uintptr_t W_hh, uintptr_t b_ih, uintptr_t b_hh, uintptr_t lengths,
             uintptr_t reset, uintptr_t y, uintptr_t h_n, uintptr_t c_n, uintptr_t saved, uintptr_t c, uintptr_t packed,
             size_t packed_size) {
    check_packed(forward_workspace(isa, cell, dtype, T, B, I, H), packed_size);
    check_lengths(at<const int64_t>(lengths), T, B);
    need({{"x", x}, {"W_ih", W_ih}, {"W_hh", W_hh}, {"y", y}, {"h_n", h_n}, {"packed", packed}});
    if (cell == elman::lstm) need({{"c_n", c_n}});
    if (cell == elman::lstm && saved) need({{"c", c}});
    with(isa, cell, dtype, [&]<class Real>(const elman::Kernels<Real>& kernels) {
        const elman::Forward<Real> a{
            .T = T, .B = B, .I = I, .H = H,
            .x = at<const Real>(x), .h_0 = at<const Real>(h_0), .c_0 = at<const Real>(c_0),
            .W_ih = at<const Real>(W_ih), .W_hh = at<const Real>(W_hh),
            .b_ih = at<const Real>(b_ih), .b_hh = at<const Real>(b_hh),
            .lengths = at<const int64_t>(lengths), .reset = at<const uint8_t>(reset),
            .y = at<Real>(y), .h_n = at<Real>(h_n), .c_n = at<Real>(c_n),
            .saved = at<Real>(saved), .c = at<Real>(c), .packed = at<Real>(packed),
        };
        nb::gil_scoped_release released;
        kernels.pack(a);
        elman::share(B, threads, [&](int64_t begin, int64_t end) { kernels.forward(a, begin, end); });
    });
}

void backward(size_t isa, int cell, int dtype, int threads, bool pack, int64_t t_0, int64_t T, int64_t B, int64_t H,
              uintptr_t W_hh, uintptr_t h_0, uintptr_t c_0, uintptr_t lengths, uintptr_t reset, uintptr_t y, uintptr_t saved,
              uintptr_t c, uintptr_t dy, uintptr_t grads, uintptr_t dh, uintptr_t dc, uintptr_t packed, size_t packed_size) {
    check(cell, dtype, T, B, 1, H);
    check_packed(backward_workspace(isa, cell, dtype, H), packed_size);
    need({{"W_hh", W_hh}, {"y", y}, {"grads", grads}, {"dh", dh}, {"packed", packed}});
    if (elman::saved_blocks(elman::Cell(cell))) need({{"saved", saved}});
    if (cell == elman::lstm) need({{"c", c}, {"dc", dc}});
    with(isa, cell, dtype, [&]<class Real>(const elman::Kernels<Real>& kernels) {
        const elman::Backward<Real> a{
            .t_0 = t_0, .T = T, .B = B, .H = H,
            .W_hh = at<const Real>(W_hh), .h_0 = at<const Real>(h_0), .c_0 = at<const Real>(c_0),
            .lengths = at<const int64_t>(lengths), .reset = at<const uint8_t>(reset),
            .y = at<const Real>(y), .saved = at<const Real>(saved), .c = at<const Real>(c),
            .dy = at<const Real>(dy), .grads = at<Real>(grads), .dh = at<Real>(dh), .dc = at<Real>(dc),
            .packed = at<Real>(packed),
        };
        nb::gil_scoped_release released;
        if (pack) kernels.pack_back(a);
        elman::share(B, threads, [&](int64_t begin, int64_t end) { kernels.backward(a, begin, end); });
    });
}

}  // namespace

NB_MODULE(_native, m) {
    m.doc() = "elman's native kernels; csrc/kernels.h is their contract, elman.kernels.ops their only caller.";
    m.def("compiled", [] { return names(false); }, "Instruction sets with kernels, plainest first; the index is the isa.");
    m.def("supported", [] { return names(true); }, "Those of them that this machine can run.");
    m.def("use_threads_of", [](uintptr_t gomp) { elman::gomp_parallel = at<void(void (*)(void*), void*, unsigned, unsigned)>(gomp); },
          "gomp_parallel"_a, "The address of GOMP_parallel in the libgomp that torch uses; 0: no threads.");
    m.def("forward_workspace", &forward_workspace, "isa"_a, "cell"_a, "dtype"_a, "T"_a, "B"_a, "I"_a, "H"_a,
          "Numbers that forward needs as scratch.");
    m.def("backward_workspace", &backward_workspace, "isa"_a, "cell"_a, "dtype"_a, "H"_a,
          "Numbers that backward needs as scratch.");
    m.def("forward", &forward, "isa"_a, "cell"_a, "dtype"_a, "threads"_a, "T"_a, "B"_a, "I"_a, "H"_a, "x"_a, "h_0"_a, "c_0"_a,
          "W_ih"_a, "W_hh"_a, "b_ih"_a, "b_hh"_a, "lengths"_a, "reset"_a, "y"_a, "h_n"_a, "c_n"_a, "saved"_a, "c"_a,
          "packed"_a, "packed_size"_a, "Forward of csrc/kernels.h; 0 stands for null. Releases the GIL.");
    m.def("backward", &backward, "isa"_a, "cell"_a, "dtype"_a, "threads"_a, "pack"_a, "t_0"_a, "T"_a, "B"_a, "H"_a,
          "W_hh"_a, "h_0"_a, "c_0"_a, "lengths"_a, "reset"_a, "y"_a, "saved"_a, "c"_a, "dy"_a, "grads"_a, "dh"_a, "dc"_a,
          "packed"_a, "packed_size"_a,
          "Backward of csrc/kernels.h; 0 stands for null; pack where W_hh has not been packed yet. Releases the GIL.");
    bind_scan(m);
    bind_reservoir(m);
}
