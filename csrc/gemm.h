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
        for (int m = 0; m < M; ++m) {
            const typename S::Vector number = S::all_held(a[m * row + k * step]);
            for (int v = 0; v < V; ++v) sum[m][first + v] += number * w[v];
        }
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

// Calls work.template operator()<n>(given...) for that n, from 1 to `most`.
template <int most, class Work, class... Given>
inline void with_constant(int64_t n, const Work& work, Given... given) {
    if constexpr (most > 1)
        if (n < most) return with_constant<most - 1>(n, work, given...);
    work.template operator()<most>(given...);
}

// Calls tile.template operator()<M>(row) for all rows from `begin` to `end`, in tiles of at most `most` rows and as even as
// can be: a tile of one or two rows has too few sums to keep the processor busy.
template <int most, class Tile>
inline void for_tiles(int64_t begin, int64_t end, const Tile& tile) {
    const int64_t tiles = (end - begin + most - 1) / most;
    for (int64_t k = 0; k < tiles; ++k) {
        const int64_t row = begin + (end - begin) * k / tiles;
        with_constant<most>(begin + (end - begin) * (k + 1) / tiles - row, tile, row);
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

// Products with the columns of a matrix, packed in panels of V vectors of columns; the last may have fewer.
template <class Real>
struct Columns {
    using S = Simd<Real>;
    static constexpr int V = sums_in_registers == 24 ? 4 : 2;
    static constexpr int64_t width = V * S::width;
    static int64_t panels(int64_t N) { return (N + width - 1) / width; }
    static int64_t numbers(int64_t K, int64_t N) { return panels(N) * K * width; }
    static int64_t vectors(int64_t N, int64_t panel) {
        const int64_t left = (N - panel * width + S::width - 1) / S::width;
        return left < V ? left : V;
    }

    // Row k of the matrix, of K, is at row(k).
    template <class Row>
    static void pack(const Row& row, int64_t K, int64_t N, int64_t part, int64_t parts, Real* to) {
        for (int64_t panel = part * panels(N) / parts; panel < (part + 1) * panels(N) / parts; ++panel) {
            const int64_t vectors_there = vectors(N, panel);
            for (int64_t k = 0; k < K; ++k)
                for (int64_t v = 0; v < vectors_there; ++v) {
                    const int64_t column = panel * width + v * S::width;
                    S::store(to + panel * K * width + (k * vectors_there + v) * S::width,
                             S::load(row(k) + column, S::there(N - column)));
                }
        }
    }

    // to(t) (rows, N) = a(t) (rows, K) times the packed matrix, for t from 0 to `times`, or where `more` that is added to it,
    // in the columns of the panels from `first` to `last`. Rows of a lie `stride` numbers apart.
    template <bool more, class From, class To>
    static void multiply(const From& a, int64_t stride, int64_t times, int64_t rows, const Real* packed, int64_t K, int64_t N,
                         int64_t first, int64_t last_panel, const To& to, bool alone) {
        for (int64_t panel = first; panel < last_panel; ++panel)
            with_constant<V>(vectors(N, panel), [&]<int vectors>() {
                const Real* w = packed + panel * K * width;
                const int64_t next = panel + 1 < last_panel ? panel + 1 : first;
                const Fetch fetch{packed + next * K * width, K * width, 0, rows, last_panel - first};
                const int last = S::there(N - panel * width - (vectors - 1) * S::width);
                for (int64_t t = 0; t < times; ++t)
                    for_tiles<tile_rows(V)>(0, rows, [&]<int M>(int64_t row) {
                        if (t == 0) fetch.template rows<M, Real>(row);
                        tile<more, M, vectors>(a(t) + row * stride, stride, w, K, to(t) + row * N + panel * width, N, last, alone);
                    });
            });
    }

    template <bool more, int M, int vectors>
    static void tile(const Real* a, int64_t stride, const Real* w, int64_t K, Real* to, int64_t N, int last, bool alone) {
        typename S::Vector sum[M][vectors];
        const auto there = [=](int v) { return v < vectors - 1 ? S::width : last; };
        for (int m = 0; m < M; ++m)
            for (int v = 0; v < vectors; ++v)
                sum[m][v] = more ? S::load(to + m * N + v * S::width, there(v)) : typename S::Vector{};
        if constexpr (M == 1)
            if (alone) accumulate_alone<vectors, 0, vectors, Real>(sum, a, w, K);
        if (M > 1 || !alone) accumulate<M, vectors, 0, vectors, Real>(sum, a, stride, 1, w, K);
        for (int m = 0; m < M; ++m)
            for (int v = 0; v < vectors; ++v) S::store(to + m * N + v * S::width, sum[m][v], there(v));
    }
};

// Sums of products over rows: to[i, j] += a[row, i] * b[row, j], where a has a last column of ones that is not in memory.
template <class Real>
struct RowSums {
    using S = Simd<Real>;
    static constexpr int V = sums_in_registers == 24 ? 4 : 2, M = tile_rows(V);  // of a tile of `to`
    static constexpr int64_t width = V * S::width;
    static constexpr int64_t most = 768;  // rows at once
    // Fewer where `to` stays in the cache: then what is read of a and b shall stay in the one before it.
    static int64_t rows(int64_t numbers) { return numbers * int64_t(sizeof(Real)) < 1 << 20 ? 192 : most; }
    static int64_t workspace(int64_t I) { return most * width + most * (I + 1) + S::width; }

    // a (n, I) and b (n, J) are given by their rows, to is (I + 1, J); its columns from `first` to `last`.
    static void add(const Real* const* a, int64_t I, const Real* const* b, int64_t offset, int64_t J, int64_t first, int64_t last,
                    int64_t n, Real* to, Real* scratch) {
        Real *panel = scratch, *tiles = scratch + most * width;
        pack(a, I, n, tiles);
        for (int64_t j = first; j < last; j += width)
            with_constant<V>((J - j + S::width - 1) / S::width, [&]<int vectors>() {
                columns<vectors>(b, offset + j, J - j, tiles, I, J, n, to + j, panel);
            });
    }

    // a's columns, M or a few less at a time, for each row side by side.
    static void pack(const Real* const* a, int64_t I, int64_t n, Real* tiles) {
        for_tiles<M>(0, I + 1, [&]<int m>(int64_t i) {
            Real* to = tiles + i * n;
            for (int64_t k = 0; k < n; ++k, to += m) {
                for (int v = 0; v < m; v += S::width)
                    S::store(to + v, S::load(a[k] + i + v, S::there(I - i - v)));  // what is too much is written again
                if (i + m > I) to[m - 1] = 1;
            }
        });
    }

    template <int vectors>
    static void columns(const Real* const* b, int64_t offset, int64_t left, const Real* tiles, int64_t I, int64_t J,
                        int64_t n, Real* to, Real* panel) {
        const auto there = [last = S::there(left - (vectors - 1) * S::width)](int v) { return v < vectors - 1 ? S::width : last; };
        for (int64_t k = 0; k < n; ++k)
            for (int v = 0; v < vectors; ++v)
                S::store(panel + (k * vectors + v) * S::width, S::load(b[k] + offset + v * S::width, there(v)));
        for_tiles<M>(0, I + 1, [&]<int m>(int64_t i) {
            typename S::Vector sum[m][vectors];
            for (int r = 0; r < m; ++r)
                for (int v = 0; v < vectors; ++v) sum[r][v] = S::load(to + (i + r) * J + v * S::width, there(v));
            accumulate<m, vectors, 0, vectors, Real>(sum, tiles + i * n, 1, m, panel, n);
            for (int r = 0; r < m; ++r)
                for (int v = 0; v < vectors; ++v) S::store(to + (i + r) * J + v * S::width, sum[r][v], there(v));
        });
    }

    // The sums of several parts, (parts, I + 1, J), added up and transposed: their columns from `first` to `last` become rows
    // of W (J, I), and numbers of b (J), unless that is null. By squares, to read and write whole lines of the cache.
    static void total(const Real* sums, int64_t parts, int64_t I, int64_t J, int64_t first, int64_t last, Real* W, Real* b) {
        constexpr int64_t line = 64 / sizeof(Real);
        for (int64_t i = 0; i < I + (b != nullptr); i += line)
            for (int64_t j = first; j < last; j += line) {
                const int64_t columns = last - j < line ? last - j : line, rows = I + 1 - i < line ? I + 1 - i : line;
                Real square[line][line] = {};
                for (int64_t part = 0; part < parts; ++part)
                    for (int64_t r = 0; r < rows; ++r) {
                        const Real* from = sums + (part * (I + 1) + i + r) * J + j;
                        for (int64_t c = 0; c < columns; ++c) square[r][c] += from[c];
                    }
                for (int64_t c = 0; c < columns; ++c) {
                    for (int64_t r = 0; r < rows && i + r < I; ++r) W[(j + c) * I + i + r] = square[r][c];
                    if (b && i + rows == I + 1) b[j + c] = square[rows - 1][c];
                }
            }
    }
};

// Columns::multiply and RowSums::add, compiled once for all cells, in gemm.cpp. Of `times` products the rows of `from` begin
// `step` apart, and those of what they give `to_step` apart.
template <class Real>
void multiply(bool more, const Real* from, int64_t stride, int64_t step, int64_t times, int64_t rows, const Real* packed, int64_t K,
              int64_t N, int64_t first_panel, int64_t last_panel, Real* to, int64_t to_step, bool alone);
template <class Real>
void add_products(const Real* const* a, int64_t I, const Real* const* b, int64_t offset, int64_t J, int64_t first, int64_t last,
                  int64_t n, Real* to, Real* scratch);

}  // namespace elman::ELMAN_ISA
