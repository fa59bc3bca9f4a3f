// Python's way to the cells whose gates look at the input alone; src/elman/kernels/gated_native.py is the only caller.
#include "bindings.h"

namespace {

void check_gated(int cell, int dtype, int64_t T, int64_t B, int64_t H) {
    const bool possible = T >= 1 && B >= 1 && H >= 1 && H < (int64_t(1) << 59) && addressable(T, B, 4 * H);
    if (possible && cell >= 0 && cell < elman::gated_cells && (dtype == float32 || dtype == float64)) return;
    throw nb::value_error(("gated_scan: expected a cell below " + text(elman::gated_cells) + ", dtype 0 (float32) or 1 (float64), "
                           "and sizes of at least 1 that fit into memory; found cell=" + text(cell) + ", dtype=" + text(dtype) +
                           ", T=" + text(T) + ", B=" + text(B) + ", H=" + text(H)).c_str());
}

template <class Work>
void with_gated(size_t isa, int cell, int dtype, const Work& work) {
    const elman::Table& table = chosen(isa);
    dtype == float32 ? work(*table.gated_f32[cell]) : work(*table.gated_f64[cell]);
}

void gated_forward(size_t isa, int cell, int dtype, int threads, int64_t T, int64_t B, int64_t H, uintptr_t p, uintptr_t decay,
                   uintptr_t h_0, uintptr_t lengths, uintptr_t reset, uintptr_t h, uintptr_t h_n) {
    check_gated(cell, dtype, T, B, H);
    check_lengths(at<const int64_t>(lengths), T, B);
    need({{"p", p}, {"h", h}, {"h_n", h_n}});
    if (cell == elman::rglru) need({{"decay", decay}});
    with_gated(isa, cell, dtype, [&]<class Real>(const elman::GatedKernels<Real>& kernels) {
        const elman::GatedScan<Real> s{
            .T = T, .B = B, .H = H,
            .p = at<const Real>(p), .decay = at<const Real>(decay), .h_0 = at<const Real>(h_0),
            .lengths = at<const int64_t>(lengths), .reset = at<const uint8_t>(reset),
            .h = at<Real>(h), .h_n = at<Real>(h_n),
        };
        nb::gil_scoped_release released;
        share_units(H, sizeof(Real), threads, [&](int64_t begin, int64_t end) { kernels.forward(s, begin, end); });
    });
}

void gated_backward(size_t isa, int cell, int dtype, int threads, int64_t T, int64_t B, int64_t H, uintptr_t p, uintptr_t decay,
                    uintptr_t h, uintptr_t h_0, uintptr_t lengths, uintptr_t reset, uintptr_t dh, uintptr_t dh_n, uintptr_t dp,
                    uintptr_t ddecay, uintptr_t dh_0, uintptr_t total) {
    check_gated(cell, dtype, T, B, H);
    check_lengths(at<const int64_t>(lengths), T, B);
    need({{"p", p}, {"h", h}, {"dp", dp}, {"dh_0", dh_0}});
    if (cell == elman::rglru) need({{"decay", decay}, {"ddecay", ddecay}});
    with_gated(isa, cell, dtype, [&]<class Real>(const elman::GatedKernels<Real>& kernels) {
        const elman::GatedScanBackward<Real> s{
            .T = T, .B = B, .H = H,
            .p = at<const Real>(p), .decay = at<const Real>(decay), .h = at<const Real>(h), .h_0 = at<const Real>(h_0),
            .lengths = at<const int64_t>(lengths), .reset = at<const uint8_t>(reset),
            .dh = at<const Real>(dh), .dh_n = at<const Real>(dh_n),
            .dp = at<Real>(dp), .ddecay = at<Real>(ddecay), .dh_0 = at<Real>(dh_0), .total = at<Real>(total),
        };
        nb::gil_scoped_release released;
        share_units(H, sizeof(Real), threads, [&](int64_t begin, int64_t end) { kernels.backward(s, begin, end); });
    });
}

}  // namespace

void bind_gated(nb::module_& m) {
    m.def("gated_forward", &gated_forward, "isa"_a, "cell"_a, "dtype"_a, "threads"_a, "T"_a, "B"_a, "H"_a, "p"_a, "decay"_a, "h_0"_a,
          "lengths"_a, "reset"_a, "h"_a, "h_n"_a, "GatedScan of csrc/kernels.h; 0 stands for null. Releases the GIL.");
    m.def("gated_backward", &gated_backward, "isa"_a, "cell"_a, "dtype"_a, "threads"_a, "T"_a, "B"_a, "H"_a, "p"_a, "decay"_a, "h"_a,
          "h_0"_a, "lengths"_a, "reset"_a, "dh"_a, "dh_n"_a, "dp"_a, "ddecay"_a, "dh_0"_a, "total"_a,
          "GatedScanBackward of csrc/kernels.h, likewise. Releases the GIL.");
}
