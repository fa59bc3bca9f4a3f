// The recurrence of cells whose gates look at the input alone, forward and backward. kernels.h is the contract.
//
// Memory is what limits it, so nothing is kept between forward and backward but the sums and h: gates are squashed twice.
#include "kernels.h"
#include "simd.h"

namespace elman::ELMAN_ISA {

// What a step of some vectors of units is made of; the letters are those of gated_reference.py.
template <class Real, Gated cell>
struct Gates {
    using S = Simd<Real>;
    using Vector = typename S::Vector;
    static constexpr int blocks = sum_blocks(cell);
    static constexpr bool positive = cell == mingru_positive || cell == minlstm_positive;

    template <int m>
    using Sums = Vector[blocks][m];

    // exp(v) - 1, exact near zero, for v up to 0.
    template <int m>
    static void exp_less_one(Vector (&v)[m]) {
        Vector p[m], scale[m];
        for (int k = 0; k < m; ++k) v[k] = S::clamp(v[k], Bits<Real>::sigmoid_limit);
        S::power(v, Real(S::log2_e), p, scale);
        for (int k = 0; k < m; ++k) v[k] = scale[k] * p[k] + (scale[k] - Real(1));
    }

    static Vector root(Vector v) {
#if ELMAN_VECTOR_BYTES >= 32
        if constexpr (sizeof(Real) == 4) asm("vsqrtps %0, %0" : "+v"(v));
        else asm("vsqrtpd %0, %0" : "+v"(v));
#elif defined(__x86_64__)
        if constexpr (sizeof(Real) == 4) asm("sqrtps %0, %0" : "+x"(v));
        else asm("sqrtpd %0, %0" : "+x"(v));
#else
        for (int k = 0; k < S::width; ++k) v[k] = sizeof(Real) == 4 ? __builtin_sqrtf(v[k]) : __builtin_sqrt(v[k]);
#endif
        return v;
    }

    // The candidate and its slope, in place of its sum.
    template <int m>
    static void candidate(Vector (&n)[m], Vector (&slope)[m]) {
        if constexpr (!positive) {
            for (int k = 0; k < m; ++k) slope[k] = S::all(1);
        } else {
            Vector s[m];
            for (int k = 0; k < m; ++k) s[k] = n[k];
            S::sigmoid(s);
            for (int k = 0; k < m; ++k) {
                const auto above = n[k] >= Vector{};
                slope[k] = above ? S::all(1) : s[k] * (Real(1) - s[k]);
                n[k] = above ? n[k] + Real(0.5) : s[k];
            }
        }
    }

    // Both gates of minlstm, 1 / (1 + e^-i) : 1 / (1 + e^-f), scaled by whatever keeps the powers in range.
    template <int m>
    struct Pair {
        Vector i_open[m], f_open[m], i_shut[m], f_shut[m], over[m];  // numerators; e^-i and e^-f; 1 / denominator

        explicit Pair(const Sums<m>& p) {
            Vector one[m];
            for (int k = 0; k < m; ++k) {
                const Vector i = -p[0][k], f = -p[1][k], most = i > f ? i : f;
                const Vector top = most > Vector{} ? most : Vector{};
                i_shut[k] = i - top, f_shut[k] = f - top, one[k] = -top;
            }
            exp_less_one(i_shut), exp_less_one(f_shut), exp_less_one(one);
            for (int k = 0; k < m; ++k) {
                i_shut[k] = i_shut[k] + Real(1), f_shut[k] = f_shut[k] + Real(1), one[k] = one[k] + Real(1);
                i_open[k] = one[k] + f_shut[k], f_open[k] = one[k] + i_shut[k];
                over[k] = S::reciprocal(i_open[k] + f_open[k]);
            }
        }
    };

    // a and b of h = a * before + b. p is used up.
    template <int m>
    static void forward(Sums<m>& p, const Vector (&decay)[m], Vector (&a)[m], Vector (&b)[m]) {
        if constexpr (cell == rglru) {
            S::sigmoid(p[0]), S::sigmoid(p[1]);
            for (int k = 0; k < m; ++k) a[k] = decay[k] * p[0][k];
            exp_less_one(a);
            for (int k = 0; k < m; ++k) b[k] = input_scale(a[k]) * (p[1][k] * p[2][k]), a[k] = a[k] + Real(1);
        } else if constexpr (blocks == 2) {
            Vector slope[m];
            S::sigmoid(p[0]);
            candidate(p[1], slope);
            for (int k = 0; k < m; ++k) a[k] = Real(1) - p[0][k], b[k] = p[0][k] * p[1][k];
        } else {
            Vector slope[m];
            const Pair<m> gates(p);
            candidate(p[2], slope);
            for (int k = 0; k < m; ++k) a[k] = gates.f_open[k] * gates.over[k], b[k] = gates.i_open[k] * gates.over[k] * p[2][k];
        }
    }

    // sqrt(1 - a^2) from a - 1.
    static Vector input_scale(Vector e) {
        const Vector q = -e * (e + Real(2)), least = S::all(sizeof(Real) == 4 ? Real(1.17549435e-38) : Real(2.2250738585072014e-308));
        return root(q < least ? least : q);
    }

    // From g = dL/dh the gradients of the sums in place of them, a, and the part of dL/d(decay).
    template <int m>
    static void backward(Sums<m>& p, const Vector (&decay)[m], const Vector (&before)[m], const Vector (&g)[m], Vector (&a)[m],
                         Vector (&ddecay)[m]) {
        if constexpr (cell == rglru) {
            S::sigmoid(p[0]), S::sigmoid(p[1]);
            for (int k = 0; k < m; ++k) a[k] = decay[k] * p[0][k];
            exp_less_one(a);
            for (int k = 0; k < m; ++k) {
                const Vector r = p[0][k], i = p[1][k], u = p[2][k], scale = input_scale(a[k]);
                a[k] = a[k] + Real(1);
                // r over the scale first: both may be tiny, and u large.
                ddecay[k] = g[k] * a[k] * (before[k] * r - i * u * a[k] * (r / scale));
                p[0][k] = ddecay[k] * decay[k] * (Real(1) - r);
                p[1][k] = g[k] * scale * u * i * (Real(1) - i);
                p[2][k] = g[k] * scale * i;
            }
        } else if constexpr (blocks == 2) {
            Vector slope[m];
            S::sigmoid(p[0]);
            candidate(p[1], slope);
            for (int k = 0; k < m; ++k) {
                const Vector z = p[0][k], n = p[1][k];
                a[k] = Real(1) - z;
                p[0][k] = g[k] * (n - before[k]) * z * a[k];
                p[1][k] = g[k] * z * slope[k];
            }
        } else {
            Vector slope[m];
            const Pair<m> gates(p);
            candidate(p[2], slope);
            for (int k = 0; k < m; ++k) {
                const Vector i = gates.i_open[k] * gates.over[k], dgates = g[k] * (p[2][k] - before[k]) * gates.over[k];
                a[k] = gates.f_open[k] * gates.over[k];
                p[0][k] = dgates * i * gates.i_shut[k];
                p[1][k] = -dgates * a[k] * gates.f_shut[k];
                p[2][k] = g[k] * i * slope[k];
            }
        }
    }
};

template <class Real, Gated cell>
struct GatedRecurrence {
    using G = Gates<Real, cell>;
    using S = Simd<Real>;
    using Vector = typename S::Vector;
    static constexpr int blocks = G::blocks, together = 4;  // vectors at once, as squashing is a long chain

    // Calls work.template operator()<m>(k, count) for m vectors of units from k on; count is less than m vectors at the end.
    template <class Work>
    static inline __attribute__((always_inline)) void each(int64_t begin, int64_t end, const Work& work) {
        for (; begin + together * S::width <= end; begin += together * S::width) work.template operator()<together>(begin, S::width);
        for (; begin < end; begin += S::width) work.template operator()<1>(begin, S::there(end - begin));
    }

    static void copy(Real* to, const Real* from, int64_t begin, int64_t end) {
        for (int64_t k = begin; k < end; ++k) to[k] = from ? from[k] : Real(0);
    }

    template <int m>
    static inline __attribute__((always_inline)) void load(Vector (&v)[m], const Real* from, int count) {
        for (int k = 0; k < m; ++k) v[k] = from ? S::load(from + k * S::width, count) : Vector{};
    }

    static void forward(const GatedScan<Real>& s, int64_t begin, int64_t end) {
        const int64_t H = s.H;
        for (int64_t b = 0; b < s.B; ++b) copy(s.h_n + b * H, s.h_0 ? s.h_0 + b * H : nullptr, begin, end);
        for (int64_t t = 0; t < s.T; ++t)
            for (int64_t b = 0; b < s.B; ++b) {
                const int64_t row = t * s.B + b, length = s.lengths ? s.lengths[b] : s.T;
                Real* h = s.h + row * H;
                if (t >= length) {
                    copy(h, nullptr, begin, end);
                    continue;
                }
                const Real* before = t > 0 ? h - s.B * H : s.h_0 ? s.h_0 + b * H : nullptr;
                if (s.reset && s.reset[row]) before = nullptr;
                const Real *sums = s.p + row * blocks * H, *decay = s.decay;
                each(begin, end, [=]<int m>(int64_t k, int n) __attribute__((always_inline)) {
                    Vector p[blocks][m], rate[m], past[m], a[m], b_t[m];
                    for (int block = 0; block < blocks; ++block) load(p[block], sums + block * H + k, n);
                    load(rate, cell == rglru ? decay + k : nullptr, n);
                    load(past, before ? before + k : nullptr, n);
                    G::forward(p, rate, a, b_t);
                    for (int j = 0; j < m; ++j) S::store(h + k + j * S::width, a[j] * past[j] + b_t[j], n);
                });
                if (t == length - 1) copy(s.h_n + b * H, h, begin, end);
            }
    }

    // The gradient on its way back through time lies in dh_0.
    static void backward(const GatedScanBackward<Real>& s, int64_t begin, int64_t end) {
        const int64_t H = s.H;
        for (int64_t b = 0; b < s.B; ++b) copy(s.dh_0 + b * H, s.dh_n ? s.dh_n + b * H : nullptr, begin, end);
        if (cell == rglru) copy(s.ddecay, nullptr, begin, end);
        for (int64_t t = s.T - 1; t >= 0; --t)
            for (int64_t b = 0; b < s.B; ++b) {
                const int64_t row = t * s.B + b, at = row * H;
                Real *dsums = s.dp + at * blocks, *total = s.total ? s.total + at : nullptr;
                if (s.lengths && t >= s.lengths[b]) {
                    for (int block = 0; block < blocks; ++block) copy(dsums + block * H, nullptr, begin, end);
                    if (total) copy(total, nullptr, begin, end);
                    continue;
                }
                const bool fresh = s.reset && s.reset[row];
                const Real* before = fresh ? nullptr : t > 0 ? s.h + at - s.B * H : s.h_0 ? s.h_0 + b * H : nullptr;
                const Real *sums = s.p + at * blocks, *decay = s.decay, *dh = s.dh ? s.dh + at : nullptr;
                Real *carry = s.dh_0 + b * H, *ddecay = s.ddecay;
                each(begin, end, [=]<int m>(int64_t k, int n) __attribute__((always_inline)) {
                    Vector p[blocks][m], rate[m], past[m], a[m], g[m], later[m], drate[m];
                    for (int block = 0; block < blocks; ++block) load(p[block], sums + block * H + k, n);
                    load(rate, cell == rglru ? decay + k : nullptr, n);
                    load(past, before ? before + k : nullptr, n);
                    load(g, dh ? dh + k : nullptr, n), load(later, carry + k, n);
                    for (int j = 0; j < m; ++j) g[j] += later[j];
                    G::backward(p, rate, past, g, a, drate);
                    for (int j = 0; j < m; ++j) {
                        const int64_t here = k + j * S::width;
                        for (int block = 0; block < blocks; ++block) S::store(dsums + block * H + here, p[block][j], n);
                        S::store(carry + here, fresh ? Vector{} : a[j] * g[j], n);
                        if (total) S::store(total + here, g[j], n);
                        if (cell == rglru) S::store(ddecay + here, S::load(ddecay + here, n) + drate[j], n);
                    }
                });
            }
    }

    static constexpr GatedKernels<Real> kernels = {forward, backward};
};

#define ELMAN_GATED(cell)                                                                           \
    extern const GatedKernels<float> cell##_f32 = GatedRecurrence<float, Gated::cell>::kernels;     \
    extern const GatedKernels<double> cell##_f64 = GatedRecurrence<double, Gated::cell>::kernels;
ELMAN_GATED(mingru)
ELMAN_GATED(mingru_positive)
ELMAN_GATED(minlstm)
ELMAN_GATED(minlstm_positive)
ELMAN_GATED(rglru)

}  // namespace elman::ELMAN_ISA
