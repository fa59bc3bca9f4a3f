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
    // exp(r) = 1 + r + r^2 (c_0 + c_1 r + ...) for |r| up to ln 2 / 2: the polynomial with the least error of exp(r) - 1,
    // 1.4e-8 of its size. Likewise below, 2e-17.
    static constexpr float c[] = {0.49999998f, 0.16666543f, 0.0416672040f, 0.00836664694f, 0.00138824949f};
};
template <>
struct Bits<double> {
    using Int = int64_t;
    static constexpr int mantissa = 52;
    static constexpr Int one = 0x3ff0000000000000;
    static constexpr double rounder = 6755399441055744.0;
    static constexpr double limit = 40.0;
    static constexpr double ln2_high = 0.693147180369123816490, ln2_low = 1.90821492927058770002e-10;
    static constexpr double c[] = {0.500000000000000528, 0.166666666666665878, 0.0416666666665753832, 0.00833333333339041324,
                                   0.00138888889320526854, 0.000198412697176044999, 2.48015046494549085e-5,
                                   2.75574082175608383e-6, 2.762629909978335e-7, 2.50537807748873975e-8};
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
    // The same, held in a register: else compilers load it from memory anew for each product.
    static Vector all_held(Real a) {
        Vector v = all(a);
#if ELMAN_VECTOR_BYTES == 64
        asm("" : "+v"(v));
#elif defined(__x86_64__)
        asm("" : "+x"(v));
#endif
        return v;
    }

#if ELMAN_VECTOR_BYTES == 64
    using Mask = uint16_t;
#elif ELMAN_VECTOR_BYTES == 32
    static Integers below(int count) {
        Integers lane;
        for (int k = 0; k < width; ++k) lane[k] = k;
        return lane < (Int(count) - Integers{});
    }
#endif
    // A vector's worth of memory for the compiler to know that it is read or written; a mask touches no more than it says.
    using Memory = Real[width];
    static const Memory* memory(const Real* p) { return reinterpret_cast<const Memory*>(p); }
    static Memory* memory(Real* p) { return reinterpret_cast<Memory*>(p); }

    // The first `count` numbers at p, zeros behind them; and back.
    static Vector load(const Real* p, int count) {
        if (count >= width) return load(p);
#if ELMAN_VECTOR_BYTES >= 32
        Vector v;
#if ELMAN_VECTOR_BYTES == 64
        const Mask mask = Mask((1 << count) - 1);
        if constexpr (sizeof(Real) == 4) asm("vmovups %1, %0%{%2%}%{z%}" : "=v"(v) : "m"(*memory(p)), "Yk"(mask));
        else asm("vmovupd %1, %0%{%2%}%{z%}" : "=v"(v) : "m"(*memory(p)), "Yk"(mask));
#else
        if constexpr (sizeof(Real) == 4) asm("vmaskmovps %1, %2, %0" : "=x"(v) : "m"(*memory(p)), "x"(below(count)));
        else asm("vmaskmovpd %1, %2, %0" : "=x"(v) : "m"(*memory(p)), "x"(below(count)));
#endif
        return v;
#else
        Real part[width] = {};
        for (int k = 0; k < count; ++k) part[k] = p[k];
        return load(part);
#endif
    }
    static void store(Real* p, Vector v, int count) {
        if (count >= width) return store(p, v);
#if ELMAN_VECTOR_BYTES == 64
        const Mask mask = Mask((1 << count) - 1);
        if constexpr (sizeof(Real) == 4) asm("vmovups %1, %0%{%2%}" : "+m"(*memory(p)) : "v"(v), "Yk"(mask));
        else asm("vmovupd %1, %0%{%2%}" : "+m"(*memory(p)) : "v"(v), "Yk"(mask));
#elif ELMAN_VECTOR_BYTES == 32
        if constexpr (sizeof(Real) == 4) asm("vmaskmovps %1, %2, %0" : "+m"(*memory(p)) : "x"(v), "x"(below(count)));
        else asm("vmaskmovpd %1, %2, %0" : "+m"(*memory(p)) : "x"(v), "x"(below(count)));
#else
        Real part[width];
        store(part, v);
        for (int k = 0; k < count; ++k) p[k] = part[k];
#endif
    }

    // How many of `left` numbers, from 0 to all, a vector that begins there has.
    static int there(int64_t left) { return left < 0 ? 0 : left < width ? int(left) : width; }

    // Comparisons with NaN are false, so both let it through.
    static Vector clamp(Vector v, Real limit) {
        v = all(limit) < v ? all(limit) : v;
        return all(-limit) > v ? all(-limit) : v;
    }
    static Vector relu(Vector v) { return v < Vector{} ? Vector{} : v; }

    // exp(v) = 2^n exp(r) for |v| within a few times Bits::limit, with v = n ln 2 + r.
    // expm1 keeps every digit near zero: 2^n (exp(r) - 1) + (2^n - 1).
    static Vector split(Vector v, Vector& scale) {
        using B = Bits<Real>;
        const Vector shifted = v * Real(1.44269504088896340736) + B::rounder;
        const Vector n = shifted - B::rounder;
        const Vector r = (v - n * B::ln2_high) - n * B::ln2_low;
        // By halves, so that no term waits for all the others: c_0 + c_1 r, c_2 + c_3 r, ..., then these in r^2, and so on.
        constexpr int terms = sizeof(B::c) / sizeof(Real);
        Vector part[terms], power = r;
        for (int k = 0; k < terms; ++k) part[k] = all(B::c[k]);
        for (int count = terms; count > 1; count = (count + 1) / 2, power = power * power)
            for (int k = 0; k < count; k += 2) part[k / 2] = k + 1 < count ? part[k] + part[k + 1] * power : part[k];
        scale = (Vector)(((Integers)shifted << B::mantissa) + B::one);
        return part[0] * (r * r) + r;
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
