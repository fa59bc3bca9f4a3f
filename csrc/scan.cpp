// The diagonal recurrence h_t = a_t h_{t-1} + b_t over a whole sequence, forward and backward. kernels.h is the contract.
//
// Memory is what limits it. Time is the outer loop, so that every array is read once and in order, and the state of the
// step before, just written, still lies in the cache.
#include "kernels.h"
#include "simd.h"

namespace elman::ELMAN_ISA {

// Shuffles of complex numbers that lie as real and imaginary parts side by side.
template <int... lane>
struct Lanes {
    template <class Vector>
    static Vector swapped(Vector v) {
        return __builtin_shufflevector(v, v, (lane ^ 1)...);
    }
    template <class Vector>
    static Vector real(Vector v) {
        return __builtin_shufflevector(v, v, (lane & ~1)...);
    }
    template <class Vector>
    static Vector imaginary(Vector v) {
        return __builtin_shufflevector(v, v, (lane | 1)...);
    }
};
template <int width>
struct LanesOf;
template <>
struct LanesOf<2> : Lanes<0, 1> {};
template <>
struct LanesOf<4> : Lanes<0, 1, 2, 3> {};
template <>
struct LanesOf<8> : Lanes<0, 1, 2, 3, 4, 5, 6, 7> {};
template <>
struct LanesOf<16> : Lanes<0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15> {};

template <class Real, bool complex>
struct Diagonal {
    using S = Simd<Real>;
    using Vector = typename S::Vector;
    using L = LanesOf<S::width>;

    // a v, or conj(a) v.
    template <bool conjugate = false>
    static Vector times(Vector a, Vector v) {
        if constexpr (!complex) return a * v;
        Vector sign;
        for (int k = 0; k < S::width; ++k) sign[k] = ((k & 1) != 0) == conjugate ? Real(-1) : Real(1);
        return L::real(a) * v + sign * L::imaginary(a) * L::swapped(v);
    }

    // Calls work(k, count) for the vectors of begin .. end, count being the numbers that are there.
    template <class Work>
    static inline __attribute__((always_inline)) void each(int64_t begin, int64_t end, const Work& work) {
        for (; begin + S::width <= end; begin += S::width) work(begin, S::width);
        if (begin < end) work(begin, int(end - begin));
    }

    static void copy(Real* to, const Real* from, int64_t begin, int64_t end) {
        for (int64_t k = begin; k < end; ++k) to[k] = from ? from[k] : Real(0);
    }

    static void forward(const Scan<Real>& s, int64_t begin, int64_t end) {
        for (int64_t b = 0; b < s.B; ++b) copy(s.h_n + b * s.H, s.h_0 ? s.h_0 + b * s.H : nullptr, begin, end);
        for (int64_t t = 0; t < s.T; ++t)
            for (int64_t b = 0; b < s.B; ++b) {
                const int64_t row = t * s.B + b, length = s.lengths ? s.lengths[b] : s.T;
                Real* h = s.h + row * s.H;
                if (t >= length) {
                    copy(h, nullptr, begin, end);
                    continue;
                }
                const Real* before = t > 0 ? h - s.B * s.H : s.h_0 ? s.h_0 + b * s.H : nullptr;
                if (s.reset && s.reset[row]) before = nullptr;
                const Real *a = s.a + t * s.a_step + b * s.a_row, *b_t = s.b + row * s.H;
                if (before)
                    each(begin, end, [=](int64_t k, int n) __attribute__((always_inline)) {
                        S::store(h + k, times(S::load(a + k, n), S::load(before + k, n)) + S::load(b_t + k, n), n);
                    });
                else  // not just b: 0 times infinity is NaN here too
                    each(begin, end, [=](int64_t k, int n) __attribute__((always_inline)) {
                        S::store(h + k, times(S::load(a + k, n), Vector{}) + S::load(b_t + k, n), n);
                    });
                if (t == length - 1) copy(s.h_n + b * s.H, h, begin, end);
            }
    }

    // The gradient on its way back through time lies in dh_0.
    static void backward(const ScanBackward<Real>& s, int64_t begin, int64_t end) {
        const bool shared = s.a_step == 0 && s.a_row == 0;
        for (int64_t b = 0; b < s.B; ++b) copy(s.dh_0 + b * s.H, s.dh_n ? s.dh_n + b * s.H : nullptr, begin, end);
        if (s.da && shared) copy(s.da, nullptr, begin, end);
        for (int64_t t = s.T - 1; t >= 0; --t)
            for (int64_t b = 0; b < s.B; ++b) {
                const int64_t row = t * s.B + b, at = row * s.H;
                Real* da = s.da ? s.da + (shared ? 0 : at) : nullptr;
                if (s.lengths && t >= s.lengths[b]) {
                    copy(s.db + at, nullptr, begin, end);
                    if (da && !shared) copy(da, nullptr, begin, end);
                    continue;
                }
                const bool fresh = s.reset && s.reset[row];
                const Real* before = fresh ? nullptr : t > 0 ? s.h + at - s.B * s.H : s.h_0 ? s.h_0 + b * s.H : nullptr;
                const Real* a = s.a + t * s.a_step + b * s.a_row;
                const Real* dh = s.dh ? s.dh + at : nullptr;
                if (!da) step<false, false>(a, nullptr, dh, da, s.db + at, s.dh_0 + b * s.H, begin, end);
                else if (shared) step<true, true>(a, before, dh, da, s.db + at, s.dh_0 + b * s.H, begin, end);
                else step<true, false>(a, before, dh, da, s.db + at, s.dh_0 + b * s.H, begin, end);
                if (fresh) copy(s.dh_0 + b * s.H, nullptr, begin, end);
            }
    }

    template <bool wanted, bool summed>
    static void step(const Real* a, const Real* before, const Real* dh, Real* da, Real* db, Real* carry, int64_t begin,
                     int64_t end) {
        each(begin, end, [=](int64_t k, int n) __attribute__((always_inline)) {
            const Vector g = (dh ? S::load(dh + k, n) : Vector{}) + S::load(carry + k, n);
            S::store(db + k, g, n);
            S::store(carry + k, times<true>(S::load(a + k, n), g), n);
            if constexpr (!wanted) return;
            const Vector part = times<true>(before ? S::load(before + k, n) : Vector{}, g);
            S::store(da + k, summed ? S::load(da + k, n) + part : part, n);
        });
    }

    static constexpr ScanKernels<Real> kernels = {forward, backward};
};

extern const ScanKernels<float> scan_f32 = Diagonal<float, false>::kernels;
extern const ScanKernels<float> scan_c64 = Diagonal<float, true>::kernels;
extern const ScanKernels<double> scan_f64 = Diagonal<double, false>::kernels;
extern const ScanKernels<double> scan_c128 = Diagonal<double, true>::kernels;

}  // namespace elman::ELMAN_ISA
