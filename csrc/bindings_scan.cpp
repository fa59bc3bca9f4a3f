// Python's way to the diagonal recurrence; src/elman/kernels/scan_native.py is the only caller.
#include "bindings.h"

namespace {

// H counts complex numbers once here, twice in kernels.h.
void check_scan(int dtype, bool complex, int64_t T, int64_t B, int64_t H) {
    const bool possible = T >= 1 && B >= 1 && H >= 1 && H < (int64_t(1) << 60) && addressable(T, B, 2 * H);
    if (possible && (dtype == float32 || dtype == float64)) return;
    throw nb::value_error(("scan: expected dtype 0 (float32) or 1 (float64), and sizes of at least 1 that fit into memory; "
                           "found dtype=" + text(dtype) + ", complex=" + text(complex) + ", T=" + text(T) + ", B=" + text(B) +
                           ", H=" + text(H)).c_str());
}

template <class Work>
void with_scan(size_t isa, int dtype, bool complex, const Work& work) {
    const elman::Table& table = chosen(isa);
    dtype == float32 ? work(*table.scan_f32[complex]) : work(*table.scan_f64[complex]);
}

void scan_forward(size_t isa, int dtype, bool complex, int threads, int64_t T, int64_t B, int64_t H, int64_t a_step,
                  int64_t a_row, uintptr_t a, uintptr_t b, uintptr_t h_0, uintptr_t lengths, uintptr_t reset, uintptr_t h,
                  uintptr_t h_n) {
    check_scan(dtype, complex, T, B, H);
    expect_threads(threads);
    check_lengths(at<const int64_t>(lengths), T, B);
    need({{"a", a}, {"b", b}, {"h", h}, {"h_n", h_n}});
    with_scan(isa, dtype, complex, [&]<class Real>(const elman::ScanKernels<Real>& kernels) {
        const int64_t parts = complex ? 2 : 1;
        const elman::Scan<Real> s{
            .T = T, .B = B, .H = H * parts,
            .a = at<const Real>(a), .a_step = a_step * parts, .a_row = a_row * parts,
            .b = at<const Real>(b), .h_0 = at<const Real>(h_0),
            .lengths = at<const int64_t>(lengths), .reset = at<const uint8_t>(reset),
            .h = at<Real>(h), .h_n = at<Real>(h_n),
        };
        nb::gil_scoped_release released;
        share_units(s.H, sizeof(Real), threads, [&](int64_t begin, int64_t end) { kernels.forward(s, begin, end); });
    });
}

void scan_backward(size_t isa, int dtype, bool complex, int threads, int64_t T, int64_t B, int64_t H, int64_t a_step,
                   int64_t a_row, uintptr_t a, uintptr_t h, uintptr_t h_0, uintptr_t lengths, uintptr_t reset, uintptr_t dh,
                   uintptr_t dh_n, uintptr_t da, uintptr_t db, uintptr_t dh_0) {
    check_scan(dtype, complex, T, B, H);
    expect_threads(threads);
    check_lengths(at<const int64_t>(lengths), T, B);
    need({{"a", a}, {"h", h}, {"db", db}, {"dh_0", dh_0}});
    with_scan(isa, dtype, complex, [&]<class Real>(const elman::ScanKernels<Real>& kernels) {
        const int64_t parts = complex ? 2 : 1;
        const elman::ScanBackward<Real> s{
            .T = T, .B = B, .H = H * parts,
            .a = at<const Real>(a), .a_step = a_step * parts, .a_row = a_row * parts,
            .h = at<const Real>(h), .h_0 = at<const Real>(h_0),
            .lengths = at<const int64_t>(lengths), .reset = at<const uint8_t>(reset),
            .dh = at<const Real>(dh), .dh_n = at<const Real>(dh_n),
            .da = at<Real>(da), .db = at<Real>(db), .dh_0 = at<Real>(dh_0),
        };
        nb::gil_scoped_release released;
        share_units(s.H, sizeof(Real), threads, [&](int64_t begin, int64_t end) { kernels.backward(s, begin, end); });
    });
}

}  // namespace

void bind_scan(nb::module_& m) {
    m.def("scan_forward", &scan_forward, "isa"_a, "dtype"_a, "complex"_a, "threads"_a, "T"_a, "B"_a, "H"_a, "a_step"_a,
          "a_row"_a, "a"_a, "b"_a, "h_0"_a, "lengths"_a, "reset"_a, "h"_a, "h_n"_a,
          "Scan of csrc/kernels.h, where H and the steps of a count complex numbers once; 0 stands for null. Releases the GIL.");
    m.def("scan_backward", &scan_backward, "isa"_a, "dtype"_a, "complex"_a, "threads"_a, "T"_a, "B"_a, "H"_a, "a_step"_a,
          "a_row"_a, "a"_a, "h"_a, "h_0"_a, "lengths"_a, "reset"_a, "dh"_a, "dh_n"_a, "da"_a, "db"_a, "dh_0"_a,
          "ScanBackward of csrc/kernels.h, likewise. Releases the GIL.");
}
