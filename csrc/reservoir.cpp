// The leaky sparse reservoir over a whole sequence. kernels.h is the contract, and says how W is packed.
//
// Inside, a state lies in the order of places, so that only the product with W has to gather; there are two, the one
// before the step and the one after it. y is put in the order of units after each step. The members of a team have a part
// of the places each, and meet after each step.
#include "kernels.h"
#include "simd.h"

namespace elman::ELMAN_ISA {

// from[index[k]] for the lanes of one vector. Compilers do not make gathers of a loop where they tune for all CPUs.
template <class Real>
inline typename Simd<Real>::Vector gather(const Real* from, const int32_t* index) {
    using S = Simd<Real>;
    using Vector = typename S::Vector;
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && ELMAN_VECTOR_BYTES >= 32
    typedef int32_t Index __attribute__((vector_size(S::width * sizeof(int32_t))));
    typedef int32_t Unaligned __attribute__((vector_size(S::width * sizeof(int32_t)), aligned(4), may_alias));
    const Index at = *reinterpret_cast<const Unaligned*>(index);
#if ELMAN_VECTOR_BYTES == 64
    if constexpr (S::width == 16) return __builtin_ia32_gathersiv16sf(Vector{}, from, at, short(-1), 4);
    else return __builtin_ia32_gathersiv8df(Vector{}, from, at, char(-1), 8);
#else
    const Vector all = (Vector)(typename S::Integers{} - 1);
    if constexpr (S::width == 8) return __builtin_ia32_gathersiv8sf(Vector{}, from, at, all, 4);
    else return __builtin_ia32_gathersiv4df(Vector{}, from, at, all, 8);
#endif
#else
    Vector v;
    for (int k = 0; k < S::width; ++k) v[k] = from[index[k]];
    return v;
#endif
}

template <class Real>
struct Sparse {
    using S = Simd<Real>;
    using Vector = typename S::Vector;
    static constexpr int64_t lanes = Reservoir<Real>::lanes;
    static constexpr int V = int(lanes) / S::width;  // vectors in a chunk

    struct Chunks {
        int64_t first, last;
    };

    // A member's part: about as much of W as any other's.
    static Chunks share_of(const Reservoir<Real>& r, Member member) {
        const auto work = [&](int64_t chunk) { return r.starts[chunk] + chunk * (r.I + 1); };
        const auto from = [&](int64_t index) {
            int64_t chunk = 0;
            while (chunk < r.chunks && work(chunk) * member.of < index * work(r.chunks)) ++chunk;
            return chunk;
        };
        return {from(member.index), from(member.index + 1)};
    }

    // to[k] = from[index[k]] for k from `first` to `last`; from null: zeros.
    static void permute(Real* to, const Real* from, const int32_t* index, int64_t first, int64_t last) {
        int64_t k = first;
        for (; from && k + S::width <= last; k += S::width) S::store(to + k, gather(from, index + k));
        for (; k < last; ++k) to[k] = from ? from[index[k]] : Real(0);
    }

    static void step(const Reservoir<Real>& r, Chunks own, const Real* x, const Real* feedback, const Real* before, Real* after) {
        for (int64_t chunk = own.first; chunk < own.last; ++chunk) {
            const int64_t first = chunk * lanes;
            Vector sum[V];
            for (int v = 0; v < V; ++v) {
                sum[v] = S::load(r.b + first + v * S::width);
                if (feedback) sum[v] += gather(feedback, r.units + first + v * S::width);
            }
            const Real* w = r.W_in + chunk * r.I * lanes;
            for (int64_t i = 0; i < r.I; ++i, w += lanes)
                for (int v = 0; v < V; ++v) sum[v] += x[i] * S::load(w + v * S::width);
            const int32_t* column = r.columns + r.starts[chunk] * lanes;
            const Real *value = r.values + r.starts[chunk] * lanes, *end = r.values + r.starts[chunk + 1] * lanes;
            for (; value < end; value += lanes, column += lanes)
                for (int v = 0; v < V; ++v)
                    sum[v] += S::load(value + v * S::width) * gather(before, column + v * S::width);
            for (int v = 0; v < V; ++v) {
                const Vector h = S::load(before + first + v * S::width);
                S::store(after + first + v * S::width, (Real(1) - r.leak) * h + r.leak * S::tanh(sum[v]));
            }
        }
    }

    static void forward(const Reservoir<Real>& r, int64_t begin, int64_t end, Member member) {
        const int64_t places = r.chunks * lanes, size = places + lanes;
        const Chunks own = share_of(r, member);
        const int64_t first = own.first * lanes, last = own.last * lanes;  // of the places
        const int64_t unit = member.first(r.N), next_unit = member.last(r.N);
        for (int64_t b = begin; b < end; ++b) {
            Real *before = r.states + b * 2 * size, *after = before + size;
            permute(before, r.h_0 ? r.h_0 + b * r.N : nullptr, r.units, first, last);
            if (member.index == 0)
                for (int64_t k = places; k < size; ++k) before[k] = after[k] = 0;
            member.wait();
            for (int64_t t = 0; t < r.T; ++t) {
                const int64_t row = t * r.B + b;
                if (r.lengths && t >= r.lengths[b]) {
                    permute(r.y + row * r.N, nullptr, r.places, unit, next_unit);
                    continue;
                }
                if (r.reset && r.reset[row]) {
                    member.wait();  // until nobody reads for y what is forgotten now
                    permute(before, nullptr, r.units, first, last);
                    member.wait();
                }
                step(r, own, r.x + row * r.I, r.feedback ? r.feedback + row * r.N : nullptr, before, after);
                member.wait();
                permute(r.y + row * r.N, after, r.places, unit, next_unit);
                Real* old = before;
                before = after;
                after = old;
            }
            permute(r.h_n + b * r.N, before, r.places, unit, next_unit);
        }
    }
};

void reservoir(const Reservoir<float>& r, int64_t begin, int64_t end, Member m) { Sparse<float>::forward(r, begin, end, m); }
void reservoir(const Reservoir<double>& r, int64_t begin, int64_t end, Member m) { Sparse<double>::forward(r, begin, end, m); }

}  // namespace elman::ELMAN_ISA
