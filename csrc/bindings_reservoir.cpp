// Python's way to the reservoir; src/elman/kernels/reservoir_native.py is the only caller.
#include "bindings.h"

namespace {

void reservoir_forward(size_t isa, int dtype, int64_t parts, int64_t members, int64_t T, int64_t B, int64_t I, int64_t N,
                       double leak, uintptr_t x, uintptr_t h_0, uintptr_t feedback, uintptr_t lengths, uintptr_t reset,
                       uintptr_t starts, uintptr_t values, uintptr_t columns, uintptr_t units, uintptr_t places, uintptr_t W_in,
                       uintptr_t b, uintptr_t y, uintptr_t h_n, uintptr_t states) {
    const int64_t limit = (int64_t(1) << 31) - 64;
    const bool possible = T >= 1 && B >= 1 && I >= 1 && N >= 1 && N < limit && I < limit && addressable(T, B, 2 * (N + 64)) &&
                          addressable(T, B, I) && addressable(N + 64, I, 1) && (dtype == float32 || dtype == float64);
    if (!possible)
        throw nb::value_error(("reservoir: expected dtype 0 (float32) or 1 (float64), and sizes of at least 1 that fit into "
                               "memory; found dtype=" + text(dtype) + ", T=" + text(T) + ", B=" + text(B) + ", I=" + text(I) +
                               ", N=" + text(N)).c_str());
    check_threads(parts, members, B);
    check_lengths(at<const int64_t>(lengths), T, B);
    need({{"x", x}, {"starts", starts}, {"units", units}, {"places", places}, {"W_in", W_in}, {"b", b}, {"y", y},
          {"h_n", h_n}, {"states", states}});
    const int64_t chunks = (N - 1) / (dtype == float32 ? elman::Reservoir<float>::lanes : elman::Reservoir<double>::lanes) + 1;
    if (at<const int64_t>(starts)[chunks] > 0) need({{"values", values}, {"columns", columns}});  // W may be all zeros
    const elman::Table& table = chosen(isa);
    const auto run = [&]<class Real>(elman::ReservoirKernel<Real> kernel) {
        const elman::Reservoir<Real> r{
            .T = T, .B = B, .I = I, .N = N, .chunks = chunks,
            .x = at<const Real>(x), .h_0 = at<const Real>(h_0), .feedback = at<const Real>(feedback),
            .lengths = at<const int64_t>(lengths), .reset = at<const uint8_t>(reset), .leak = Real(leak),
            .starts = at<const int64_t>(starts), .values = at<const Real>(values), .columns = at<const int32_t>(columns),
            .units = at<const int32_t>(units), .places = at<const int32_t>(places),
            .W_in = at<const Real>(W_in), .b = at<const Real>(b),
            .y = at<Real>(y), .h_n = at<Real>(h_n), .states = at<Real>(states),
        };
        nb::gil_scoped_release released;
        each(B, parts, members, [&](int64_t, int64_t begin, int64_t end, elman::Member member) { kernel(r, begin, end, member); });
    };
    dtype == float32 ? run(table.reservoir_f32) : run(table.reservoir_f64);
}

}  // namespace

void bind_reservoir(nb::module_& m) {
    m.def("reservoir_forward", &reservoir_forward, "isa"_a, "dtype"_a, "parts"_a, "members"_a, "T"_a, "B"_a, "I"_a, "N"_a,
          "leak"_a, "x"_a, "h_0"_a, "feedback"_a, "lengths"_a, "reset"_a, "starts"_a, "values"_a, "columns"_a, "units"_a,
          "places"_a, "W_in"_a, "b"_a, "y"_a, "h_n"_a, "states"_a, "Reservoir of csrc/kernels.h; 0 stands for null. Releases the GIL.");
}
