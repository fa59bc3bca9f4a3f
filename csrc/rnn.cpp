// The simple recurrent network over a whole sequence, forward and backward. kernels.h is the contract.
#include "variants.h"

namespace elman::ELMAN_ISA {

template <bool relu>
struct Rnn {
    static constexpr int unit_vectors = sums_in_registers == 24 ? 4 : 2;
    static constexpr int sums = 1, x_gates = 1, h_gates = 1, grad_blocks = 1;
    static constexpr int x_gate[] = {0}, h_gate[] = {0};
    static constexpr bool has_c = false;

    template <class Real, int M, int U>
    static void step(const Forward<Real>& a, int64_t t, int64_t b, int64_t unit, const typename Simd<Real>::Vector (&h_bar)[M][U],
                     const Real*, bool) {
        using S = Simd<Real>;
        typename S::Vector h[M * U];
        for (int v = 0; v < M * U; ++v) h[v] = relu ? S::relu(h_bar[v / U][v % U]) : h_bar[v / U][v % U];
        if constexpr (!relu) S::tanh(h);
        for (int v = 0; v < M * U; ++v)
            if (const int64_t m = b + v / U; active<Real>(a.lengths, t, m))
                put(a.y + (t * a.B + m) * a.H, h[v], unit + v % U * S::width, a.H);
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

template <bool relu>
struct RnnVariant {
    static constexpr elman::Cell cell = relu ? rnn_relu : rnn_tanh;
    static constexpr int64_t gates = 1, kept = 1;
    static constexpr bool has_c = false, apart = false;

    template <class Real>
    static void row(const Row<Real>& r) {
        using S = Simd<Real>;
        const int64_t H = r.a.H;
        vectors_of<Real>(H, [&](int64_t k) {
            const auto h_bar = r.x_sum(0, k) + r.h_sum(0, k), h = relu ? S::relu(h_bar) : S::tanh(h_bar);
            r.note(0, h_bar, k);
            put(r.saved, h, k, H);
            put(r.out, h, k, H);
        });
    }

    template <class Real>
    static void row_back(const RowBack<Real>& r) {
        using S = Simd<Real>;
        const int64_t H = r.a.H;
        vectors_of<Real>(H, [&](int64_t k) {
            const auto h = get(r.saved, k, H);
            const auto slope = relu ? (h > typename S::Vector{} ? S::all(1) : typename S::Vector{}) : Real(1) - h * h;
            put(r.to_x, get(r.dout, k, H) * slope, k, H);
        });
    }
};

extern const Kernels<float> rnn_tanh_f32 = Recurrence<float, Rnn<false>>::kernels;
extern const Kernels<double> rnn_tanh_f64 = Recurrence<double, Rnn<false>>::kernels;
extern const Kernels<float> rnn_relu_f32 = Recurrence<float, Rnn<true>>::kernels;
extern const Kernels<double> rnn_relu_f64 = Recurrence<double, Rnn<true>>::kernels;
extern const Variants<float> rnn_tanh_variant_f32 = Variant<float, RnnVariant<false>>::variants;
extern const Variants<double> rnn_tanh_variant_f64 = Variant<double, RnnVariant<false>>::variants;
extern const Variants<float> rnn_relu_variant_f32 = Variant<float, RnnVariant<true>>::variants;
extern const Variants<double> rnn_relu_variant_f64 = Variant<double, RnnVariant<true>>::variants;

}  // namespace elman::ELMAN_ISA
