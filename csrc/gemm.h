// The product that all cells share: a few rows of the batch times packed weights, summed in registers.
//
// A weight W (rows, K) is packed into panels of `lanes` of its rows. In a panel the numbers of one k lie side by side, so
// that the innermost loop reads them in order; rows past the last are zeros.
#pragma once

#include "simd.h"

namespace elman::ELMAN_ISA {

template <class Real>
struct Gemm {
    using S = Simd<Real>;
    using Vector = typename S::Vector;

    static constexpr int vectors = 2;               // in a panel
    static constexpr int lanes = vectors * S::width;
    static constexpr int rows = 6;                  // of the batch: 6 x 2 sums, 2 weights and 1 input fill 16 registers

    static int64_t panels(int64_t n) { return (n + lanes - 1) / lanes; }

    // Packs W (n, K) into panels whose k-th group of `lanes` numbers starts at to + (panel * pitch + k) * lanes.
    static void pack(const Real* W, int64_t n, int64_t K, int64_t pitch, Real* to) {
        for (int64_t panel = 0; panel < panels(n); ++panel)
            for (int64_t k = 0; k < K; ++k)
                for (int64_t lane = 0; lane < lanes; ++lane) {
                    const int64_t row = panel * lanes + lane;
                    to[(panel * pitch + k) * lanes + lane] = row < n ? W[row * K + k] : Real(0);
                }
    }

    // sum[m] += a[m, :] times the panel, for M rows of a (M, K) that lie `stride` numbers apart.
    template <int M>
    static void accumulate(Vector (&sum)[M][vectors], const Real* a, int64_t stride, const Real* panel, int64_t K) {
        for (int64_t k = 0; k < K; ++k, panel += lanes) {
            Vector w[vectors];
            for (int v = 0; v < vectors; ++v) w[v] = S::load(panel + v * S::width);
            for (int m = 0; m < M; ++m)
                for (int v = 0; v < vectors; ++v) sum[m][v] += a[m * stride + k] * w[v];
        }
    }
};

}  // namespace elman::ELMAN_ISA
