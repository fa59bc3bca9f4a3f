// What all cells share: packing, the walk through time, padding and resets. A cell adds its equations:
//
//   unit_vectors           vectors of hidden units in a panel
//   sums                   vectors of sums for each of them; x reaches the first x_gates, h the last h_gates of them
//   x_gate[], h_gate[]     the block of W that each of these is
//   step(...), back(...)   one vector of units forward, and backward
#pragma once

#include "gemm.h"
#include "kernels.h"

namespace elman::ELMAN_ISA {

template <class Real>
inline void fill(Real* to, const Real* from, int64_t n) {
    for (int64_t i = 0; i < n; ++i) to[i] = from ? from[i] : Real(0);
}

template <class Real>
inline bool active(const int64_t* lengths, int64_t t, int64_t b) {
    return !lengths || t < lengths[b];
}

template <class Real, class Cell>
struct Recurrence {
    using S = Simd<Real>;
    using Vector = typename S::Vector;
    static constexpr int U = Cell::unit_vectors, A = Cell::sums * U;
    static constexpr int XV = Cell::x_gates * U, HV = Cell::h_gates * U, H_first = A - HV;
    static constexpr int units = U * S::width;  // in a panel
    static constexpr int rows = tile_rows(A);
    // A panel: I groups of XV vectors of W_ih, H groups of HV vectors of W_hh, A vectors of biases.
    static int64_t pitch(int64_t I, int64_t H) { return (I * XV + H * HV + A) * S::width; }
    static int64_t panels(int64_t H) { return (H + units - 1) / units; }
    // With fewer rows than a tile has, the input's part is computed ahead for all steps, a full tile at a time.
    static bool ahead(int64_t T, int64_t B) { return B < rows && T > 1; }

    static size_t workspace(int64_t T, int64_t B, int64_t I, int64_t H) {
        const int64_t sums = ahead(T, B) ? T * B * panels(H) * A * S::width : 0;
        return size_t(panels(H) * pitch(I, H) + sums);
    }

    static void pack(const Forward<Real>& a) {
        for (int64_t panel = 0; panel < panels(a.H); ++panel) {
            Real* to = a.packed + panel * pitch(a.I, a.H);
            to = pack_gates<Cell::x_gates>(a.W_ih, a.I, a.H, panel, Cell::x_gate, to);
            to = pack_gates<Cell::h_gates>(a.W_hh, a.H, a.H, panel, Cell::h_gate, to);
            for (int64_t k = 0; k < A * S::width; ++k) to[k] = 0;
            for (int g = 0; g < Cell::x_gates && a.b_ih; ++g) add_bias(a.b_ih, a.H, panel, Cell::x_gate[g], to + g * units);
            for (int g = 0; g < Cell::h_gates && a.b_hh; ++g)
                add_bias(a.b_hh, a.H, panel, Cell::h_gate[g], to + (g + Cell::sums - Cell::h_gates) * units);
        }
    }

    template <int gates>
    static Real* pack_gates(const Real* W, int64_t K, int64_t H, int64_t panel, const int (&gate)[gates], Real* to) {
        for (int64_t k = 0; k < K; ++k)
            for (int g = 0; g < gates; ++g)
                for (int64_t lane = 0; lane < units; ++lane) {
                    const int64_t unit = panel * units + lane;
                    *to++ = unit < H ? W[(gate[g] * H + unit) * K + k] : Real(0);
                }
        return to;
    }

    static void add_bias(const Real* b, int64_t H, int64_t panel, int gate, Real* to) {
        for (int64_t lane = 0; lane < units && panel * units + lane < H; ++lane) to[lane] += b[gate * H + panel * units + lane];
    }

    static void forward(const Forward<Real>& a, int64_t begin, int64_t end) {
        for (int64_t b = begin; b < end; ++b) {
            fill(a.h_n + b * a.H, a.h_0 ? a.h_0 + b * a.H : nullptr, a.H);
            if (Cell::has_c) fill(a.c_n + b * a.H, a.c_0 ? a.c_0 + b * a.H : nullptr, a.H);
        }
        Real* sums = ahead(a.T, a.B) ? a.packed + panels(a.H) * pitch(a.I, a.H) : nullptr;
        if (sums) input_sums(a, begin, end, sums);
        for (int64_t t = 0; t < a.T; ++t) {
            for (int64_t panel = 0; panel < panels(a.H); ++panel) {
                const int64_t next = panel + 1 < panels(a.H) ? panel + 1 : 0;
                const Fetch fetch{a.packed + next * pitch(a.I, a.H), pitch(a.I, a.H), begin, end, panels(a.H)};
                for_tiles<rows>(begin, end, [&]<int M>(int64_t b) {
                    fetch.template rows<M, Real>(b);
                    tile<M>(a, sums, t, panel, b);
                });
            }
            for (int64_t b = begin; b < end; ++b) {
                Real* y = a.y + (t * a.B + b) * a.H;
                if (!active<Real>(a.lengths, t, b)) fill<Real>(y, nullptr, a.H);
                else if (t == (a.lengths ? a.lengths[b] : a.T) - 1) fill(a.h_n + b * a.H, y, a.H);
            }
        }
    }

    static void input_sums(const Forward<Real>& a, int64_t begin, int64_t end, Real* sums) {
        const int64_t row = panels(a.H) * A * S::width;
        for (int64_t panel = 0; panel < panels(a.H); ++panel) {
            const Real* w = a.packed + panel * pitch(a.I, a.H);
            const Real* bias = w + pitch(a.I, a.H) - A * S::width;
            for (int64_t b = begin; b < end; ++b)
                for_tiles<rows>(0, a.T, [&]<int M>(int64_t t) {
                    Vector sum[M][A];
                    for (int m = 0; m < M; ++m)
                        for (int v = 0; v < A; ++v) sum[m][v] = S::load(bias + v * S::width);
                    accumulate<M, XV, 0, A, Real>(sum, a.x + (t * a.B + b) * a.I, a.B * a.I, w, a.I);
                    for (int m = 0; m < M; ++m)
                        for (int v = 0; v < A; ++v)
                            S::store(sums + ((t + m) * a.B + b) * row + (panel * A + v) * S::width, sum[m][v]);
                });
        }
    }

    template <int M>
    static void tile(const Forward<Real>& a, const Real* sums, int64_t t, int64_t panel, int64_t b) {
        if (a.lengths) {
            bool any = false;
            for (int m = 0; m < M; ++m) any = any || t < a.lengths[b + m];
            if (!any) return;
        }
        const Real* w = a.packed + panel * pitch(a.I, a.H);
        const Real* bias = w + pitch(a.I, a.H) - A * S::width;
        const Real* h = t > 0 ? a.y + ((t - 1) * a.B + b) * a.H : a.h_0 ? a.h_0 + b * a.H : nullptr;
        const int64_t first = panel * units;
        Vector sum[M][A];
        if (sums) {
            for (int m = 0; m < M; ++m) {
                const Real* from = sums + ((t * a.B + b + m) * panels(a.H) + panel) * A * S::width;
                for (int v = 0; v < A; ++v) sum[m][v] = S::load(from + v * S::width);
            }
        } else {
            for (int m = 0; m < M; ++m)
                for (int v = 0; v < A; ++v) sum[m][v] = S::load(bias + v * S::width);
            accumulate<M, XV, 0, A, Real>(sum, a.x + (t * a.B + b) * a.I, a.I, w, a.I);
        }
        const Real* w_h = w + a.I * XV * S::width;
        if (!a.reset) {
            if (h) accumulate<M, HV, H_first, A, Real>(sum, h, a.H, w_h, a.H);
        } else if (h) {
            for (int m = 0; m < M; ++m)
                if (!a.reset[t * a.B + b + m]) {
                    Vector(&one)[1][A] = reinterpret_cast<Vector(&)[1][A]>(sum[m]);
                    accumulate<1, HV, H_first, A, Real>(one, h + m * a.H, a.H, w_h, a.H);
                }
        }
        for (int m = 0; m < M; ++m) {
            if (!active<Real>(a.lengths, t, b + m)) continue;
            const bool fresh = !h || (a.reset && a.reset[t * a.B + b + m]);
            const bool fresh_c = a.reset && a.reset[t * a.B + b + m];
            for (int u = 0; u < U; ++u) {
                const int64_t unit = first + u * S::width;
                if (unit >= a.H) break;
                Cell::template step<Real, U>(a, t, b + m, unit, &sum[m][u], fresh ? nullptr : h + m * a.H, fresh_c);
            }
        }
    }

    // --- backward: dL/dh_{t-1} = grads_t W_hh, with W_hh packed by its columns -----------------------------------------

    static constexpr int BV = sums_in_registers == 24 ? 4 : 2;  // vectors of columns in a panel
    static constexpr int columns = BV * S::width;
    static int64_t back_panels(int64_t H) { return (H + columns - 1) / columns; }
    static int64_t back_pitch(int64_t H) { return Cell::h_gates * H * columns; }
    static size_t back_workspace(int64_t H) { return size_t(back_panels(H) * back_pitch(H)); }

    static void pack_back(const Backward<Real>& a) {
        Real* to = a.packed;
        for (int64_t panel = 0; panel < back_panels(a.H); ++panel)
            for (int g = 0; g < Cell::h_gates; ++g)
                for (int64_t k = 0; k < a.H; ++k) {
                    const Real* from = a.W_hh + (Cell::h_gate[g] * a.H + k) * a.H;
                    for (int64_t lane = 0; lane < columns; ++lane) {
                        const int64_t column = panel * columns + lane;
                        *to++ = column < a.H ? from[column] : Real(0);
                    }
                }
    }

    static void backward(const Backward<Real>& a, int64_t begin, int64_t end) {
        const int64_t row = Cell::grad_blocks * a.H, h_part = (Cell::grad_blocks - Cell::h_gates) * a.H;
        for (int64_t t = a.T - 1; t >= 0; --t) {
            bool any = false;
            for (int64_t b = begin; b < end; ++b) {
                if (!active<Real>(a.lengths, a.t_0 + t, b)) {
                    fill<Real>(a.grads + (t * a.B + b) * row, nullptr, row);
                    continue;
                }
                any = true;
                const bool reset = a.reset && a.reset[t * a.B + b];
                const Real* h = reset ? nullptr : t > 0 ? a.y + ((t - 1) * a.B + b) * a.H : a.h_0 ? a.h_0 + b * a.H : nullptr;
                const Real* c = nullptr;
                if (Cell::has_c && !reset) c = t > 0 ? a.c + ((t - 1) * a.B + b) * a.H : a.c_0 ? a.c_0 + b * a.H : nullptr;
                for (int64_t unit = 0; unit < a.H; unit += S::width) Cell::template back<Real>(a, t, b, unit, h, c);
            }
            if (!any) continue;
            for (int64_t panel = 0; panel < back_panels(a.H); ++panel) {
                const int64_t next = panel + 1 < back_panels(a.H) ? panel + 1 : 0;
                const Fetch fetch{a.packed + next * back_pitch(a.H), back_pitch(a.H), begin, end, back_panels(a.H)};
                for_tiles<tile_rows(BV)>(begin, end, [&]<int M>(int64_t b) {
                    fetch.template rows<M, Real>(b);
                    const int64_t first = panel * columns;
                    Real* dh = a.dh + b * a.H + first;
                    Vector sum[M][BV];
                    for (int m = 0; m < M; ++m)
                        for (int v = 0; v < BV; ++v)
                            sum[m][v] = S::load(dh + m * a.H + v * S::width, int(left(a.H, first + v * S::width)));
                    accumulate<M, BV, 0, BV, Real>(sum, a.grads + (t * a.B + b) * row + h_part, row,
                                                   a.packed + panel * back_pitch(a.H), Cell::h_gates * a.H);
                    for (int m = 0; m < M; ++m)
                        for (int v = 0; v < BV; ++v)
                            S::store(dh + m * a.H + v * S::width, sum[m][v], int(left(a.H, first + v * S::width)));
                });
            }
            if (a.reset)
                for (int64_t b = begin; b < end; ++b)
                    if (a.reset[t * a.B + b] && active<Real>(a.lengths, a.t_0 + t, b)) {
                        fill<Real>(a.dh + b * a.H, nullptr, a.H);
                        if (Cell::has_c) fill<Real>(a.dc + b * a.H, nullptr, a.H);
                    }
        }
    }

    static constexpr Kernels<Real> kernels = {workspace, back_workspace, pack, forward, pack_back, backward};

    // Numbers of a vector that lie before the end, from 0 to all of them.
    static int64_t left(int64_t H, int64_t first) {
        return H <= first ? 0 : H - first < S::width ? H - first : S::width;
    }
};

// A vector of p's numbers from `unit` on, of which H - unit are there; zeros where p is null.
template <class Real>
inline typename Simd<Real>::Vector get(const Real* p, int64_t unit, int64_t H) {
    using S = Simd<Real>;
    return p ? S::load(p + unit, int(H - unit < S::width ? H - unit : S::width)) : typename S::Vector{};
}

template <class Real>
inline void put(Real* p, typename Simd<Real>::Vector v, int64_t unit, int64_t H) {
    using S = Simd<Real>;
    S::store(p + unit, v, int(H - unit < S::width ? H - unit : S::width));
}

}  // namespace elman::ELMAN_ISA
