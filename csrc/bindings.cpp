// Python's way to the kernels. Arrays come as addresses (Tensor.data_ptr()), which costs 0.1 us where DLPack costs 9 to
// 15; that an address belongs to a tensor of the right shape and type is checked in ops.py, the only caller.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <limits>
#include <string>
#include <vector>

#include "kernels.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

constexpr int kFloat32 = 0, kFloat64 = 1;

const elman::Table& chosen(size_t isa) {
    const elman::Table* table = elman::table(isa);
    if (!table || !elman::supported(isa))
        throw nb::value_error(("isa " + std::to_string(isa) + " was not compiled, or this machine can't run it").c_str());
    return *table;
}

std::vector<std::string> names(bool supported_only) {
    std::vector<std::string> found;
    for (size_t i = 0; elman::table(i); ++i)
        if (!supported_only || elman::supported(i)) found.emplace_back(elman::table(i)->name);
    return found;
}

// Whether a * b * c numbers of 8 bytes can be addressed, all three being at least 1.
bool addressable(int64_t a, int64_t b, int64_t c) {
    const int64_t limit = std::numeric_limits<int64_t>::max() / 8;
    return a <= limit / b && a * b <= limit / c;
}

void check_rnn(int dtype, int64_t T, int64_t B, int64_t I, int64_t H) {
    const bool possible = T >= 1 && B >= 1 && I >= 1 && H >= 1 && addressable(T, B, I) && addressable(T, B, H) &&
                          addressable(H, I < H ? 2 * H + 1 : 2 * I + 1, 64);
    if (possible && (dtype == kFloat32 || dtype == kFloat64)) return;
    const std::string found = "dtype=" + std::to_string(dtype) + ", T=" + std::to_string(T) + ", B=" + std::to_string(B) +
                              ", I=" + std::to_string(I) + ", H=" + std::to_string(H);
    throw nb::value_error(("rnn: expected dtype 0 (float32) or 1 (float64) and sizes of at least 1 that fit into memory, "
                           "found " + found).c_str());
}

size_t rnn_workspace(size_t isa, int dtype, int64_t I, int64_t H) {
    check_rnn(dtype, 1, 1, I, H);
    const elman::Table& table = chosen(isa);
    return (dtype == kFloat32 ? table.rnn_workspace_f32 : table.rnn_workspace_f64)(I, H);
}

template <class Real>
Real* at(uintptr_t address) {
    return reinterpret_cast<Real*>(address);
}

void rnn_forward(size_t isa, int dtype, bool relu, int64_t T, int64_t B, int64_t I, int64_t H, uintptr_t x, uintptr_t h_0,
                 uintptr_t W_ih, uintptr_t W_hh, uintptr_t b_ih, uintptr_t b_hh, uintptr_t lengths, uintptr_t y,
                 uintptr_t h_n, uintptr_t workspace, size_t workspace_size) {
    check_rnn(dtype, T, B, I, H);
    const elman::Table& table = chosen(isa);
    if (!x || !W_ih || !W_hh || !y || !h_n || !workspace)
        throw nb::value_error("rnn: x, W_ih, W_hh, y, h_n and workspace need an address, found 0");
    if (workspace_size < rnn_workspace(isa, dtype, I, H))
        throw nb::value_error(("rnn: expected a workspace of " + std::to_string(rnn_workspace(isa, dtype, I, H)) +
                               " numbers, found " + std::to_string(workspace_size)).c_str());
    for (int64_t b = 0; lengths && b < B; ++b)
        if (const int64_t length = at<const int64_t>(lengths)[b]; length < 0 || length > T)
            throw nb::value_error(("rnn: expected lengths from 0 to T=" + std::to_string(T) + ", found " +
                                   std::to_string(length) + " for sequence " + std::to_string(b)).c_str());

    const auto run = [&]<class Real>(void (*kernel)(const elman::RnnForward<Real>&)) {
        const elman::RnnForward<Real> arguments{
            .T = T,
            .B = B,
            .I = I,
            .H = H,
            .relu = relu,
            .x = at<const Real>(x),
            .h_0 = at<const Real>(h_0),
            .W_ih = at<const Real>(W_ih),
            .W_hh = at<const Real>(W_hh),
            .b_ih = at<const Real>(b_ih),
            .b_hh = at<const Real>(b_hh),
            .lengths = at<const int64_t>(lengths),
            .y = at<Real>(y),
            .h_n = at<Real>(h_n),
            .workspace = at<Real>(workspace),
        };
        nb::gil_scoped_release released;
        kernel(arguments);
    };
    if (dtype == kFloat32)
        run(table.rnn_forward_f32);
    else
        run(table.rnn_forward_f64);
}

}  // namespace

NB_MODULE(_native, m) {
    m.doc() = "elman's native kernels; csrc/kernels.h is their contract, elman.kernels.ops their only caller.";
    m.def("compiled", [] { return names(false); }, "Instruction sets with kernels, plainest first; the index is the isa.");
    m.def("supported", [] { return names(true); }, "Those of them that this machine can run.");
    m.def("rnn_workspace", &rnn_workspace, "isa"_a, "dtype"_a, "I"_a, "H"_a, "Numbers that rnn_forward needs as scratch.");
    m.def("rnn_forward", &rnn_forward, "isa"_a, "dtype"_a, "relu"_a, "T"_a, "B"_a, "I"_a, "H"_a, "x"_a, "h_0"_a, "W_ih"_a,
          "W_hh"_a, "b_ih"_a, "b_hh"_a, "lengths"_a, "y"_a, "h_n"_a, "workspace"_a, "workspace_size"_a,
          "RnnForward of csrc/kernels.h; 0 stands for null. Releases the GIL.");
}
