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

// sum[m][first + v] += a[m * row + k * step] * panel[k, v] over k, for M rows of a.
template <int M, int V, int first, int A, class Real>
inline __attribute__((always_inline)) void accumulate(typename Simd<Real>::Vector (&sum)[M][A], const Real* a, int64_t row,
                                                      int64_t step, const Real* panel, int64_t K) {
    using S = Simd<Real>;
    for (int64_t k = 0; k < K; ++k, panel += V * S::width) {
        typename S::Vector w[V];
        for (int v = 0; v < V; ++v) w[v] = S::load(panel + v * S::width);
        for (int m = 0; m < M; ++m)
            for (int v = 0; v < V; ++v) sum[m][first + v] += a[m * row + k * step] * w[v];
    }
}

// The same for a batch of one: V sums alone would wait for each other, so the odd k have sums of their own.
template <int V, int first, int A, class Real>
inline __attribute__((always_inline)) void accumulate_alone(typename Simd<Real>::Vector (&sum)[1][A], const Real* a,
                                                            const Real* panel, int64_t K) {
    using S = Simd<Real>;
    typename S::Vector odd[V] = {};
    for (int64_t k = 0; k + 1 < K; k += 2, panel += 2 * V * S::width)
        for (int v = 0; v < V; ++v) {
            sum[0][first + v] += a[k] * S::load(panel + v * S::width);
            odd[v] += a[k + 1] * S::load(panel + (V + v) * S::width);
        }
    for (int v = 0; v < V; ++v) {
        if (K % 2) sum[0][first + v] += a[K - 1] * S::load(panel + v * S::width);
        sum[0][first + v] += odd[v];
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

// Sums of products over rows: to[i, j] += a[row, i] * b[row, j], where a has a last column of ones that is not in memory.
template <class Real>
struct RowSums {
    using S = Simd<Real>;
    static constexpr int V = sums_in_registers == 24 ? 4 : 2, M = tile_rows(V);  // of a tile of `to`
    static constexpr int64_t most = 768;  // rows at once
    // Fewer where `to` stays in the cache: then what is read of a and b shall stay in the one before it.
    static int64_t rows(int64_t numbers) { return numbers * int64_t(sizeof(Real)) < 1 << 20 ? 192 : most; }
    static int64_t workspace(int64_t I) { return most * V * S::width + most * (I + 1) + S::width; }

    // a (n, I) and b (n, J) are given by their rows, to is (I + 1, J).
    static void add(const Real* const* a, int64_t I, const Real* const* b, int64_t offset, int64_t J, int64_t n, Real* to,
                    Real* scratch) {
        Real *panel = scratch, *tiles = scratch + most * V * S::width;
        pack(a, I, n, tiles);
        int64_t j = 0;
        for (; j + V * S::width <= J; j += V * S::width) columns<V>(b, offset + j, V * S::width, tiles, I, J, n, to + j, panel);
        if (j < J) rest<V>((J - j + S::width - 1) / S::width, b, offset + j, J - j, tiles, I, J, n, to + j, panel);
    }

    // a's columns, M or a few less at a time, for each row side by side.
    static void pack(const Real* const* a, int64_t I, int64_t n, Real* tiles) {
        for_tiles<M>(0, I + 1, [&]<int m>(int64_t i) {
            Real* to = tiles + i * n;
            constexpr int copied = (m + S::width - 1) / S::width * S::width;  // what is too much is written again
            if (i + copied <= I)
                for (int64_t k = 0; k < n; ++k)
                    for (int v = 0; v < copied; v += S::width) S::store(to + k * m + v, S::load(a[k] + i + v));
            else
                for (int64_t k = 0; k < n; ++k)
                    for (int64_t column = i; column < i + m; ++column) to[k * m + column - i] = column < I ? a[k][column] : Real(1);
        });
    }

    template <int vectors, class... Rest>
    static void rest(int64_t wanted, Rest... given) {
        if constexpr (vectors > 1)
            if (wanted < vectors) return rest<vectors - 1>(wanted, given...);
        columns<vectors>(given...);
    }

    template <int vectors>
    static void columns(const Real* const* b, int64_t offset, int64_t count, const Real* tiles, int64_t I, int64_t J,
                        int64_t n, Real* to, Real* panel) {
        int left[vectors];
        for (int v = 0; v < vectors; ++v) left[v] = int(count - v * S::width < S::width ? count - v * S::width : S::width);
        for (int64_t k = 0; k < n; ++k)
            for (int v = 0; v < vectors; ++v)
                S::store(panel + (k * vectors + v) * S::width, S::load(b[k] + offset + v * S::width, left[v]));
        for_tiles<M>(0, I + 1, [&]<int m>(int64_t i) {
            typename S::Vector sum[m][vectors];
            for (int r = 0; r < m; ++r)
                for (int v = 0; v < vectors; ++v) sum[r][v] = S::load(to + (i + r) * J + v * S::width, left[v]);
            accumulate<m, vectors, 0, vectors, Real>(sum, tiles + i * n, 1, m, panel, n);
            for (int r = 0; r < m; ++r)
                for (int v = 0; v < vectors; ++v) S::store(to + (i + r) * J + v * S::width, sum[r][v], left[v]);
        });
    }
};

}  // namespace elman::ELMAN_ISA
