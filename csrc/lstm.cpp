// The long short-term memory over a whole sequence, forward and backward. kernels.h is the contract.
#include "recurrence.h"

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

extern const Kernels<float> lstm_f32 = Recurrence<float, Lstm>::kernels;
extern const Kernels<double> lstm_f64 = Recurrence<double, Lstm>::kernels;

}  // namespace elman::ELMAN_ISA
