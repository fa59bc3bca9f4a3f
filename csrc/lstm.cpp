// The long short-term memory over a whole sequence, forward and backward. kernels.h is the contract.
#include "recurrence.h"

namespace elman::ELMAN_ISA {

struct Lstm {
    static constexpr int unit_vectors = 1, sums = 4, x_gates = 4, h_gates = 4, grad_blocks = 4;
    static constexpr int x_gate[] = {0, 1, 2, 3}, h_gate[] = {0, 1, 2, 3};  // i f g o
    static constexpr bool has_c = true;

    // sum[gate * U]: the pre-activations i_bar, f_bar, g_bar, o_bar of the units from `unit` on.
    template <class Real, int U>
    static void step(const Forward<Real>& a, int64_t t, int64_t b, int64_t unit, const typename Simd<Real>::Vector* sum,
                     const Real*, bool fresh) {
        using S = Simd<Real>;
        const int64_t row = t * a.B + b, H = a.H;
        Real* c_n = a.c_n + b * H;
        const auto i = S::sigmoid(sum[0 * U]), f = S::sigmoid(sum[1 * U]);
        const auto g = S::tanh(sum[2 * U]), o = S::sigmoid(sum[3 * U]);
        auto c = i * g;
        if (!fresh) c += f * get(c_n, unit, H);
        put(c_n, c, unit, H);
        put(a.y + row * H, o * S::tanh(c), unit, H);
        if (!a.saved) return;
        Real* saved = a.saved + row * 4 * H;
        put(saved, i, unit, H);
        put(saved + H, f, unit, H);
        put(saved + 2 * H, g, unit, H);
        put(saved + 3 * H, o, unit, H);
        put(a.c + row * H, c, unit, H);
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
