// Python's way to the cells with extras; src/elman/kernels/variants.py is the only caller.
#include "bindings.h"

namespace {

template <class Work>
auto with_variant(size_t isa, int cell, int dtype, const Work& work) {
    const elman::Table& table = chosen(isa);
    return dtype == float32 ? work(*table.variant_f32[cell]) : work(*table.variant_f64[cell]);
}

void check(int cell, int dtype, int64_t T, int64_t B, int64_t I, int64_t H, int64_t R, int64_t parts) {
    check_sizes(cell, dtype, T, B, I, H);
    expect_threads(parts);
    // Of a step and unit, at most 14 numbers are saved and 12 are worked on for up to 192 steps at once.
    const bool possible = R >= 1 && R <= H && (R == H || cell == elman::lstm) && parts >= 1 && parts <= B &&
                          addressable(T, B, 16 * (H + 64)) && addressable(B + 192, 32 * (H + 64), 4);
    if (possible) return;
    throw nb::value_error(("expected R from 1 to H=" + text(H) + ", for an lstm only below H, and parts from 1 to B=" + text(B) +
                           "; found R=" + text(R) + ", parts=" + text(parts)).c_str());
}

template <class Real>
elman::Extras<Real> extras(int64_t R, double zoneout_h, double zoneout_c, uintptr_t W_hr, uintptr_t peephole, uintptr_t norm_ih,
                           uintptr_t norm_hh, uintptr_t norm_c, uintptr_t bias_c, uintptr_t mask, uintptr_t keep_h, uintptr_t keep_c) {
    return {
        .R = R, .W_hr = at<const Real>(W_hr), .peephole = at<const Real>(peephole), .norm_ih = at<const Real>(norm_ih),
        .norm_hh = at<const Real>(norm_hh), .norm_c = at<const Real>(norm_c), .bias_c = at<const Real>(bias_c),
        .mask = at<const Real>(mask), .keep_h = at<const uint8_t>(keep_h), .keep_c = at<const uint8_t>(keep_c),
        .zoneout_h = Real(zoneout_h), .zoneout_c = Real(zoneout_c),
    };
}

void need_extras(int cell, int64_t R, int64_t H, uintptr_t W_hr, uintptr_t norm_ih, uintptr_t norm_hh, uintptr_t norm_c) {
    if (R != H) need({{"W_hr", W_hr}});
    if (norm_ih) need({{"norm_hh", norm_hh}});
    if (norm_ih && cell == elman::lstm) need({{"norm_c", norm_c}});
}

// The sizes alone, for a workspace. Only whether a pointer is null counts there.
template <class Struct>
Struct sized(int64_t T, int64_t B, int64_t I, int64_t H, int64_t R, int64_t parts, bool projected, bool normed) {
    Struct a{};
    a.T = T, a.B = B, a.I = I, a.H = H, a.parts = parts, a.with.R = R;
    static const decltype(a.with.zoneout_h) there = 0;
    a.with.W_hr = projected ? &there : nullptr;
    a.with.norm_ih = normed ? &there : nullptr;
    return a;
}

size_t forward_workspace(size_t isa, int cell, int dtype, int64_t T, int64_t B, int64_t I, int64_t H, int64_t R, int64_t parts,
                         bool projected, bool normed) {
    check(cell, dtype, T, B, I, H, R, parts);
    return with_variant(isa, cell, dtype, [&]<class Real>(const elman::Variants<Real>& k) {
        return k.forward_workspace(sized<elman::VariantForward<Real>>(T, B, I, H, R, parts, projected, normed));
    });
}

size_t backward_workspace(size_t isa, int cell, int dtype, int64_t T, int64_t B, int64_t I, int64_t H, int64_t R, int64_t parts,
                          bool projected, bool normed) {
    check(cell, dtype, T, B, I, H, R, parts);
    return with_variant(isa, cell, dtype, [&]<class Real>(const elman::Variants<Real>& k) {
        return k.backward_workspace(sized<elman::VariantBackward<Real>>(T, B, I, H, R, parts, projected, normed));
    });
}

int64_t saved_numbers(int cell, int64_t H, bool normed) {
    if (cell < 0 || cell >= elman::cells || H < 1 || H >= int64_t(1) << 31)
        throw nb::value_error(("expected a cell below " + text(elman::cells) + " and H of at least 1; found cell=" + text(cell) +
                               ", H=" + text(H)).c_str());
    return elman::variant_saved(elman::Cell(cell), H, normed);
}

int64_t small_numbers(int cell, int64_t H) {
    saved_numbers(cell, H, false);
    return elman::small_numbers(elman::Cell(cell), H);
}

void forward(size_t isa, int cell, int dtype, int64_t parts, int64_t T, int64_t B, int64_t I, int64_t H, int64_t R, double zoneout_h,
             double zoneout_c, uintptr_t x, uintptr_t h_0, uintptr_t c_0, uintptr_t W_ih, uintptr_t W_hh, uintptr_t b_ih,
             uintptr_t b_hh, uintptr_t W_hr, uintptr_t peephole, uintptr_t norm_ih, uintptr_t norm_hh, uintptr_t norm_c,
             uintptr_t bias_c, uintptr_t mask, uintptr_t keep_h, uintptr_t keep_c, uintptr_t lengths, uintptr_t reset, uintptr_t y,
             uintptr_t h_n, uintptr_t c_n, uintptr_t saved, uintptr_t c, uintptr_t bars, uintptr_t packed, size_t packed_size) {
    check_packed(forward_workspace(isa, cell, dtype, T, B, I, H, R, parts, W_hr, norm_ih), packed_size);
    check_lengths(at<const int64_t>(lengths), T, B);
    need({{"x", x}, {"W_ih", W_ih}, {"W_hh", W_hh}, {"y", y}, {"h_n", h_n}, {"packed", packed}});
    need_extras(cell, R, H, W_hr, norm_ih, norm_hh, norm_c);
    if (cell == elman::lstm) need({{"c_n", c_n}});
    if (cell == elman::lstm && saved) need({{"c", c}});
    with_variant(isa, cell, dtype, [&]<class Real>(const elman::Variants<Real>& kernels) {
        const elman::VariantForward<Real> a{
            {.T = T, .B = B, .I = I, .H = H, .parts = parts,
             .x = at<const Real>(x), .h_0 = at<const Real>(h_0), .c_0 = at<const Real>(c_0),
             .W_ih = at<const Real>(W_ih), .W_hh = at<const Real>(W_hh),
             .b_ih = at<const Real>(b_ih), .b_hh = at<const Real>(b_hh),
             .lengths = at<const int64_t>(lengths), .reset = at<const uint8_t>(reset),
             .y = at<Real>(y), .h_n = at<Real>(h_n), .c_n = at<Real>(c_n),
             .saved = at<Real>(saved), .c = at<Real>(c), .packed = at<Real>(packed)},
            extras<Real>(R, zoneout_h, zoneout_c, W_hr, peephole, norm_ih, norm_hh, norm_c, bias_c, mask, keep_h, keep_c),
            at<Real>(bars),
        };
        nb::gil_scoped_release released;
        kernels.pack(a);
        elman::share(B, parts, [&](int64_t part, int64_t begin, int64_t end) { kernels.forward(a, part, begin, end); });
    });
}

void backward(size_t isa, int cell, int dtype, int64_t parts, int64_t T, int64_t B, int64_t I, int64_t H, int64_t R, double zoneout_h,
              double zoneout_c, uintptr_t x, uintptr_t h_0, uintptr_t c_0, uintptr_t W_ih, uintptr_t W_hh, uintptr_t W_hr,
              uintptr_t peephole, uintptr_t norm_ih, uintptr_t norm_hh, uintptr_t norm_c, uintptr_t bias_c, uintptr_t mask,
              uintptr_t keep_h, uintptr_t keep_c, uintptr_t lengths, uintptr_t reset, uintptr_t y, uintptr_t saved, uintptr_t c,
              uintptr_t dy, uintptr_t dx, uintptr_t dh, uintptr_t dc, uintptr_t dW_ih, uintptr_t dW_hh, uintptr_t dW_hr,
              uintptr_t dsmall, uintptr_t squares, uintptr_t packed, size_t packed_size) {
    check_packed(backward_workspace(isa, cell, dtype, T, B, I, H, R, parts, W_hr, norm_ih), packed_size);
    check_lengths(at<const int64_t>(lengths), T, B);
    need({{"x", x}, {"W_ih", W_ih}, {"W_hh", W_hh}, {"y", y}, {"saved", saved}, {"dh", dh}, {"dW_ih", dW_ih}, {"dW_hh", dW_hh},
          {"dsmall", dsmall}, {"packed", packed}});
    need_extras(cell, R, H, W_hr, norm_ih, norm_hh, norm_c);
    if (W_hr) need({{"dW_hr", dW_hr}});
    if (cell == elman::lstm) need({{"c", c}, {"dc", dc}});
    with_variant(isa, cell, dtype, [&]<class Real>(const elman::Variants<Real>& kernels) {
        const elman::VariantBackward<Real> a{
            {.T = T, .B = B, .I = I, .H = H, .parts = parts,
             .x = at<const Real>(x), .h_0 = at<const Real>(h_0), .c_0 = at<const Real>(c_0),
             .W_ih = at<const Real>(W_ih), .W_hh = at<const Real>(W_hh),
             .lengths = at<const int64_t>(lengths), .reset = at<const uint8_t>(reset),
             .y = at<const Real>(y), .saved = at<const Real>(saved), .c = at<const Real>(c), .dy = at<const Real>(dy),
             .dx = at<Real>(dx), .dh = at<Real>(dh), .dc = at<Real>(dc), .dW_ih = at<Real>(dW_ih), .dW_hh = at<Real>(dW_hh),
             .packed = at<Real>(packed)},
            extras<Real>(R, zoneout_h, zoneout_c, W_hr, peephole, norm_ih, norm_hh, norm_c, bias_c, mask, keep_h, keep_c),
            at<Real>(squares), at<Real>(dW_hr), at<Real>(dsmall),
        };
        nb::gil_scoped_release released;
        kernels.pack_back(a);
        elman::share(B, parts, [&](int64_t part, int64_t begin, int64_t end) { kernels.backward(a, part, begin, end); });
    });
}

}  // namespace

void bind_variant(nb::module_& m) {
    m.def("variant_saved_numbers", &saved_numbers, "cell"_a, "H"_a, "normed"_a, "Numbers that a variant saves of each step of a sequence.");
    m.def("variant_small_numbers", &small_numbers, "cell"_a, "H"_a, "Numbers of dsmall that each part has.");
    m.def("variant_forward_workspace", &forward_workspace, "isa"_a, "cell"_a, "dtype"_a, "T"_a, "B"_a, "I"_a, "H"_a, "R"_a, "parts"_a,
          "projected"_a, "normed"_a, "Numbers that variant_forward needs as scratch.");
    m.def("variant_backward_workspace", &backward_workspace, "isa"_a, "cell"_a, "dtype"_a, "T"_a, "B"_a, "I"_a, "H"_a, "R"_a, "parts"_a,
          "projected"_a, "normed"_a, "Numbers that variant_backward needs as scratch.");
    m.def("variant_forward", &forward, "isa"_a, "cell"_a, "dtype"_a, "parts"_a, "T"_a, "B"_a, "I"_a, "H"_a, "R"_a, "zoneout_h"_a,
          "zoneout_c"_a, "x"_a, "h_0"_a, "c_0"_a, "W_ih"_a, "W_hh"_a, "b_ih"_a, "b_hh"_a, "W_hr"_a, "peephole"_a, "norm_ih"_a,
          "norm_hh"_a, "norm_c"_a, "bias_c"_a, "mask"_a, "keep_h"_a, "keep_c"_a, "lengths"_a, "reset"_a, "y"_a, "h_n"_a, "c_n"_a,
          "saved"_a, "c"_a, "bars"_a, "packed"_a, "packed_size"_a,
          "VariantForward of csrc/kernels.h, each part on a thread of its own; 0 stands for null. Releases the GIL.");
    m.def("variant_backward", &backward, "isa"_a, "cell"_a, "dtype"_a, "parts"_a, "T"_a, "B"_a, "I"_a, "H"_a, "R"_a, "zoneout_h"_a,
          "zoneout_c"_a, "x"_a, "h_0"_a, "c_0"_a, "W_ih"_a, "W_hh"_a, "W_hr"_a, "peephole"_a, "norm_ih"_a, "norm_hh"_a, "norm_c"_a,
          "bias_c"_a, "mask"_a, "keep_h"_a, "keep_c"_a, "lengths"_a, "reset"_a, "y"_a, "saved"_a, "c"_a, "dy"_a, "dx"_a, "dh"_a,
          "dc"_a, "dW_ih"_a, "dW_hh"_a, "dW_hr"_a, "dsmall"_a, "squares"_a, "packed"_a, "packed_size"_a,
          "VariantBackward of csrc/kernels.h, likewise. Releases the GIL.");
}
