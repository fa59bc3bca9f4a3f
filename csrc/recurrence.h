// What all cells share: packing, the walk through time, padding and resets. A cell adds its equations:
//
//   unit_vectors           vectors of hidden units in a panel
//   sums                   vectors of sums for each of them; x reaches the first x_gates, h the last h_gates of them
//   x_gate[], h_gate[]     the block of W that each of these is
//   step(...), back(...)   a tile forward, and one vector of units backward
#pragma once

#include "gemm.h"
#include "kernels.h"

namespace elman::ELMAN_ISA {

// Hidden units, or columns, of a member of a team.
struct Units {
    int64_t first, last;
};

template <class Real>
inline void fill(Real* to, const Real* from, Units units) {
    for (int64_t i = units.first; i < units.last; ++i) to[i] = from ? from[i] : Real(0);
}

template <class Real>
inline bool active(const int64_t* lengths, int64_t t, int64_t b) {
    return !lengths || t < lengths[b];
}

template <class Real, class Cell>
struct Recurrence {
    using S = Simd<Real>;
    using Vector = typename S::Vector;
    static constexpr int most_vectors = Cell::unit_vectors;  // of units in a panel; the last panel may have fewer
    static constexpr int units = most_vectors * S::width;
    static constexpr int x_gates = Cell::x_gates, h_gates = Cell::h_gates, sums = Cell::sums;
    static constexpr int rows = tile_rows(sums * most_vectors);
    // A panel: I groups of vectors of W_ih, H groups of W_hh, and the biases.
    static int64_t pitch(int64_t I, int64_t H) { return (I * x_gates + H * h_gates + sums) * units; }
    static int64_t panels(int64_t H) { return (H + units - 1) / units; }
    static int64_t vectors(int64_t H, int64_t panel) {
        const int64_t left = (H - panel * units + S::width - 1) / S::width;
        return left < most_vectors ? left : most_vectors;
    }

    static Units share_of(int64_t n, int64_t width, Member member) {
        const int64_t panels = (n + width - 1) / width, last = member.last(panels) * width;
        return {member.first(panels) * width, last < n ? last : n};
    }
    static Units units_of(int64_t H, Member member) { return share_of(H, units, member); }

    static int64_t largest(int64_t B, int64_t parts) { return (B + parts - 1) / parts; }
    // Where the rows of one step do not fill a tile, the input's part of the sums is computed for so many steps ahead; else 0.
    static int64_t steps_ahead(int64_t T, int64_t B, int64_t parts) {
        const int64_t n = largest(B, parts), wanted = 192 / n;
        return T == 1 || n >= rows ? 0 : wanted < T ? wanted : T;
    }
    static int64_t sums_of_row(int64_t H) { return panels(H) * sums * units; }

    static size_t workspace(int64_t T, int64_t B, int64_t I, int64_t H, int64_t parts) {
        return size_t(panels(H) * pitch(I, H) + parts * steps_ahead(T, B, parts) * largest(B, parts) * sums_of_row(H));
    }

    static void pack(const Forward<Real>& a, int64_t part, int64_t parts) {
        for (int64_t panel = part * panels(a.H) / parts; panel < (part + 1) * panels(a.H) / parts; ++panel) {
            const int64_t lanes = vectors(a.H, panel) * S::width;
            Real* to = a.packed + panel * pitch(a.I, a.H);
            to = pack_gates<x_gates>(a.W_ih, a.I, a.H, panel, lanes, Cell::x_gate, to);
            to = pack_gates<h_gates>(a.W_hh, a.H, a.H, panel, lanes, Cell::h_gate, to);
            for (int64_t k = 0; k < sums * lanes; ++k) to[k] = 0;
            for (int g = 0; g < x_gates && a.b_ih; ++g) add_bias(a.b_ih, a.H, panel, lanes, Cell::x_gate[g], to + g * lanes);
            for (int g = 0; g < h_gates && a.b_hh; ++g)
                add_bias(a.b_hh, a.H, panel, lanes, Cell::h_gate[g], to + (g + sums - h_gates) * lanes);
        }
    }

    template <int gates>
    static Real* pack_gates(const Real* W, int64_t K, int64_t H, int64_t panel, int64_t lanes, const int (&gate)[gates], Real* to) {
        const int64_t first = panel * units, there = H - first < lanes ? H - first : lanes;
        for (int64_t k = 0; k < K; ++k)
            for (int g = 0; g < gates; ++g, to += lanes) {
                const Real* from = W + (gate[g] * H + first) * K + k;
                for (int64_t lane = 0; lane < there; ++lane) to[lane] = from[lane * K];
                for (int64_t lane = there; lane < lanes; ++lane) to[lane] = 0;
            }
        return to;
    }

    static void add_bias(const Real* b, int64_t H, int64_t panel, int64_t lanes, int gate, Real* to) {
        for (int64_t lane = 0; lane < lanes && panel * units + lane < H; ++lane) to[lane] += b[gate * H + panel * units + lane];
    }

    static void forward(const Forward<Real>& a, int64_t part, int64_t begin, int64_t end, Member member) {
        const Units own = units_of(a.H, member);
        for (int64_t b = begin; b < end; ++b) {
            fill(a.h_n + b * a.H, a.h_0 ? a.h_0 + b * a.H : nullptr, own);
            if (Cell::has_c) fill(a.c_n + b * a.H, a.c_0 ? a.c_0 + b * a.H : nullptr, own);
        }
        const int64_t ahead = steps_ahead(a.T, a.B, a.parts), n = end - begin;
        Real* sums_ahead = a.packed + panels(a.H) * pitch(a.I, a.H) + part * ahead * largest(a.B, a.parts) * sums_of_row(a.H);
        for (int64_t t = 0; t < a.T; ++t) {
            const int64_t since = ahead ? t % ahead : 0;
            if (ahead && since == 0) input_sums(a, t, t + ahead < a.T ? t + ahead : a.T, begin, end, member, sums_ahead);
            step(a, t, begin, end, member, ahead ? sums_ahead + since * n * sums_of_row(a.H) : nullptr);
            member.wait();
        }
    }

    // Calls work.template operator()<vectors>(panel, w) for the member's panels, w being the panel's weights.
    template <class Work>
    static void for_panels(const Forward<Real>& a, Member member, const Work& work) {
        for (int64_t panel = member.first(panels(a.H)); panel < member.last(panels(a.H)); ++panel)
            with_constant<most_vectors>(vectors(a.H, panel), work, panel, static_cast<const Real*>(a.packed + panel * pitch(a.I, a.H)));
    }

    static void input_sums(const Forward<Real>& a, int64_t first, int64_t last, int64_t begin, int64_t end, Member member, Real* own) {
        const int64_t n = end - begin;
        for_panels(a, member, [&]<int vectors>(int64_t panel, const Real* w) {
            constexpr int A = sums * vectors;
            const auto tile = [&]<int M>(int64_t t, int64_t b, int64_t row, int64_t sums_row) {
                Vector sum[M][A];
                start<M, vectors>(a, sum, a.x + (t * a.B + b) * a.I, row, w);
                Real* to = own + ((t - first) * n + b - begin) * sums_of_row(a.H) + panel * sums * units;
                for (int m = 0; m < M; ++m)
                    for (int v = 0; v < A; ++v) S::store(to + m * sums_row + v * S::width, sum[m][v]);
            };
            if (n >= rows)
                for (int64_t t = first; t < last; ++t)
                    for_tiles<rows>(begin, end, [&]<int M>(int64_t b) { tile.template operator()<M>(t, b, a.I, sums_of_row(a.H)); });
            else
                for (int64_t b = begin; b < end; ++b)
                    for_tiles<rows>(first, last, [&]<int M>(int64_t t) {
                        tile.template operator()<M>(t, b, a.B * a.I, n * sums_of_row(a.H));
                    });
        });
    }

    // The biases, and the input's part of the sums.
    template <int M, int vectors>
    static void start(const Forward<Real>& a, Vector (&sum)[M][sums * vectors], const Real* x, int64_t row, const Real* w) {
        constexpr int A = sums * vectors, XV = x_gates * vectors;
        const Real* bias = w + (a.I * x_gates + a.H * h_gates) * vectors * S::width;
        for (int m = 0; m < M; ++m)
            for (int v = 0; v < A; ++v) sum[m][v] = S::load(bias + v * S::width);
        accumulate<M, XV, 0, A, Real>(sum, x, row, 1, w, a.I);
    }

    static void step(const Forward<Real>& a, int64_t t, int64_t begin, int64_t end, Member member, const Real* ahead) {
        const int64_t first = member.first(panels(a.H)), last = member.last(panels(a.H));
        for_panels(a, member, [&]<int vectors>(int64_t panel, const Real* w) {
            const int64_t next = panel + 1 < last ? panel + 1 : first, before = ahead ? a.I * x_gates * vectors * S::width : 0;
            const Fetch fetch{a.packed + next * pitch(a.I, a.H) + before, pitch(a.I, a.H) - before, begin, end, last - first};
            for_tiles<rows>(begin, end, [&]<int M>(int64_t b) {
                fetch.template rows<M, Real>(b);
                tile<M, vectors>(a, t, b, panel, w, ahead ? ahead + (b - begin) * sums_of_row(a.H) + panel * sums * units : nullptr);
            });
        });
        const Units own = units_of(a.H, member);
        for (int64_t b = begin; b < end; ++b) {
            Real* y = a.y + (t * a.B + b) * a.H;
            if (!active<Real>(a.lengths, t, b)) fill<Real>(y, nullptr, own);
            else if (t == (a.lengths ? a.lengths[b] : a.T) - 1) fill(a.h_n + b * a.H, y, own);
        }
    }

    template <int M, int vectors>
    static void tile(const Forward<Real>& a, int64_t t, int64_t b, int64_t panel, const Real* w, const Real* ahead) {
        constexpr int A = sums * vectors, HV = h_gates * vectors;
        const auto fresh = [&](int m) { return a.reset && a.reset[t * a.B + b + m]; };
        bool any_active = false, any_fresh = false;
        for (int m = 0; m < M; ++m) {
            any_active = any_active || active<Real>(a.lengths, t, b + m);
            any_fresh = any_fresh || fresh(m);
        }
        if (!any_active) return;
        if constexpr (M > 1)
            if (any_fresh) {  // which is rare: row by row
                for (int m = 0; m < M; ++m) tile<1, vectors>(a, t, b + m, panel, w, ahead ? ahead + m * sums_of_row(a.H) : nullptr);
                return;
            }
        Vector sum[M][A];
        if (ahead)
            for (int m = 0; m < M; ++m)
                for (int v = 0; v < A; ++v) sum[m][v] = S::load(ahead + m * sums_of_row(a.H) + v * S::width);
        else
            start<M, vectors>(a, sum, a.x + (t * a.B + b) * a.I, a.I, w);
        const Real* h = t > 0 ? a.y + ((t - 1) * a.B + b) * a.H : a.h_0 ? a.h_0 + b * a.H : nullptr;
        const Real* w_h = w + a.I * x_gates * vectors * S::width;
        if (any_fresh) h = nullptr;
        if (h) {
            bool alone = false;
            if constexpr (M == 1)
                if ((alone = a.B == 1)) accumulate_alone<HV, A - HV, A, Real>(sum, h, w_h, a.H);
            if (!alone) accumulate<M, HV, A - HV, A, Real>(sum, h, a.H, 1, w_h, a.H);
        }
        Cell::template step<Real, M, vectors>(a, t, b, panel * units, sum, h, any_fresh);
    }

    // --- backward ---------------------------------------------------------------------------------------------------
    //
    // A few steps at a time: back through them, then the products of their gradients, while those lie in the cache.

    using Packed = Columns<Real>;
    using Sums = RowSums<Real>;
    static constexpr int blocks = Cell::grad_blocks;

    // Steps at a time, and what a part of the batch has for itself.
    static int64_t steps(int64_t T, int64_t B, int64_t I, int64_t H, int64_t parts) {
        const int64_t wanted = Sums::rows((I + H) * blocks * H) / largest(B, parts);
        return wanted < 1 ? 1 : wanted < T ? wanted : T;
    }
    static int64_t zeros(int64_t I, int64_t H) { return I > H ? I : H; }
    static int64_t own_of_part(int64_t T, int64_t B, int64_t I, int64_t H, int64_t parts) {
        return steps(T, B, I, H, parts) * largest(B, parts) * blocks * H;
    }
    static int64_t own_of_member(int64_t I, int64_t H) { return Sums::workspace(zeros(I, H)) + zeros(I, H); }
    static int64_t packed_back(int64_t I, int64_t H) { return Packed::numbers(h_gates * H, H) + Packed::numbers(x_gates * H, I); }
    static size_t back_workspace(int64_t T, int64_t B, int64_t I, int64_t H, int64_t parts, int64_t members) {
        return size_t(packed_back(I, H) + parts * (own_of_part(T, B, I, H, parts) + members * own_of_member(I, H)));
    }

    static void pack_back(const Backward<Real>& a, int64_t part, int64_t parts) {
        const auto pack = [&]<int gates>(const Real* W, int64_t N, const int (&gate)[gates], Real* to) {
            const auto row = [&](int64_t k) { return W + (gate[k / a.H] * a.H + k % a.H) * N; };
            Packed::pack(row, gates * a.H, N, part, parts, to);
        };
        pack(a.W_hh, a.H, Cell::h_gate, a.packed);
        if (a.dx) pack(a.W_ih, a.I, Cell::x_gate, a.packed + Packed::numbers(h_gates * a.H, a.H));
    }

    static void backward(const Backward<Real>& a, int64_t part, int64_t begin, int64_t end, Member member) {
        const int64_t chunk = steps(a.T, a.B, a.I, a.H, a.parts), own = own_of_part(a.T, a.B, a.I, a.H, a.parts);
        Real* grads = a.packed + packed_back(a.I, a.H) + part * (own + member.of * own_of_member(a.I, a.H));
        Real* zeros_here = grads + own + member.index * own_of_member(a.I, a.H);
        Real* scratch = zeros_here + zeros(a.I, a.H);
        Real* dW_ih = a.dW_ih + part * (a.I + 1) * x_gates * a.H;
        Real* dW_hh = a.dW_hh + part * (a.H + 1) * h_gates * a.H;
        fill<Real>(zeros_here, nullptr, {0, zeros(a.I, a.H)});
        for (int64_t i = 0; i <= a.I; ++i) fill<Real>(dW_ih + i * x_gates * a.H, nullptr, share_of(x_gates * a.H, Sums::width, member));
        for (int64_t i = 0; i <= a.H; ++i) fill<Real>(dW_hh + i * h_gates * a.H, nullptr, share_of(h_gates * a.H, Sums::width, member));
        for (int64_t last = a.T, first; last > 0; last = first) {
            first = last > chunk ? last - chunk : 0;
            for (int64_t t = last - 1; t >= first; --t)
                step_back(a, t, begin, end, member, grads + (t - first) * (end - begin) * blocks * a.H);
            if (a.dx) input_gradients(a, first, last, begin, end, member, grads);
            weight_gradients(a, first, last, begin, end, member, grads, zeros_here, dW_ih, dW_hh, scratch);
            member.wait();
        }
    }

    // h or c before step t of a sequence; null: zeros.
    static const Real* before(const Backward<Real>& a, const Real* all, const Real* first, int64_t t, int64_t b) {
        if (a.reset && a.reset[t * a.B + b]) return nullptr;
        return t > 0 ? all + ((t - 1) * a.B + b) * a.H : first ? first + b * a.H : nullptr;
    }

    // grads (end - begin, blocks * H) of step t, and dL/dh before it.
    static void step_back(const Backward<Real>& a, int64_t t, int64_t begin, int64_t end, Member member, Real* grads) {
        const int64_t row = blocks * a.H;
        const Units own = share_of(a.H, Packed::width, member);
        bool any = false;
        for (int64_t b = begin; b < end; ++b) {
            Real* to = grads + (b - begin) * row;
            if (!active<Real>(a.lengths, t, b)) {
                for (int block = 0; block < blocks; ++block) fill<Real>(to + block * a.H, nullptr, own);
                continue;
            }
            any = true;
            const Real *h = before(a, a.y, a.h_0, t, b), *c = Cell::has_c ? before(a, a.c, a.c_0, t, b) : nullptr;
            for (int64_t unit = own.first; unit < own.last; unit += S::width) Cell::template back<Real>(a, t, b, unit, h, c, to);
        }
        member.wait();
        if (!any) return;
        const Real* reached = grads + (blocks - h_gates) * a.H;
        Real* dh = a.dh + begin * a.H;
        const int64_t panels = Packed::panels(a.H);
        multiply<Real>(true, reached, row, 0, 1, end - begin, a.packed, h_gates * a.H, a.H, member.first(panels), member.last(panels), dh,
                       0, a.B == 1);
        for (int64_t b = begin; b < end; ++b)
            if (a.reset && a.reset[t * a.B + b] && active<Real>(a.lengths, t, b)) {
                fill<Real>(a.dh + b * a.H, nullptr, own);
                if (Cell::has_c) fill<Real>(a.dc + b * a.H, nullptr, own);
            }
    }

    static void input_gradients(const Backward<Real>& a, int64_t first, int64_t last, int64_t begin, int64_t end, Member member,
                                const Real* grads) {
        const int64_t n = end - begin, row = blocks * a.H, panels = Packed::panels(a.I);
        const int64_t times = n == a.B ? 1 : last - first;  // the rows of all steps fill tiles better, but must lie in order
        multiply<Real>(false, grads, row, n * row, times, n * (last - first) / times, a.packed + Packed::numbers(h_gates * a.H, a.H),
                       x_gates * a.H, a.I, member.first(panels), member.last(panels), a.dx + (first * a.B + begin) * a.I, a.B * a.I,
                       false);
    }

    static void weight_gradients(const Backward<Real>& a, int64_t first, int64_t last, int64_t begin, int64_t end, Member member,
                                 const Real* grads, const Real* zeros, Real* dW_ih, Real* dW_hh, Real* scratch) {
        const Units to_x = share_of(x_gates * a.H, Sums::width, member), to_h = share_of(h_gates * a.H, Sums::width, member);
        const Real *x[Sums::most], *h[Sums::most], *g[Sums::most];
        int64_t n = 0;
        const auto add = [&] {
            add_products<Real>(x, a.I, g, 0, x_gates * a.H, to_x.first, to_x.last, n, dW_ih, scratch);
            add_products<Real>(h, a.H, g, (blocks - h_gates) * a.H, h_gates * a.H, to_h.first, to_h.last, n, dW_hh, scratch);
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

    static void add_up(const Backward<Real>& a, int64_t part, int64_t parts) {
        const auto add = [&]<int gates>(const Real* sums, int64_t K, const int (&gate)[gates], Real* W, Real* b) {
            for (int g = 0; g < gates; ++g)
                Sums::total(sums + g * a.H, a.parts, K, gates * a.H, part * a.H / parts, (part + 1) * a.H / parts,
                            W + gate[g] * a.H * K, b ? b + gate[g] * a.H : nullptr);
        };
        add(a.dW_ih, a.I, Cell::x_gate, a.of_W_ih, a.of_b_ih);
        add(a.dW_hh, a.H, Cell::h_gate, a.of_W_hh, a.of_b_hh);
    }

    static constexpr Kernels<Real> kernels = {workspace, back_workspace, pack, forward, pack_back, backward, add_up};
};

// A vector of p's numbers from `unit` on, of which H - unit are there; zeros where p is null.
template <class Real>
ELMAN_INLINE typename Simd<Real>::Vector get(const Real* p, int64_t unit, int64_t H) {
    using S = Simd<Real>;
    return p ? S::load(p + unit, S::there(H - unit)) : typename S::Vector{};
}

template <class Real>
ELMAN_INLINE void put(Real* p, typename Simd<Real>::Vector v, int64_t unit, int64_t H) {
    using S = Simd<Real>;
    S::store(p + unit, v, S::there(H - unit));
}

}  // namespace elman::ELMAN_ISA
