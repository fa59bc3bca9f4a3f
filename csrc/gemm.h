// The product that all cells share: a few rows of the batch times packed weights, summed in registers.
//
// Weights are packed into panels: the `V` vectors that belong to one k lie side by side, so that the innermost loop reads
// them in order. A tile of M rows times V vectors of sums stays in registers over the whole of k.
#pragma once

#include "simd.h"

namespace elman::ELMAN_ISA {

#if ELMAN_VECTOR_BYTES == 64 || defined(__aarch64__)
constexpr int sums_in_registers = 24;  // of 32 registers; the rest hold weights and an input
#else
constexpr int sums_in_registers = 12;  // of 16
#endif

// Rows of a tile whose rows have so many vectors of sums each.
constexpr int tile_rows(int sums) { return sums_in_registers / sums; }

// sum[m][first + v] += a[m, k] * panel[k, v] over k, for M rows of a that lie `stride` numbers apart.
template <int M, int V, int first, int A, class Real>
inline __attribute__((always_inline)) void accumulate(typename Simd<Real>::Vector (&sum)[M][A], const Real* a, int64_t stride,
                                                      const Real* panel, int64_t K) {
    using S = Simd<Real>;
    for (int64_t k = 0; k < K; ++k, panel += V * S::width) {
        typename S::Vector w[V];
        for (int v = 0; v < V; ++v) w[v] = S::load(panel + v * S::width);
        for (int m = 0; m < M; ++m)
            for (int v = 0; v < V; ++v) sum[m][first + v] += a[m * stride + k] * w[v];
    }
}

// Calls tile.template operator()<M>(row), for 1 <= M <= Most.
template <int Most, class Tile>
inline void with_rows(int64_t M, int64_t row, const Tile& tile) {
    if constexpr (Most > 1)
        if (M < Most) return with_rows<Most - 1>(M, row, tile);
    tile.template operator()<Most>(row);
}

// The same for all rows from `begin` to `end`, in tiles of at most `Most` rows and as even as can be: a tile of one or
// two rows has too few sums to keep the processor busy.
template <int Most, class Tile>
inline void for_tiles(int64_t begin, int64_t end, const Tile& tile) {
    const int64_t tiles = (end - begin + Most - 1) / Most;
    for (int64_t k = 0; k < tiles; ++k) {
        const int64_t row = begin + (end - begin) * k / tiles;
        with_rows<Most>(begin + (end - begin) * (k + 1) / tiles - row, row, tile);
    }
}

// Weights that fill the second-level cache are fetched into it a panel ahead, a part with each tile, so that no tile waits
// for the next level.
struct Fetch {
    const void* panel;
    int64_t numbers, begin, end, panels;

    template <int M, class Real>
    void rows(int64_t row) const {
        const int64_t bytes = numbers * int64_t(sizeof(Real));
        if (bytes * panels < 512 * 1024) return;
        const char* from = static_cast<const char*>(panel);
        const int64_t last = bytes * (row + M - begin) / (end - begin);
        for (int64_t at = bytes * (row - begin) / (end - begin) & ~int64_t(63); at < last; at += 64) __builtin_prefetch(from + at, 0, 2);
    }
};

}  // namespace elman::ELMAN_ISA
