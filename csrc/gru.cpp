// The gated recurrent unit over a whole sequence, forward and backward. kernels.h is the contract.
#include "variants.h"

namespace elman::ELMAN_ISA {

// The sums are n r z u: x reaches the first three (a^n, r_bar, z_bar), h the last three (r_bar, z_bar, u^n).
struct Gru {
    static constexpr int unit_vectors = 1, sums = 4, x_gates = 3, h_gates = 3, grad_blocks = 4;
    static constexpr int x_gate[] = {2, 0, 1}, h_gate[] = {0, 1, 2};  // of r z n
    static constexpr bool has_c = false;

    template <class Real, int M, int U>
    static void step(const Forward<Real>& a, int64_t t, int64_t b, int64_t unit, const typename Simd<Real>::Vector (&sum)[M][4 * U],
                     const Real* h_before, bool) {
        using S = Simd<Real>;
        const int64_t H = a.H;
        typename S::Vector gates[2 * M], n[M], *r = gates, *z = gates + M;
        for (int m = 0; m < M; ++m) r[m] = sum[m][1], z[m] = sum[m][2];
        S::sigmoid(gates);
        for (int m = 0; m < M; ++m) n[m] = sum[m][0] + r[m] * sum[m][3];
        S::tanh(n);
        for (int m = 0; m < M; ++m) {
            if (!active<Real>(a.lengths, t, b + m)) continue;
            const int64_t row = t * a.B + b + m;
            const Real* h = h_before ? h_before + m * H : nullptr;
            put(a.y + row * H, (Real(1) - z[m]) * n[m] + z[m] * get(h, unit, H), unit, H);
            if (!a.saved) continue;
            Real* saved = a.saved + row * 4 * H;
            put(saved, n[m], unit, H);
            put(saved + H, r[m], unit, H);
            put(saved + 2 * H, z[m], unit, H);
            put(saved + 3 * H, sum[m][3], unit, H);
        }
    }

    template <class Real>
    static void back(const Backward<Real>& a, int64_t t, int64_t b, int64_t unit, const Real* h_before, const Real*,
                     Real* grads) {
        const int64_t row = t * a.B + b, H = a.H;
        const Real* saved = a.saved + row * 4 * H;
        const auto n = get(saved, unit, H), r = get(saved + H, unit, H), z = get(saved + 2 * H, unit, H);
        const auto u = get(saved + 3 * H, unit, H);
        auto dh = get(a.dh + b * H, unit, H);
        if (a.dy) dh += get(a.dy + row * H, unit, H);
        const auto dn = dh * (Real(1) - z) * (Real(1) - n * n);
        put(grads, dn, unit, H);
        put(grads + H, dn * u * r * (Real(1) - r), unit, H);
        put(grads + 2 * H, dh * (get(h_before, unit, H) - n) * z * (Real(1) - z), unit, H);
        put(grads + 3 * H, dn * r, unit, H);
        put(a.dh + b * H, dh * z, unit, H);
    }
};

// Here the sums stand in the order of the weights, r z n.
struct GruVariant {
    static constexpr elman::Cell cell = gru;
    static constexpr int64_t gates = 3, kept = 4;
    static constexpr bool has_c = false, apart = true;

    template <class Real>
    static void row(const Row<Real>& row) {
        using S = Simd<Real>;
        const int64_t H = row.a.H;
        vectors_of<Real>(H, [&](int64_t k) {
            typename S::Vector gates[2] = {row.x_sum(0, k) + row.h_sum(0, k), row.x_sum(1, k) + row.h_sum(1, k)};
            row.note(0, gates[0], k);
            row.note(1, gates[1], k);
            S::sigmoid(gates);
            const auto r = gates[0], z = gates[1], u = row.h_sum(2, k), n_bar = row.x_sum(2, k) + r * u, n = S::tanh(n_bar);
            row.note(2, n_bar, k);
            put(row.saved, n, k, H);
            put(row.saved + H, r, k, H);
            put(row.saved + 2 * H, z, k, H);
            put(row.saved + 3 * H, u, k, H);
            put(row.out, (Real(1) - z) * n + z * get(row.h, k, H), k, H);
        });
    }

    template <class Real>
    static void row_back(const RowBack<Real>& row) {
        const int64_t H = row.a.H;
        Real* dh_before = row.a.dh + row.b * H;
        vectors_of<Real>(H, [&](int64_t k) {
            const auto n = get(row.saved, k, H), r = get(row.saved + H, k, H), z = get(row.saved + 2 * H, k, H);
            const auto u = get(row.saved + 3 * H, k, H), dh = get(row.dout, k, H);
            const auto dn = dh * (Real(1) - z) * (Real(1) - n * n), dr = dn * u * r * (Real(1) - r);
            const auto dz = dh * (get(row.h, k, H) - n) * z * (Real(1) - z);
            put(row.to_x, dr, k, H);
            put(row.to_x + H, dz, k, H);
            put(row.to_x + 2 * H, dn, k, H);
            put(row.to_h, dr, k, H);
            put(row.to_h + H, dz, k, H);
            put(row.to_h + 2 * H, dn * r, k, H);
            add_to(dh_before, dh * z, k, H);
        });
    }
};

extern const Kernels<float> gru_f32 = Recurrence<float, Gru>::kernels;
extern const Kernels<double> gru_f64 = Recurrence<double, Gru>::kernels;
extern const Variants<float> gru_variant_f32 = Variant<float, GruVariant>::variants;
extern const Variants<double> gru_variant_f64 = Variant<double, GruVariant>::variants;

}  // namespace elman::ELMAN_ISA
