// Python's way to the kernels. Arrays come as addresses (Tensor.data_ptr()), which costs 0.1 us where DLPack costs 9 to
// 15; that an address belongs to a tensor of the right shape and type is checked in ops.py, the only caller.
#include "bindings.h"

void check_sizes(int cell, int dtype, int64_t T, int64_t B, int64_t I, int64_t H) {
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

namespace {

std::vector<std::string> names(bool supported_only) {
    std::vector<std::string> found;
    for (size_t i = 0; elman::table(i); ++i)
        if (!supported_only || elman::supported(i)) found.emplace_back(elman::table(i)->name);
    return found;
}

size_t forward_workspace(size_t isa, int cell, int dtype, int64_t T, int64_t B, int64_t I, int64_t H, int64_t parts) {
    check_sizes(cell, dtype, T, B, I, H);
    check_threads(parts, 1, B);
    return with(isa, cell, dtype, [&](const auto& k) { return k.forward_workspace(T, B, I, H, parts); });
}

size_t backward_workspace(size_t isa, int cell, int dtype, int64_t T, int64_t B, int64_t I, int64_t H, int64_t parts, int64_t members) {
    check_sizes(cell, dtype, T, B, I, H);
    check_threads(parts, members, B);
    return with(isa, cell, dtype, [&](const auto& k) { return k.backward_workspace(T, B, I, H, parts, members); });
}

// Packing, and adding up, is worth more than one thread from some 100,000 numbers on.
int64_t packers(int cell, int64_t I, int64_t H, int64_t parts) {
    return elman::gates(elman::Cell(cell)) * H * (I + H) < 100'000 ? 1 : parts;
}

void forward(size_t isa, int cell, int dtype, int64_t parts, int64_t members, int64_t T, int64_t B, int64_t I, int64_t H, uintptr_t x,
             uintptr_t h_0, uintptr_t c_0, uintptr_t W_ih, uintptr_t W_hh, uintptr_t b_ih, uintptr_t b_hh, uintptr_t lengths,
             uintptr_t reset, uintptr_t y, uintptr_t h_n, uintptr_t c_n, uintptr_t saved, uintptr_t c, uintptr_t packed,
             size_t packed_size) {
    check_packed(forward_workspace(isa, cell, dtype, T, B, I, H, parts), packed_size);
    check_threads(parts, members, B);
    check_lengths(at<const int64_t>(lengths), T, B);
    need({{"x", x}, {"W_ih", W_ih}, {"W_hh", W_hh}, {"y", y}, {"h_n", h_n}, {"packed", packed}});
    if (cell == elman::lstm) need({{"c_n", c_n}});
    if (cell == elman::lstm && saved) need({{"c", c}});
    with(isa, cell, dtype, [&]<class Real>(const elman::Kernels<Real>& kernels) {
        const elman::Forward<Real> a{
            .T = T, .B = B, .I = I, .H = H, .parts = parts,
            .x = at<const Real>(x), .h_0 = at<const Real>(h_0), .c_0 = at<const Real>(c_0),
            .W_ih = at<const Real>(W_ih), .W_hh = at<const Real>(W_hh),
            .b_ih = at<const Real>(b_ih), .b_hh = at<const Real>(b_hh),
            .lengths = at<const int64_t>(lengths), .reset = at<const uint8_t>(reset),
            .y = at<Real>(y), .h_n = at<Real>(h_n), .c_n = at<Real>(c_n),
            .saved = at<Real>(saved), .c = at<Real>(c), .packed = at<Real>(packed),
        };
        nb::gil_scoped_release released;
        const int64_t packing = packers(cell, I, H, parts * members);
        elman::share(packing, packing, [&](int64_t part, int64_t, int64_t) { kernels.pack(a, part, packing); });
        each(B, parts, members, [&](auto... share) { kernels.forward(a, share...); });
    });
}

void backward(size_t isa, int cell, int dtype, int64_t parts, int64_t members, int64_t T, int64_t B, int64_t I, int64_t H, uintptr_t x,
              uintptr_t h_0, uintptr_t c_0, uintptr_t W_ih, uintptr_t W_hh, uintptr_t lengths, uintptr_t reset, uintptr_t y,
              uintptr_t saved, uintptr_t c, uintptr_t dy, uintptr_t dx, uintptr_t dh, uintptr_t dc, uintptr_t dW_ih,
              uintptr_t dW_hh, uintptr_t of_W_ih, uintptr_t of_W_hh, uintptr_t of_b_ih, uintptr_t of_b_hh, uintptr_t packed,
              size_t packed_size) {
    check_packed(backward_workspace(isa, cell, dtype, T, B, I, H, parts, members), packed_size);
    check_lengths(at<const int64_t>(lengths), T, B);
    need({{"x", x}, {"W_ih", W_ih}, {"W_hh", W_hh}, {"y", y}, {"dh", dh}, {"dW_ih", dW_ih}, {"dW_hh", dW_hh},
          {"of_W_ih", of_W_ih}, {"of_W_hh", of_W_hh}, {"packed", packed}});
    if (elman::saved_blocks(elman::Cell(cell))) need({{"saved", saved}});
    if (cell == elman::lstm) need({{"c", c}, {"dc", dc}});
    with(isa, cell, dtype, [&]<class Real>(const elman::Kernels<Real>& kernels) {
        const elman::Backward<Real> a{
            .T = T, .B = B, .I = I, .H = H, .parts = parts,
            .x = at<const Real>(x), .h_0 = at<const Real>(h_0), .c_0 = at<const Real>(c_0),
            .W_ih = at<const Real>(W_ih), .W_hh = at<const Real>(W_hh),
            .lengths = at<const int64_t>(lengths), .reset = at<const uint8_t>(reset),
            .y = at<const Real>(y), .saved = at<const Real>(saved), .c = at<const Real>(c), .dy = at<const Real>(dy),
            .dx = at<Real>(dx), .dh = at<Real>(dh), .dc = at<Real>(dc), .dW_ih = at<Real>(dW_ih), .dW_hh = at<Real>(dW_hh),
            .packed = at<Real>(packed), .of_W_ih = at<Real>(of_W_ih), .of_W_hh = at<Real>(of_W_hh),
            .of_b_ih = at<Real>(of_b_ih), .of_b_hh = at<Real>(of_b_hh),
        };
        nb::gil_scoped_release released;
        const int64_t packing = packers(cell, I, H, parts * members);
        elman::share(packing, packing, [&](int64_t part, int64_t, int64_t) { kernels.pack_back(a, part, packing); });
        each(B, parts, members, [&](auto... share) { kernels.backward(a, share...); });
        elman::share(packing, packing, [&](int64_t part, int64_t, int64_t) { kernels.add_up(a, part, packing); });
    });
}

}  // namespace

NB_MODULE(_native, m) {
    m.doc() = "elman's native kernels; csrc/kernels.h is their contract, elman.kernels.ops their only caller.";
    m.def("compiled", [] { return names(false); }, "Instruction sets with kernels, plainest first; the index is the isa.");
    m.def("supported", [] { return names(true); }, "Those of them that this machine can run.");
    m.def("use_threads_of", [](uintptr_t parallel, uintptr_t thread_num, uintptr_t num_threads) {
        elman::gomp = {at<void(void (*)(void*), void*, unsigned, unsigned)>(parallel), at<int()>(thread_num), at<int()>(num_threads)};
    }, "GOMP_parallel"_a, "omp_get_thread_num"_a, "omp_get_num_threads"_a,
          "The addresses of these in the libgomp that torch uses; 0: no threads.");
    m.def("forward_workspace", &forward_workspace, "isa"_a, "cell"_a, "dtype"_a, "T"_a, "B"_a, "I"_a, "H"_a, "parts"_a,
          "Numbers that forward needs as scratch.");
    m.def("backward_workspace", &backward_workspace, "isa"_a, "cell"_a, "dtype"_a, "T"_a, "B"_a, "I"_a, "H"_a, "parts"_a, "members"_a,
          "Numbers that backward needs as scratch.");
    m.def("forward", &forward, "isa"_a, "cell"_a, "dtype"_a, "parts"_a, "members"_a, "T"_a, "B"_a, "I"_a, "H"_a, "x"_a, "h_0"_a, "c_0"_a,
          "W_ih"_a, "W_hh"_a, "b_ih"_a, "b_hh"_a, "lengths"_a, "reset"_a, "y"_a, "h_n"_a, "c_n"_a, "saved"_a, "c"_a,
          "packed"_a, "packed_size"_a, "Forward of csrc/kernels.h, each part or member on a thread of its own; 0 stands for null. Releases the GIL.");
    m.def("backward", &backward, "isa"_a, "cell"_a, "dtype"_a, "parts"_a, "members"_a, "T"_a, "B"_a, "I"_a, "H"_a, "x"_a, "h_0"_a, "c_0"_a,
          "W_ih"_a, "W_hh"_a, "lengths"_a, "reset"_a, "y"_a, "saved"_a, "c"_a, "dy"_a, "dx"_a, "dh"_a, "dc"_a, "dW_ih"_a,
          "dW_hh"_a, "of_W_ih"_a, "of_W_hh"_a, "of_b_ih"_a, "of_b_hh"_a, "packed"_a, "packed_size"_a,
          "Backward of csrc/kernels.h, each part or member on a thread of its own; 0 stands for null. Releases the GIL.");
    bind_variant(m);
    bind_scan(m);
    bind_gated(m);
    bind_step(m);
    bind_reservoir(m);
}
