// The long short-term memory over a whole sequence, forward and backward. kernels.h is the contract.
#include "variants.h"

namespace elman::ELMAN_ISA {

struct Lstm {
    static constexpr int unit_vectors = 1, sums = 4, x_gates = 4, h_gates = 4, grad_blocks = 4;
    static constexpr int x_gate[] = {0, 1, 2, 3}, h_gate[] = {0, 1, 2, 3};  // i f g o
    static constexpr bool has_c = true;

    // sum[m]: the pre-activations i_bar, f_bar, g_bar, o_bar.
    template <class Real, int M, int U>
    static void step(const Forward<Real>& a, int64_t t, int64_t b, int64_t unit, const typename Simd<Real>::Vector (&sum)[M][4 * U],
                     const Real*, bool fresh) {
        using S = Simd<Real>;
        const int64_t H = a.H;
        typename S::Vector gates[3 * M], g[M], c[M], tanh_c[M], *i = gates, *f = gates + M, *o = gates + 2 * M;
        for (int m = 0; m < M; ++m) i[m] = sum[m][0], f[m] = sum[m][1], g[m] = sum[m][2], o[m] = sum[m][3];
        S::sigmoid(gates);
        S::tanh(g);
        for (int m = 0; m < M; ++m) {
            c[m] = i[m] * g[m];
            if (!fresh) c[m] += f[m] * get(a.c_n + (b + m) * H, unit, H);
            tanh_c[m] = c[m];
        }
        S::tanh(tanh_c);
        for (int m = 0; m < M; ++m) {
            if (!active<Real>(a.lengths, t, b + m)) continue;
            const int64_t row = t * a.B + b + m;
            put(a.c_n + (b + m) * H, c[m], unit, H);
            put(a.y + row * H, o[m] * tanh_c[m], unit, H);
            if (!a.saved) continue;
            Real* saved = a.saved + row * 4 * H;
            put(saved, i[m], unit, H);
            put(saved + H, f[m], unit, H);
            put(saved + 2 * H, g[m], unit, H);
            put(saved + 3 * H, o[m], unit, H);
            put(a.c + row * H, c[m], unit, H);
        }
    }

    template <class Real>
    static void back(const Backward<Real>& a, int64_t t, int64_t b, int64_t unit, const Real*, const Real* c_before,
                     Real* grads) {
        using S = Simd<Real>;
        const int64_t row = t * a.B + b, H = a.H;
        const Real* saved = a.saved + row * 4 * H;
        const auto i = get(saved, unit, H), f = get(saved + H, unit, H), g = get(saved + 2 * H, unit, H);
        const auto o = get(saved + 3 * H, unit, H), tanh_c = S::tanh(get(a.c + row * H, unit, H));
        auto dh = get(a.dh + b * H, unit, H);
        if (a.dy) dh += get(a.dy + row * H, unit, H);
        const auto dc = get(a.dc + b * H, unit, H) + dh * o * (Real(1) - tanh_c * tanh_c);
        put(grads, dc * g * i * (Real(1) - i), unit, H);
        put(grads + H, dc * get(c_before, unit, H) * f * (Real(1) - f), unit, H);
        put(grads + 2 * H, dc * i * (Real(1) - g * g), unit, H);
        put(grads + 3 * H, dh * tanh_c * o * (Real(1) - o), unit, H);
        put(a.dc + b * H, dc * f, unit, H);
        put(a.dh + b * H, typename S::Vector{}, unit, H);
    }
};

struct LstmVariant {
    static constexpr elman::Cell cell = lstm;
    static constexpr int64_t gates = 4, kept = 5;
    static constexpr bool has_c = true, apart = false;

    // What the peephole adds to a gate.
    template <class Real>
    static typename Simd<Real>::Vector peep(const Real* peephole, int gate, typename Simd<Real>::Vector c, int64_t k, int64_t H) {
        return peephole ? get(peephole + gate * H, k, H) * c : typename Simd<Real>::Vector{};
    }

    // c on its way to h.
    template <class Real>
    static typename Simd<Real>::Vector seen(const Extras<Real>& with, const Real* saved, const Real* normed_c, int64_t k, int64_t H) {
        if (!normed_c) return get(saved + 4 * H, k, H);
        return get(with.norm_c, k, H) * get(normed_c, k, H) + get(with.bias_c, k, H);
    }

    template <class Real>
    static void row(const Row<Real>& r) {
        using S = Simd<Real>;
        const int64_t H = r.a.H, at = r.t * r.a.B + r.b;
        const Extras<Real>& with = r.a.with;
        Real *saved = r.saved, *c_n = r.a.c_n + r.b * H;
        const auto sum = [&](int gate, int64_t k) { return r.x_sum(gate, k) + r.h_sum(gate, k); };
        vectors_of<Real>(H, [&](int64_t k) {
            const auto c_before = get(r.c, k, H), g_bar = sum(2, k);
            typename S::Vector gates[2] = {sum(0, k) + peep(with.peephole, 0, c_before, k, H),
                                           sum(1, k) + peep(with.peephole, 1, c_before, k, H)};
            r.note(0, gates[0], k);
            r.note(1, gates[1], k);
            r.note(2, g_bar, k);
            S::sigmoid(gates);
            const auto g = S::tanh(g_bar), c = gates[1] * c_before + gates[0] * g;
            typename S::Vector o[1] = {sum(3, k) + peep(with.peephole, 2, c, k, H)};
            r.note(3, o[0], k);
            S::sigmoid(o);
            put(saved, gates[0], k, H);
            put(saved + H, gates[1], k, H);
            put(saved + 2 * H, g, k, H);
            put(saved + 3 * H, o[0], k, H);
            put(saved + 4 * H, c, k, H);
        });
        if (r.normed_c)
            saved[Variant<Real, LstmVariant>::factor_at(H, 2)] =
                normalise(saved + 4 * H, H, [&](int64_t k, auto v) { put(r.normed_c, v, k, H); });
        const uint8_t* keep = with.keep_c ? with.keep_c + at * H : nullptr;
        vectors_of<Real>(H, [&](int64_t k) {
            put(r.out, get(saved + 3 * H, k, H) * S::tanh(seen<Real>(with, saved, r.normed_c, k, H)), k, H);
            put(c_n, zoned<Real>(keep, with.zoneout_c, get(r.c, k, H), get(saved + 4 * H, k, H), k, H), k, H);
        });
    }

    template <class Real>
    static void row_back(const RowBack<Real>& r) {
        using S = Simd<Real>;
        const int64_t H = r.a.H, at = r.t * r.a.B + r.b;
        const Extras<Real>& with = r.a.with;
        const Real* saved = r.saved;
        Real *carry = r.a.dc + r.b * H, *dseen = r.spare;
        vectors_of<Real>(H, [&](int64_t k) {
            const auto o = get(saved + 3 * H, k, H), dh = get(r.dout, k, H);
            const auto tanh_c = S::tanh(seen<Real>(with, saved, r.normed_c, k, H));
            if (r.out) put(r.out, o * tanh_c, k, H);
            put(r.to_x + 3 * H, dh * tanh_c * o * (Real(1) - o), k, H);
            const auto d = dh * o * (Real(1) - tanh_c * tanh_c);
            put(dseen, r.normed_c ? d * get(with.norm_c, k, H) : d, k, H);
            if (!r.normed_c) return;
            add_to(r.dnorm_c, d * get(r.normed_c, k, H), k, H);
            add_to(r.dbias_c, d, k, H);
        });
        if (r.normed_c) normalise_back(dseen, r.normed_c, saved[Variant<Real, LstmVariant>::factor_at(H, 2)], H,
                                       [&](int64_t k) { return get(dseen, k, H); });
        const uint8_t* keep = with.keep_c ? with.keep_c + at * H : nullptr;
        typename S::Vector squares = {};
        vectors_of<Real>(H, [&](int64_t k) {
            const auto i = get(saved, k, H), f = get(saved + H, k, H), g = get(saved + 2 * H, k, H), c = get(saved + 4 * H, k, H);
            const auto c_before = get(r.c, k, H), do_bar = get(r.to_x + 3 * H, k, H), dc_n = get(carry, k, H);
            const auto share = kept_share<Real>(keep, with.zoneout_c, k, H);
            const auto dc = get(dseen, k, H) + dc_n - share * dc_n + peep(with.peephole, 2, do_bar, k, H);
            const auto di_bar = dc * g * i * (Real(1) - i), df_bar = dc * c_before * f * (Real(1) - f);
            squares += dc * dc;
            put(r.to_x, di_bar, k, H);
            put(r.to_x + H, df_bar, k, H);
            put(r.to_x + 2 * H, dc * i * (Real(1) - g * g), k, H);
            put(carry, share * dc_n + dc * f + peep(with.peephole, 0, di_bar, k, H) + peep(with.peephole, 1, df_bar, k, H), k, H);
            if (!with.peephole) return;
            add_to(r.dpeephole, di_bar * c_before, k, H);
            add_to(r.dpeephole + H, df_bar * c_before, k, H);
            add_to(r.dpeephole + 2 * H, do_bar * c, k, H);
        });
        if (r.a.squares) r.a.squares[2 * at + 1] = lanes_sum<Real>(squares);
    }
};

extern const Kernels<float> lstm_f32 = Recurrence<float, Lstm>::kernels;
extern const Kernels<double> lstm_f64 = Recurrence<double, Lstm>::kernels;
extern const Variants<float> lstm_variant_f32 = Variant<float, LstmVariant>::variants;
extern const Variants<double> lstm_variant_f64 = Variant<double, LstmVariant>::variants;

}  // namespace elman::ELMAN_ISA
