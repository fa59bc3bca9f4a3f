// The products that all cells share, compiled once for each precision.
#include "gemm.h"

namespace elman::ELMAN_ISA {

template <class Real>
void multiply(bool more, const Real* from, int64_t stride, int64_t step, int64_t times, int64_t rows, const Real* packed, int64_t K,
              int64_t N, int64_t first_panel, int64_t last_panel, Real* to, int64_t to_step, bool alone) {
    const auto run = [&]<bool add>() {
        Columns<Real>::template multiply<add>([=](int64_t t) { return from + t * step; }, stride, times, rows, packed, K, N,
                                              first_panel, last_panel, [=](int64_t t) { return to + t * to_step; }, alone);
    };
    more ? run.template operator()<true>() : run.template operator()<false>();
}

template <class Real>
void add_products(const Real* const* a, int64_t I, const Real* const* b, int64_t offset, int64_t J, int64_t first, int64_t last,
                  int64_t n, Real* to, Real* scratch) {
    RowSums<Real>::add(a, I, b, offset, J, first, last, n, to, scratch);
}

template void multiply(bool, const float*, int64_t, int64_t, int64_t, int64_t, const float*, int64_t, int64_t, int64_t, int64_t,
                       float*, int64_t, bool);
template void multiply(bool, const double*, int64_t, int64_t, int64_t, int64_t, const double*, int64_t, int64_t, int64_t, int64_t,
                       double*, int64_t, bool);
template void add_products(const float* const*, int64_t, const float* const*, int64_t, int64_t, int64_t, int64_t, int64_t, float*, float*);
template void add_products(const double* const*, int64_t, const double* const*, int64_t, int64_t, int64_t, int64_t, int64_t, double*,
                           double*);

}  // namespace elman::ELMAN_ISA
