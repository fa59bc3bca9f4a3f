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

    static void pack(const Forward<Real>& a, int64_t part, int64_t parts) {
        for (int64_t panel = part * panels(a.H) / parts; panel < (part + 1) * panels(a.H) / parts; ++panel) {
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
        const int64_t first = panel * units, there = H - first < units ? H - first : units;
        for (int64_t k = 0; k < K; ++k)
            for (int g = 0; g < gates; ++g, to += units) {
                const Real* from = W + (gate[g] * H + first) * K + k;
                for (int64_t lane = 0; lane < there; ++lane) to[lane] = from[lane * K];
                for (int64_t lane = there; lane < units; ++lane) to[lane] = 0;
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
                    accumulate<M, XV, 0, A, Real>(sum, a.x + (t * a.B + b) * a.I, a.B * a.I, 1, w, a.I);
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
            accumulate<M, XV, 0, A, Real>(sum, a.x + (t * a.B + b) * a.I, a.I, 1, w, a.I);
        }
        const Real* w_h = w + a.I * XV * S::width;
        if (!a.reset) {
            if (h) add_h<M>(a, sum, h, w_h);
        } else if (h) {
            for (int m = 0; m < M; ++m)
                if (!a.reset[t * a.B + b + m]) {
                    Vector(&one)[1][A] = reinterpret_cast<Vector(&)[1][A]>(sum[m]);
                    add_h<1>(a, one, h + m * a.H, w_h);
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

    template <int M>
    static void add_h(const Forward<Real>& a, Vector (&sum)[M][A], const Real* h, const Real* w_h) {
        if constexpr (M == 1)
            if (a.B == 1) return accumulate_alone<HV, H_first, A, Real>(sum, h, w_h, a.H);
        accumulate<M, HV, H_first, A, Real>(sum, h, a.H, 1, w_h, a.H);
    }

    // --- backward ---------------------------------------------------------------------------------------------------
    //
    // A few steps at a time: back through them, then the products of their gradients, while those lie in the cache.

    using Sums = RowSums<Real>;
    static constexpr int BV = sums_in_registers == 24 ? 4 : 2;  // vectors of columns in a panel
    static constexpr int columns = BV * S::width;
    static constexpr int x_blocks = Cell::x_gates, h_blocks = Cell::h_gates, blocks = Cell::grad_blocks;
    static int64_t back_panels(int64_t K) { return (K + columns - 1) / columns; }
    static int64_t packed_back(int64_t I, int64_t H) {
        return (back_panels(H) * h_blocks + back_panels(I) * x_blocks) * H * columns;
    }
    // Sequences in the largest part, steps at a time, and what such a part has for itself.
    static int64_t largest(int64_t B, int64_t parts) { return (B + parts - 1) / parts; }
    static int64_t steps(int64_t T, int64_t B, int64_t I, int64_t H, int64_t parts) {
        const int64_t wanted = Sums::rows((I + H) * blocks * H) / largest(B, parts);
        return wanted < 1 ? 1 : wanted < T ? wanted : T;
    }
    static int64_t own(int64_t T, int64_t B, int64_t I, int64_t H, int64_t parts) {
        const int64_t most = I > H ? I : H;
        return steps(T, B, I, H, parts) * largest(B, parts) * blocks * H + Sums::workspace(most) + most;
    }
    static size_t back_workspace(int64_t T, int64_t B, int64_t I, int64_t H, int64_t parts) {
        return size_t(packed_back(I, H) + parts * own(T, B, I, H, parts));
    }

    static void pack_back(const Backward<Real>& a, int64_t part, int64_t parts) {
        Real* to = pack_columns(a.W_hh, a.H, a.H, Cell::h_gate, part, parts, a.packed);
        if (a.dx) pack_columns(a.W_ih, a.I, a.H, Cell::x_gate, part, parts, to);
    }

    // The columns of W, K of them, a panel's side by side for each row.
    template <int gates>
    static Real* pack_columns(const Real* W, int64_t K, int64_t H, const int (&gate)[gates], int64_t part, int64_t parts, Real* to) {
        const int64_t pitch = gates * H * columns, panels = back_panels(K);
        for (int64_t panel = part * panels / parts; panel < (part + 1) * panels / parts; ++panel)
            for (int64_t row = 0; row < gates * H; ++row) {
                const Real* from = W + (gate[row / H] * H + row % H) * K + panel * columns;
                for (int v = 0; v < BV; ++v)
                    S::store(to + panel * pitch + row * columns + v * S::width,
                             S::load(from + v * S::width, int(left(K, panel * columns + v * S::width))));
            }
        return to + panels * pitch;
    }

    static void backward(const Backward<Real>& a, int64_t part, int64_t begin, int64_t end) {
        const int64_t chunk = steps(a.T, a.B, a.I, a.H, a.parts), most = a.I > a.H ? a.I : a.H;
        Real* grads = a.packed + packed_back(a.I, a.H) + part * own(a.T, a.B, a.I, a.H, a.parts);
        Real* zeros = grads + chunk * largest(a.B, a.parts) * blocks * a.H;
        Real* scratch = zeros + most;
        Real* dW_ih = a.dW_ih + part * (a.I + 1) * x_blocks * a.H;
        Real* dW_hh = a.dW_hh + part * (a.H + 1) * h_blocks * a.H;
        fill<Real>(zeros, nullptr, most);
        fill<Real>(dW_ih, nullptr, (a.I + 1) * x_blocks * a.H);
        fill<Real>(dW_hh, nullptr, (a.H + 1) * h_blocks * a.H);
        for (int64_t last = a.T, first; last > 0; last = first) {
            first = last > chunk ? last - chunk : 0;
            for (int64_t t = last - 1; t >= first; --t) step_back(a, t, begin, end, grads + (t - first) * (end - begin) * blocks * a.H);
            if (a.dx) input_gradients(a, first, last, begin, end, grads);
            weight_gradients(a, first, last, begin, end, grads, zeros, dW_ih, dW_hh, scratch);
        }
    }

    // h or c before step t of a sequence; null: zeros.
    static const Real* before(const Backward<Real>& a, const Real* all, const Real* first, int64_t t, int64_t b) {
        if (a.reset && a.reset[t * a.B + b]) return nullptr;
        return t > 0 ? all + ((t - 1) * a.B + b) * a.H : first ? first + b * a.H : nullptr;
    }

    // grads (end - begin, blocks * H) of step t, and dL/dh before it.
    static void step_back(const Backward<Real>& a, int64_t t, int64_t begin, int64_t end, Real* grads) {
        const int64_t row = blocks * a.H;
        bool any = false;
        for (int64_t b = begin; b < end; ++b) {
            Real* to = grads + (b - begin) * row;
            if (!active<Real>(a.lengths, t, b)) {
                fill<Real>(to, nullptr, row);
                continue;
            }
            any = true;
            const Real *h = before(a, a.y, a.h_0, t, b), *c = Cell::has_c ? before(a, a.c, a.c_0, t, b) : nullptr;
            for (int64_t unit = 0; unit < a.H; unit += S::width) Cell::template back<Real>(a, t, b, unit, h, c, to);
        }
        if (!any) return;
        times_columns<true, h_blocks>(a, grads + (blocks - h_blocks) * a.H, end - begin, a.packed, a.H, a.dh + begin * a.H);
        for (int64_t b = begin; b < end; ++b)
            if (a.reset && a.reset[t * a.B + b] && active<Real>(a.lengths, t, b)) {
                fill<Real>(a.dh + b * a.H, nullptr, a.H);
                if (Cell::has_c) fill<Real>(a.dc + b * a.H, nullptr, a.H);
            }
    }

    // to (rows, N) = grads (rows, gates * H) times packed columns, or where `more` that is added to it.
    template <bool more, int gates>
    static void times_columns(const Backward<Real>& a, const Real* grads, int64_t rows, const Real* packed, int64_t N, Real* to) {
        const int64_t row = blocks * a.H, K = gates * a.H, panels = back_panels(N), pitch = K * columns;
        for (int64_t panel = 0; panel < panels; ++panel) {
            const Real* w = packed + panel * pitch;
            const Fetch fetch{packed + (panel + 1 < panels ? panel + 1 : 0) * pitch, pitch, 0, rows, panels};
            for_tiles<tile_rows(BV)>(0, rows, [&]<int M>(int64_t b) {
                fetch.template rows<M, Real>(b);
                Real* at = to + b * N + panel * columns;
                int there[BV];
                Vector sum[M][BV];
                for (int v = 0; v < BV; ++v) there[v] = int(left(N, panel * columns + v * S::width));
                for (int m = 0; m < M; ++m)
                    for (int v = 0; v < BV; ++v) sum[m][v] = more ? S::load(at + m * N + v * S::width, there[v]) : Vector{};
                if (M == 1 && a.B == 1) {
                    Vector(&one)[1][BV] = reinterpret_cast<Vector(&)[1][BV]>(sum[0]);
                    accumulate_alone<BV, 0, BV, Real>(one, grads, w, K);
                } else {
                    accumulate<M, BV, 0, BV, Real>(sum, grads + b * row, row, 1, w, K);
                }
                for (int m = 0; m < M; ++m)
                    for (int v = 0; v < BV; ++v) S::store(at + m * N + v * S::width, sum[m][v], there[v]);
            });
        }
    }

    static void input_gradients(const Backward<Real>& a, int64_t first, int64_t last, int64_t begin, int64_t end, const Real* grads) {
        const Real* packed = a.packed + back_panels(a.H) * h_blocks * a.H * columns;
        for (int64_t t = first; t < last; ++t, grads += (end - begin) * blocks * a.H)
            times_columns<false, x_blocks>(a, grads, end - begin, packed, a.I, a.dx + (t * a.B + begin) * a.I);
    }

    static void weight_gradients(const Backward<Real>& a, int64_t first, int64_t last, int64_t begin, int64_t end,
                                 const Real* grads, const Real* zeros, Real* dW_ih, Real* dW_hh, Real* scratch) {
        const Real *x[Sums::most], *h[Sums::most], *g[Sums::most];
        int64_t n = 0;
        const auto add = [&] {
            Sums::add(x, a.I, g, 0, x_blocks * a.H, n, dW_ih, scratch);
            Sums::add(h, a.H, g, (blocks - h_blocks) * a.H, h_blocks * a.H, n, dW_hh, scratch);
            n = 0;
        };
        for (int64_t t = first; t < last; ++t)
            for (int64_t b = begin; b < end; ++b, grads += blocks * a.H) {
                if (!active<Real>(a.lengths, t, b)) continue;
                const Real* h_before = before(a, a.y, a.h_0, t, b);
                x[n] = a.x + (t * a.B + b) * a.I;
                h[n] = h_before ? h_before : zeros;
                g[n] = grads;
                if (++n == Sums::most) add();
            }
        if (n) add();
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
