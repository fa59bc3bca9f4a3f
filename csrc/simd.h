// One vector type for all instruction sets, and the squashing functions on it.
//
// Everything lies in a namespace named after the instruction set, and nothing is included that has functions of its own:
// the linker may merge inline functions of the same name, and one compiled for AVX-512 would then run on a CPU without it.
#pragma once

#include <stdint.h>

#define ELMAN_INLINE inline __attribute__((always_inline))

namespace elman::ELMAN_ISA {

template <class Real>
struct Bits;
template <>
struct Bits<float> {
    using Int = int32_t;
    static constexpr int mantissa = 23;
    static constexpr Int one = 0x3f800000;
    static constexpr float rounder = 12582912.0f;  // 1.5 * 2^23: adding it leaves a whole number in the low bits
    static constexpr float tanh_limit = 10, sigmoid_limit = 83;  // beyond: 1 to the last bit; and 1e-36
    // 2^r = 1 + r (c_0 + c_1 r + ...) for |r| up to 1/2: the polynomial with the least error of 2^r - 1, 1.1e-8 of its size.
    // Likewise below, 2e-17.
    static constexpr float c[] = {0.693147188f, 0.240226498f, 0.0555035701f, 0.00961823838f, 0.00133909643f, 0.000154035081f};
};
template <>
struct Bits<double> {
    using Int = int64_t;
    static constexpr int mantissa = 52;
    static constexpr Int one = 0x3ff0000000000000;
    static constexpr double rounder = 6755399441055744.0;
    static constexpr double tanh_limit = 20, sigmoid_limit = 690;
    static constexpr double c[] = {0.693147180559945311,    0.240226506959100984,    0.0555041086648212296,
                                   0.00961812910760672087,  0.00133335581465333116,  0.000154035304420606691,
                                   1.525273369995547e-5,    1.32154423705681001e-6,  1.01781215912272227e-7,
                                   7.07263242399105771e-9,  4.44553577741366843e-10};
};

template <class Real>
struct Simd {
    static constexpr int width = ELMAN_VECTOR_BYTES / sizeof(Real);
    using Int = typename Bits<Real>::Int;
    typedef Real Vector __attribute__((vector_size(ELMAN_VECTOR_BYTES)));
    typedef Int Integers __attribute__((vector_size(ELMAN_VECTOR_BYTES)));
    typedef Real Unaligned __attribute__((vector_size(ELMAN_VECTOR_BYTES), aligned(alignof(Real)), may_alias));

    // A vector's worth of memory for the compiler to know that it is read or written; a mask touches no more than it says.
    using Memory = Real[width];
    static const Memory* memory(const Real* p) { return reinterpret_cast<const Memory*>(p); }
    static Memory* memory(Real* p) { return reinterpret_cast<Memory*>(p); }

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

    // The first `count` numbers at p, zeros behind them; and back. Nearly always those are all.
    static ELMAN_INLINE Vector load(const Real* p, int count) { return count >= width ? load(p) : load_some(p, count); }
    static ELMAN_INLINE void store(Real* p, Vector v, int count) { count >= width ? store(p, v) : store_some(p, v, count); }
    static Vector load_some(const Real* p, int count) {
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
    static void store_some(Real* p, Vector v, int count) {
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

    static Vector relu(Vector v) { return v < Vector{} ? Vector{} : v; }

    // NaN goes through. Compilers need two instructions for it unless told of these.
    static Vector clamp(Vector v, Real limit) {
#if ELMAN_VECTOR_BYTES >= 32
        const Vector most = all(limit), least = all(-limit);
        if constexpr (sizeof(Real) == 4) asm("vminps %0, %1, %0\n\tvmaxps %0, %2, %0" : "+&v"(v) : "v"(most), "v"(least));
        else asm("vminpd %0, %1, %0\n\tvmaxpd %0, %2, %0" : "+&v"(v) : "v"(most), "v"(least));
        return v;
#else
        v = all(limit) < v ? all(limit) : v;
        return all(-limit) > v ? all(-limit) : v;
#endif
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

    // Squashing is a chain of twenty operations, each of which waits for the one before: some vectors go side by side.
    static constexpr int side_by_side = ELMAN_VECTOR_BYTES == 64 ? 6 : 3;

    // 2^(v slope) = scale (1 + p); p keeps every digit near zero.
    template <int n>
    static void power(const Vector* v, Real slope, Vector (&p)[n], Vector (&scale)[n]) {
        using B = Bits<Real>;
        constexpr int terms = sizeof(B::c) / sizeof(Real);
        Vector r[n], square[n], odd[n];
        for (int k = 0; k < n; ++k) scale[k] = v[k] * slope + B::rounder;
        for (int k = 0; k < n; ++k) r[k] = v[k] * slope - (scale[k] - B::rounder);
        for (int k = 0; k < n; ++k) square[k] = r[k] * r[k];
        // The even terms and the odd ones, so that they need not wait for each other.
        constexpr int even = terms % 2 ? terms - 1 : terms - 2;
        for (int k = 0; k < n; ++k) p[k] = all(B::c[even]), odd[k] = all(B::c[2 * terms - 3 - even]);
        for (int term = even - 2; term >= 0; term -= 2)
            for (int k = 0; k < n; ++k) p[k] = p[k] * square[k] + B::c[term];
        for (int term = 2 * terms - 5 - even; term >= 0; term -= 2)
            for (int k = 0; k < n; ++k) odd[k] = odd[k] * square[k] + B::c[term];
        for (int k = 0; k < n; ++k) p[k] = (p[k] + odd[k] * r[k]) * r[k];
        for (int k = 0; k < n; ++k) scale[k] = (Vector)(((Integers)scale[k] << B::mantissa) + B::one);
    }
    static constexpr double log2_e = 1.44269504088896340736;

    template <int n>
    static void tanh_of(Vector* v) {
        Vector p[n], scale[n];
        for (int k = 0; k < n; ++k) v[k] = clamp(v[k], Bits<Real>::tanh_limit);
        power(v, Real(2 * log2_e), p, scale);
        for (int k = 0; k < n; ++k) p[k] = scale[k] * p[k] + (scale[k] - Real(1));  // exp(2 v) - 1
        for (int k = 0; k < n; ++k) v[k] = p[k] * reciprocal(p[k] + Real(2));
    }
    template <int n>
    static void sigmoid_of(Vector* v) {
        Vector p[n], scale[n];
        for (int k = 0; k < n; ++k) v[k] = clamp(v[k], Bits<Real>::sigmoid_limit);
        power(v, Real(-log2_e), p, scale);
        for (int k = 0; k < n; ++k) v[k] = reciprocal(scale[k] * (p[k] + Real(1)) + Real(1));
    }

    template <int n>
    static void tanh(Vector (&v)[n]) {
        for (int k = 0; k + side_by_side <= n; k += side_by_side) tanh_of<side_by_side>(v + k);
        if constexpr (n % side_by_side) tanh_of<n % side_by_side>(v + n / side_by_side * side_by_side);
    }
    template <int n>
    static void sigmoid(Vector (&v)[n]) {
        for (int k = 0; k + side_by_side <= n; k += side_by_side) sigmoid_of<side_by_side>(v + k);
        if constexpr (n % side_by_side) sigmoid_of<n % side_by_side>(v + n / side_by_side * side_by_side);
    }
    static Vector tanh(Vector v) {
        tanh_of<1>(&v);
        return v;
    }
};

}  // namespace elman::ELMAN_ISA
