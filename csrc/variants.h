// Cells with extras: normalised sums, dropped, kept and projected states, peepholes. kernels.h is the contract.
//
// Where sums are normalised, a gate needs the sums of all units before it can be squashed. So a step is done in passes here,
// each over all rows of the batch: the product with h, then the cell, row by row, then the projection. A cell adds:
//
//   gates, kept            blocks of H: of its weights; of what it saves of a step
//   apart                  whether x and h reach the gates in different ways, so that their gradients differ
//   row(...), row_back(...)
#pragma once

#include "recurrence.h"

namespace elman::ELMAN_ISA {

// One sequence at one step forward.
template <class Real>
struct Row {
    const VariantForward<Real>& a;
    int64_t t, b;
    const Real *from_x, *from_h;  // (G * H) the sums, with neither bias if those are null
    const Real *b_ih, *b_hh;      // (G * H) or null
    const Real *h, *c;            // before the step; null: zeros
    Real *saved, *normed_c;       // of this step; normed_c (H, and its factor last) null where it is not normalised
    Real* out;                    // (H) h before projection and zoneout
    int64_t gates;

    using S = Simd<Real>;
    using Vector = typename S::Vector;
    Vector x_sum(int gate, int64_t unit) const { return sum(from_x, b_ih, gate, unit); }
    Vector h_sum(int gate, int64_t unit) const { return sum(from_h, b_hh, gate, unit); }
    Vector sum(const Real* sums, const Real* bias, int gate, int64_t unit) const {
        return get(sums + gate * a.H, unit, a.H) + get(bias ? bias + gate * a.H : nullptr, unit, a.H);
    }
    void note(int gate, Vector bar, int64_t unit) const {
        if (a.bars) put(a.bars + ((t * a.B + b) * gates + gate) * a.H, bar, unit, a.H);
    }
};

// The same on the way back.
template <class Real>
struct RowBack {
    const VariantBackward<Real>& a;
    int64_t t, b;
    const Real *h, *c;           // before the step; null: zeros
    const Real *saved, *normed_c;
    const Real* dout;            // (H) dL/d(out)
    Real *to_x, *to_h;           // (G * H) out: the gradients of the sums; to_h is to_x where those do not differ
    Real* out;                   // (H) out: as forward; null: not wanted
    Real* spare;                 // (H)
    Real *dpeephole, *dnorm_c, *dbias_c;
};

// `keep`'s share of the former value at `unit`: its mask where there is one, else the constant.
template <class Real>
ELMAN_INLINE typename Simd<Real>::Vector kept_share(const uint8_t* keep, Real share, int64_t unit, int64_t H) {
    using S = Simd<Real>;
    if (!keep) return S::all(share);
    uint8_t bytes[S::width] = {};
    const int count = S::there(H - unit);
    if (count == S::width) __builtin_memcpy(bytes, keep + unit, S::width);
    else
        for (int k = 0; k < count; ++k) bytes[k] = keep[unit + k];
    typename S::Vector v;
    for (int k = 0; k < S::width; ++k) v[k] = Real(bytes[k]);
    return v;
}

// The former value where it is kept, to the bit; else the new one, or what lies between them.
template <class Real>
ELMAN_INLINE typename Simd<Real>::Vector zoned(const uint8_t* keep, Real share, typename Simd<Real>::Vector old,
                                         typename Simd<Real>::Vector fresh, int64_t unit, int64_t H) {
    if (!keep && share == 0) return fresh;
    const auto k = kept_share<Real>(keep, share, unit, H);
    return keep ? (k != typename Simd<Real>::Vector{} ? old : fresh) : fresh + k * (old - fresh);
}

template <class Real>
inline Real lanes_sum(typename Simd<Real>::Vector v) {
    Real total = 0;
    for (int k = 0; k < Simd<Real>::width; ++k) total += v[k];
    return total;
}

// Calls work(k) for the beginning of each vector of n numbers.
template <class Real, class Work>
ELMAN_INLINE void vectors_of(int64_t n, const Work& work) {
    for (int64_t k = 0; k < n; k += Simd<Real>::width) work(k);
}

// to(k, (v - mean) / sqrt(variance + 1e-5)) for all vectors of v; the result is 1 / sqrt(...). Sums of their own for every
// second vector: each addition waits for the one before.
template <class Real, class To>
ELMAN_INLINE Real normalise(const Real* v, int64_t n, const To& to) {
    using S = Simd<Real>;
    using Vector = typename S::Vector;
    const int64_t whole = n / (2 * S::width) * 2 * S::width;
    Vector total[2] = {}, squares[2] = {};
    for (int64_t k = 0; k < whole; k += 2 * S::width) total[0] += S::load(v + k), total[1] += S::load(v + k + S::width);
    for (int64_t k = whole; k < n; k += S::width) total[0] += get(v, k, n);
    const Real mean = lanes_sum<Real>(total[0] + total[1]) / Real(n);
    const auto add = [&](Vector& sum, Vector d) { sum += d * d; };
    for (int64_t k = 0; k < whole; k += 2 * S::width)
        add(squares[0], S::load(v + k) - mean), add(squares[1], S::load(v + k + S::width) - mean);
    Real rest = 0;
    for (int64_t k = whole; k < n; ++k) rest += (v[k] - mean) * (v[k] - mean);
    const Real factor = 1 / __builtin_sqrt((lanes_sum<Real>(squares[0] + squares[1]) + rest) / Real(n) + Real(1e-5));
    vectors_of<Real>(n, [&](int64_t k) { to(k, (get(v, k, n) - mean) * factor); });
    return factor;
}

// The gradient of a normalised row, which from(k) gives and writes to v, becomes that of the row before.
template <class Real, class From>
ELMAN_INLINE void normalise_back(Real* v, const Real* normed, Real factor, int64_t n, const From& from) {
    using Vector = typename Simd<Real>::Vector;
    Vector total = {}, along = {};
    vectors_of<Real>(n, [&](int64_t k) {
        const Vector d = from(k);
        total += d;
        along += d * get(normed, k, n);
    });
    const Real mean = lanes_sum<Real>(total) / Real(n), slope = lanes_sum<Real>(along) / Real(n);
    vectors_of<Real>(n, [&](int64_t k) { put(v, factor * (get(v, k, n) - mean - slope * get(normed, k, n)), k, n); });
}

template <class Real>
ELMAN_INLINE void add_to(Real* to, typename Simd<Real>::Vector v, int64_t unit, int64_t n) {
    put(to, get(to, unit, n) + v, unit, n);
}

template <class Real, class Cell>
struct Variant {
    using S = Simd<Real>;
    using Vector = typename S::Vector;
    using Packed = Columns<Real>;
    using Sums = RowSums<Real>;
    static constexpr int G = Cell::gates;

    static int64_t most_rows(int64_t B, int64_t parts) { return (B + parts - 1) / parts; }
    static int64_t saved_numbers(int64_t H, bool normed) { return variant_saved(Cell::cell, H, normed); }
    // Where in what is saved the normalised sums begin, those of x, of h and c; and the three factors.
    static int64_t normed_at(int64_t H, int which) { return (Cell::kept + which * G) * H; }
    static int64_t factor_at(int64_t H, int which) { return (Cell::kept + 2 * G + (Cell::has_c ? 1 : 0)) * H + which; }

    // W (N, K), turned around: column n of the packed matrix is row n of W.
    static void pack_turned(const Real* W, int64_t K, int64_t N, Real* to) {
        for (int64_t panel = 0; panel < Packed::panels(N); ++panel) {
            Real* at = to + panel * K * Packed::width;
            const int64_t lanes = Packed::vectors(N, panel) * S::width, first = panel * Packed::width;
            for (int64_t k = 0; k < K; ++k)
                for (int64_t lane = 0; lane < lanes; ++lane) *at++ = first + lane < N ? W[(first + lane) * K + k] : Real(0);
        }
    }

    static bool fresh(const uint8_t* reset, int64_t B, int64_t t, int64_t b) { return reset && reset[t * B + b]; }

    // --- forward ------------------------------------------------------------------------------------------------------

    // What the packed weights take, and where those of h and of the projection begin.
    static int64_t packed_h(const VariantForward<Real>& a) { return Packed::numbers(a.I, G * a.H); }
    static int64_t packed_hr(const VariantForward<Real>& a) { return packed_h(a) + Packed::numbers(a.with.R, G * a.H); }
    static int64_t packed_all(const VariantForward<Real>& a) {
        return packed_hr(a) + (a.with.W_hr ? Packed::numbers(a.H, a.with.R) : 0);
    }
    static int64_t steps_ahead(const VariantForward<Real>& a) {
        const int64_t wanted = 192 / most_rows(a.B, a.parts);
        return wanted < 1 ? 1 : wanted < a.T ? wanted : a.T;
    }
    static int64_t own_of_row(const VariantForward<Real>& a) {
        return (steps_ahead(a) + 1) * G * a.H + 2 * a.with.R + a.H + saved_numbers(a.H, a.with.normed());
    }
    static size_t workspace(const VariantForward<Real>& a) {
        return size_t(packed_all(a) + a.parts * most_rows(a.B, a.parts) * own_of_row(a));
    }

    static void pack(const VariantForward<Real>& a) {
        pack_turned(a.W_ih, a.I, G * a.H, a.packed);
        pack_turned(a.W_hh, a.with.R, G * a.H, a.packed + packed_h(a));
        if (a.with.W_hr) pack_turned(a.with.W_hr, a.H, a.with.R, a.packed + packed_hr(a));
    }

    static void forward(const VariantForward<Real>& a, int64_t part, int64_t begin, int64_t end) {
        const int64_t n = end - begin, H = a.H, R = a.with.R, GH = G * H, ahead = steps_ahead(a);
        const int64_t kept_numbers = saved_numbers(H, a.with.normed());
        Real* from_x = a.packed + packed_all(a) + part * most_rows(a.B, a.parts) * own_of_row(a);
        Real* from_h = from_x + ahead * n * GH;
        Real *h_in = from_h + n * GH, *out = h_in + n * R, *projected = out + n * H, *spare = projected + n * R;
        for (int64_t b = begin; b < end; ++b) {
            fill(a.h_n + b * R, a.h_0 ? a.h_0 + b * R : nullptr, {0, R});
            if (Cell::has_c) fill(a.c_n + b * H, a.c_0 ? a.c_0 + b * H : nullptr, {0, H});
        }
        for (int64_t t = 0; t < a.T; ++t) {
            const int64_t since = t % ahead;
            if (since == 0)
                multiply<Real>(false, a.x + (t * a.B + begin) * a.I, a.I, a.B * a.I, t + ahead < a.T ? ahead : a.T - t, n, a.packed, a.I, GH, 0, Packed::panels(GH), from_x, n * GH, a.B == 1);
            const auto before = [&](int64_t b) -> const Real* {
                if (fresh(a.reset, a.B, t, b)) return nullptr;
                return t > 0 ? a.y + ((t - 1) * a.B + b) * R : a.h_0 ? a.h_0 + b * R : nullptr;
            };
            for (int64_t b = begin; b < end; ++b) masked(before(b), a.with.mask, b, R, h_in + (b - begin) * R);
            multiply<Real>(false, h_in, R, 0, 1, n, a.packed + packed_h(a), R, GH, 0, Packed::panels(GH), from_h, 0, a.B == 1);
            for (int64_t b = begin; b < end; ++b) {
                if (!active<Real>(a.lengths, t, b)) {
                    fill<Real>(out + (b - begin) * H, nullptr, {0, H});
                    continue;
                }
                Real* saved = a.saved ? a.saved + (t * a.B + b) * kept_numbers : spare + (b - begin) * kept_numbers;
                row(a, t, b, from_x + (since * n + b - begin) * GH, from_h + (b - begin) * GH, before(b), saved,
                    out + (b - begin) * H);
            }
            if (a.with.W_hr) multiply<Real>(false, out, H, 0, 1, n, a.packed + packed_hr(a), H, R, 0, Packed::panels(R), projected, 0, a.B == 1);
            for (int64_t b = begin; b < end; ++b) {
                const int64_t at = t * a.B + b;
                Real* y = a.y + at * R;
                if (!active<Real>(a.lengths, t, b)) {
                    fill<Real>(y, nullptr, {0, R});
                    continue;
                }
                const Real *from = a.with.W_hr ? projected + (b - begin) * R : out + (b - begin) * R, *h = before(b);
                const uint8_t* keep = a.with.keep_h ? a.with.keep_h + at * R : nullptr;
                vectors_of<Real>(R, [&](int64_t k) {
                    put(y, zoned<Real>(keep, a.with.zoneout_h, get(h, k, R), get(from, k, R), k, R), k, R);
                });
                if (t == (a.lengths ? a.lengths[b] : a.T) - 1) fill(a.h_n + b * R, y, {0, R});
            }
        }
    }

    static void masked(const Real* h, const Real* mask, int64_t b, int64_t R, Real* to) {
        vectors_of<Real>(R, [&](int64_t k) {
            const Vector v = get(h, k, R);
            put(to, mask && h ? v * get(mask + b * R, k, R) : v, k, R);
        });
    }

    static void row(const VariantForward<Real>& a, int64_t t, int64_t b, Real* from_x, Real* from_h, const Real* h, Real* saved, Real* out) {
        const int64_t H = a.H, GH = G * H;
        const bool normed = a.with.normed();
        if (normed) {
            normalise(from_x, a.with.norm_ih, a.b_ih, saved + normed_at(H, 0), saved + factor_at(H, 0), GH);
            normalise(from_h, a.with.norm_hh, a.b_hh, saved + normed_at(H, 1), saved + factor_at(H, 1), GH);
        }
        Real* c = Cell::has_c ? a.c_n + b * H : nullptr;
        Cell::row(Row<Real>{a, t, b, from_x, from_h, normed ? nullptr : a.b_ih, normed ? nullptr : a.b_hh, h,
                            fresh(a.reset, a.B, t, b) ? nullptr : c, saved, normed && Cell::has_c ? saved + normed_at(H, 2) : nullptr,
                            out, G});
        if (Cell::has_c && a.c) fill(a.c + (t * a.B + b) * H, c, {0, H});
    }

    // sums become gain * normalised + bias; the normalised ones and their factor are kept.
    static void normalise(Real* sums, const Real* gain, const Real* bias, Real* normed, Real* factor, int64_t n) {
        *factor = ELMAN_ISA::normalise(sums, n, [&](int64_t k, Vector v) {
            put(normed, v, k, n);
            put(sums, v * get(gain, k, n) + get(bias, k, n), k, n);
        });
    }

    // --- backward -----------------------------------------------------------------------------------------------------

    static bool apart(const VariantBackward<Real>& a) { return Cell::apart || a.with.normed(); }
    static int64_t largest_row(const VariantBackward<Real>& a) {
        const int64_t most = a.I > a.with.R ? a.I : a.with.R;
        return most > a.H ? most : a.H;
    }
    static int64_t steps(const VariantBackward<Real>& a) {
        const int64_t wanted = Sums::rows((a.I + a.with.R) * G * a.H) / most_rows(a.B, a.parts);
        return wanted < 1 ? 1 : wanted < a.T ? wanted : a.T;
    }
    static int64_t packed_x(const VariantBackward<Real>& a) { return Packed::numbers(G * a.H, a.with.R); }
    static int64_t packed_hr(const VariantBackward<Real>& a) { return packed_x(a) + Packed::numbers(G * a.H, a.I); }
    static int64_t packed_all(const VariantBackward<Real>& a) {
        return packed_hr(a) + (a.with.W_hr ? Packed::numbers(a.with.R, a.H) : 0);
    }
    // Of each row and step: the gradients of the sums, dL/d(h before zoneout), h as W_hh sees it, and h before projection.
    static int64_t own_of_step(const VariantBackward<Real>& a) {
        return (apart(a) ? 2 : 1) * G * a.H + 2 * a.with.R + a.H;
    }
    static int64_t own_of_part(const VariantBackward<Real>& a) {
        return most_rows(a.B, a.parts) * (steps(a) * own_of_step(a) + a.H + a.with.R) + a.H + Sums::workspace(largest_row(a));
    }
    static size_t back_workspace(const VariantBackward<Real>& a) { return size_t(packed_all(a) + a.parts * own_of_part(a)); }

    static void pack_back(const VariantBackward<Real>& a) {
        Packed::pack([&](int64_t k) { return a.W_hh + k * a.with.R; }, G * a.H, a.with.R, 0, 1, a.packed);
        if (a.dx) Packed::pack([&](int64_t k) { return a.W_ih + k * a.I; }, G * a.H, a.I, 0, 1, a.packed + packed_x(a));
        if (a.with.W_hr)
            Packed::pack([&](int64_t k) { return a.with.W_hr + k * a.H; }, a.with.R, a.H, 0, 1, a.packed + packed_hr(a));
    }

    // The part's own memory, row after row of all the steps that are walked through at once.
    struct Own {
        Real *grads, *dh, *h_in, *out, *dout, *dh_in, *spare, *scratch;
        Own(const VariantBackward<Real>& a, int64_t part) {
            const int64_t rows = most_rows(a.B, a.parts), all = rows * steps(a), R = a.with.R;
            grads = a.packed + packed_all(a) + part * own_of_part(a);
            dh = grads + all * (apart(a) ? 2 : 1) * G * a.H;
            h_in = dh + all * R;
            out = h_in + all * R;
            dout = out + all * a.H;
            dh_in = dout + rows * a.H;
            spare = dh_in + rows * R;
            scratch = spare + a.H;
        }
    };

    static void backward(const VariantBackward<Real>& a, int64_t part, int64_t begin, int64_t end) {
        const int64_t n = end - begin, H = a.H, R = a.with.R, GH = G * H, chunk = steps(a);
        const int64_t row = (apart(a) ? 2 : 1) * GH, to_h = apart(a) ? GH : 0;
        const Own own(a, part);
        Real *dW_ih = a.dW_ih + part * (a.I + 1) * GH, *dW_hh = a.dW_hh + part * (R + 1) * GH;
        Real *dW_hr = a.with.W_hr ? a.dW_hr + part * (H + 1) * R : nullptr, *dsmall = a.dsmall + part * small_numbers(Cell::cell, H);
        fill<Real>(dW_ih, nullptr, {0, (a.I + 1) * GH});
        fill<Real>(dW_hh, nullptr, {0, (R + 1) * GH});
        if (dW_hr) fill<Real>(dW_hr, nullptr, {0, (H + 1) * R});
        fill<Real>(dsmall, nullptr, {0, small_numbers(Cell::cell, H)});
        for (int64_t last = a.T, first; last > 0; last = first) {
            first = last > chunk ? last - chunk : 0;
            for (int64_t t = last - 1; t >= first; --t) {
                const int64_t since = (t - first) * n;
                step_back(a, t, begin, end, own, since, row, to_h, dsmall);
            }
            if (a.dx)
                multiply<Real>(false, own.grads, row, n * row, last - first, n, a.packed + packed_x(a), GH, a.I, 0, Packed::panels(a.I), a.dx + (first * a.B + begin) * a.I, a.B * a.I, false);
            weight_gradients(a, first, last, begin, end, own, row, to_h, dW_ih, dW_hh, dW_hr);
        }
    }

    static const Real* before(const VariantBackward<Real>& a, int64_t t, int64_t b) {
        if (fresh(a.reset, a.B, t, b)) return nullptr;
        return t > 0 ? a.y + ((t - 1) * a.B + b) * a.with.R : a.h_0 ? a.h_0 + b * a.with.R : nullptr;
    }

    static void step_back(const VariantBackward<Real>& a, int64_t t, int64_t begin, int64_t end, const Own& own, int64_t since,
                          int64_t row, int64_t to_h, Real* dsmall) {
        const int64_t n = end - begin, H = a.H, R = a.with.R, GH = G * H, kept_numbers = saved_numbers(H, a.with.normed());
        for (int64_t b = begin; b < end; ++b) {
            const int64_t at = t * a.B + b, m = since + b - begin;
            Real *dh = own.dh + m * R, *carry = a.dh + b * R;
            if (a.squares) a.squares[2 * at] = a.squares[2 * at + 1] = 0;
            masked(active<Real>(a.lengths, t, b) ? before(a, t, b) : nullptr, a.with.mask, b, R, own.h_in + m * R);
            if (!active<Real>(a.lengths, t, b)) {
                fill<Real>(dh, nullptr, {0, R});
                continue;
            }
            const uint8_t* keep = a.with.keep_h ? a.with.keep_h + at * R : nullptr;
            Vector squares = {};
            vectors_of<Real>(R, [&](int64_t k) {
                const Vector all = get(carry, k, R) + get(a.dy ? a.dy + at * R : nullptr, k, R);
                const Vector share = kept_share<Real>(keep, a.with.zoneout_h, k, R);
                squares += all * all;
                put(carry, share * all, k, R);
                put(dh, all - share * all, k, R);
            });
            if (a.squares) a.squares[2 * at] = lanes_sum<Real>(squares);
        }
        if (a.with.W_hr) multiply<Real>(false, own.dh + since * R, R, 0, 1, n, a.packed + packed_hr(a), R, H, 0, Packed::panels(H), own.dout, 0, a.B == 1);
        for (int64_t b = begin; b < end; ++b) {
            const int64_t m = since + b - begin;
            Real* grads = own.grads + m * row;
            if (!active<Real>(a.lengths, t, b)) {
                fill<Real>(grads, nullptr, {0, row});
                fill<Real>(own.out + m * H, nullptr, {0, H});
                continue;
            }
            const Real* saved = a.saved + (t * a.B + b) * kept_numbers;
            const Real* c = !Cell::has_c || fresh(a.reset, a.B, t, b) ? nullptr
                            : t > 0                                   ? a.c + ((t - 1) * a.B + b) * H
                            : a.c_0                                   ? a.c_0 + b * H
                                                                      : nullptr;
            Cell::row_back(RowBack<Real>{a, t, b, before(a, t, b), c, saved,
                                         a.with.normed() && Cell::has_c ? saved + normed_at(H, 2) : nullptr,
                                         a.with.W_hr ? own.dout + (b - begin) * H : own.dh + m * R, grads, grads + (Cell::apart ? GH : 0),
                                         a.with.W_hr ? own.out + m * H : nullptr, own.spare, dsmall + 4 * GH,
                                         dsmall + 4 * GH + 3 * H, dsmall + 4 * GH + 4 * H});
            if (!a.with.normed()) continue;
            if (!Cell::apart) fill(grads + GH, grads, {0, GH});
            normalise_back(grads, saved + normed_at(H, 0), saved[factor_at(H, 0)], a.with.norm_ih, dsmall, dsmall + 2 * GH, GH);
            normalise_back(grads + GH, saved + normed_at(H, 1), saved[factor_at(H, 1)], a.with.norm_hh, dsmall + GH, dsmall + 3 * GH, GH);
        }
        Real* carry = a.dh + begin * R;
        const Real* reached = own.grads + since * row + to_h;
        if (a.with.mask) {
            multiply<Real>(false, reached, row, 0, 1, n, a.packed, GH, R, 0, Packed::panels(R), own.dh_in, 0, a.B == 1);
            const Real *mask = a.with.mask + begin * R, *dh_in = own.dh_in;
            vectors_of<Real>(n * R, [&](int64_t k) { add_to(carry, get(mask, k, n * R) * get(dh_in, k, n * R), k, n * R); });
        } else {
            multiply<Real>(true, reached, row, 0, 1, n, a.packed, GH, R, 0, Packed::panels(R), carry, 0, a.B == 1);
        }
        for (int64_t b = begin; b < end; ++b)
            if (fresh(a.reset, a.B, t, b) && active<Real>(a.lengths, t, b)) {
                fill<Real>(a.dh + b * R, nullptr, {0, R});
                if (Cell::has_c) fill<Real>(a.dc + b * H, nullptr, {0, H});
            }
    }

    // The gradient of gain * normalised + bias becomes that of what was normalised.
    static void normalise_back(Real* v, const Real* normed, Real factor, const Real* gain, Real* dbias, Real* dgain, int64_t n) {
        ELMAN_ISA::normalise_back(v, normed, factor, n, [&](int64_t k) {
            const Vector d = get(v, k, n), x = get(normed, k, n), dx = d * get(gain, k, n);
            add_to(dbias, d, k, n);
            add_to(dgain, d * x, k, n);
            put(v, dx, k, n);
            return dx;
        });
    }

    static void weight_gradients(const VariantBackward<Real>& a, int64_t first, int64_t last, int64_t begin, int64_t end, const Own& own,
                                 int64_t row, int64_t to_h, Real* dW_ih, Real* dW_hh, Real* dW_hr) {
        const int64_t GH = G * a.H, R = a.with.R;
        const Real *x[Sums::most], *h[Sums::most], *g[Sums::most], *out[Sums::most], *dh[Sums::most];
        int64_t n = 0, m = 0;
        const auto add = [&] {
            add_products<Real>(x, a.I, g, 0, GH, 0, GH, n, dW_ih, own.scratch);
            add_products<Real>(h, R, g, to_h, GH, 0, GH, n, dW_hh, own.scratch);
            if (dW_hr) add_products<Real>(out, a.H, dh, 0, R, 0, R, n, dW_hr, own.scratch);
            n = 0;
        };
        for (int64_t t = first; t < last; ++t)
            for (int64_t b = begin; b < end; ++b, ++m) {
                if (!active<Real>(a.lengths, t, b)) continue;
                x[n] = a.x + (t * a.B + b) * a.I;
                h[n] = own.h_in + m * R;
                g[n] = own.grads + m * row;
                out[n] = own.out + m * a.H;
                dh[n] = own.dh + m * R;
                if (++n == Sums::most) add();
            }
        if (n) add();
    }

    static constexpr Variants<Real> variants = {workspace, back_workspace, pack, forward, pack_back, backward};
};

}  // namespace elman::ELMAN_ISA
