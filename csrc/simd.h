// One vector type for all instruction sets, and the squashing functions on it.
//
// Everything lies in a namespace named after the instruction set, and nothing is included that has functions of its own:
// the linker may merge inline functions of the same name, and one compiled for AVX-512 would then run on a CPU without it.
#pragma once

#include <stdint.h>

namespace elman::ELMAN_ISA {

template <class Real>
struct Bits;
template <>
struct Bits<float> {
    using Int = int32_t;
    static constexpr int mantissa = 23;
    static constexpr Int one = 0x3f800000;
    static constexpr float rounder = 12582912.0f;  // 1.5 * 2^23: adding it leaves a whole number in the low bits
    static constexpr float limit = 20.0f;          // tanh(limit / 2) is 1 to the last bit
    static constexpr float ln2_high = 0.693359375f, ln2_low = -2.12194440e-4f;
    static constexpr int degree = 7;  // of the Taylor polynomial: its error is below 2e-8 relative
};
template <>
struct Bits<double> {
    using Int = int64_t;
    static constexpr int mantissa = 52;
    static constexpr Int one = 0x3ff0000000000000;
    static constexpr double rounder = 6755399441055744.0;
    static constexpr double limit = 40.0;
    static constexpr double ln2_high = 0.693147180369123816490, ln2_low = 1.90821492927058770002e-10;
    static constexpr int degree = 13;  // below 2e-17
};

template <class Real>
struct Simd {
    static constexpr int width = ELMAN_VECTOR_BYTES / sizeof(Real);
    using Int = typename Bits<Real>::Int;
    typedef Real Vector __attribute__((vector_size(ELMAN_VECTOR_BYTES)));
    typedef Int Integers __attribute__((vector_size(ELMAN_VECTOR_BYTES)));
    typedef Real Unaligned __attribute__((vector_size(ELMAN_VECTOR_BYTES), aligned(alignof(Real)), may_alias));

    static Vector load(const Real* p) { return *reinterpret_cast<const Unaligned*>(p); }
    static void store(Real* p, Vector v) { *reinterpret_cast<Unaligned*>(p) = v; }
    static Vector all(Real a) { return a - Vector{}; }

    // The first `count` numbers at p, zeros behind them; and back.
    static Vector load(const Real* p, int count) {
        if (count >= width) return load(p);
        Real part[width] = {};
        for (int k = 0; k < count; ++k) part[k] = p[k];
        return load(part);
    }
    static void store(Real* p, Vector v, int count) {
        if (count >= width) return store(p, v);
        Real part[width];
        store(part, v);
        for (int k = 0; k < count; ++k) p[k] = part[k];
    }

    // Comparisons with NaN are false, so both let it through.
    static Vector clamp(Vector v, Real limit) {
        v = v > all(limit) ? all(limit) : v;
        return v < all(-limit) ? all(-limit) : v;
    }
    static Vector relu(Vector v) { return v < Vector{} ? Vector{} : v; }

    // exp(v) = 2^n exp(r) for |v| within a few times Bits::limit, with v = n ln 2 + r.
    // expm1 keeps every digit near zero: 2^n (exp(r) - 1) + (2^n - 1).
    static Vector split(Vector v, Vector& scale) {
        using B = Bits<Real>;
        const Vector shifted = v * Real(1.44269504088896340736) + B::rounder;
        const Vector n = shifted - B::rounder;
        const Vector r = (v - n * B::ln2_high) - n * B::ln2_low;
        Vector p = all(Real(1));
        for (int k = B::degree; k > 1; --k) p = p * r * (Real(1) / Real(k)) + Real(1);
        scale = (Vector)(((Integers)shifted << B::mantissa) + B::one);
        return p * r;
    }
    static Vector expm1(Vector v) {
        Vector scale;
        const Vector p = split(v, scale);
        return scale * p + (scale - Real(1));
    }
    static Vector exp(Vector v) {
        Vector scale;
        const Vector p = split(v, scale);
        return scale * p + scale;
    }

    // 1 / v for |v| from 1 on, to a unit in the last place. A 512-bit division takes ten times as long as this.
    static Vector reciprocal(Vector v) {
#if ELMAN_VECTOR_BYTES == 64
        if constexpr (sizeof(Real) == 4) {
            Vector r;
            asm("vrcp14ps %1, %0" : "=v"(r) : "v"(v));
            return r + r * (Real(1) - v * r);
        }
#endif
        return Real(1) / v;
    }

    static Vector tanh(Vector v) {
        const Vector e = expm1(clamp(v + v, Bits<Real>::limit));
        return e * reciprocal(e + Real(2));
    }
    // Below the clamp the true value is under 1e-36 (float) or 1e-300 (double), and what comes out is about that.
    static Vector sigmoid(Vector v) { return reciprocal(Real(1) + exp(clamp(-v, Real(sizeof(Real) == 4 ? 83 : 690)))); }
};

}  // namespace elman::ELMAN_ISA
