// The simple recurrent network over a whole sequence, forward and backward. kernels.h is the contract.
#include "recurrence.h"

namespace elman::ELMAN_ISA {

template <bool relu>
struct Rnn {
    static constexpr int unit_vectors = sums_in_registers == 24 ? 4 : 2;
    static constexpr int sums = 1, x_gates = 1, h_gates = 1, grad_blocks = 1;
    static constexpr int x_gate[] = {0}, h_gate[] = {0};
    static constexpr bool has_c = false;

    template <class Real, int U>
    static void step(const Forward<Real>& a, int64_t t, int64_t b, int64_t unit, const typename Simd<Real>::Vector* h_bar,
                     const Real*, bool) {
        using S = Simd<Real>;
        put(a.y + (t * a.B + b) * a.H, relu ? S::relu(*h_bar) : S::tanh(*h_bar), unit, a.H);
    }

    template <class Real>
    static void back(const Backward<Real>& a, int64_t t, int64_t b, int64_t unit, const Real*, const Real*, Real* grads) {
        using S = Simd<Real>;
        const int64_t row = t * a.B + b, H = a.H;
        const auto h = get(a.y + row * H, unit, H);
        auto dh = get(a.dh + b * H, unit, H);
        if (a.dy) dh += get(a.dy + row * H, unit, H);
        const auto slope = relu ? (h > typename S::Vector{} ? S::all(1) : typename S::Vector{}) : Real(1) - h * h;
        put(grads, dh * slope, unit, H);
        put(a.dh + b * H, typename S::Vector{}, unit, H);
    }
};

extern const Kernels<float> rnn_tanh_f32 = Recurrence<float, Rnn<false>>::kernels;
extern const Kernels<double> rnn_tanh_f64 = Recurrence<double, Rnn<false>>::kernels;
extern const Kernels<float> rnn_relu_f32 = Recurrence<float, Rnn<true>>::kernels;
extern const Kernels<double> rnn_relu_f64 = Recurrence<double, Rnn<true>>::kernels;

}  // namespace elman::ELMAN_ISA
