// The simple recurrent network over a whole sequence. kernels.h is the contract.
#include "gemm.h"
#include "kernels.h"

namespace elman::ELMAN_ISA {
namespace {

// Each panel of the workspace: I groups of W_ih, H groups of W_hh, and one group of b_ih + b_hh.
int64_t pitch(int64_t I, int64_t H) { return I + H + 1; }

template <class Real>
void pack(const RnnForward<Real>& a) {
    using G = Gemm<Real>;
    const int64_t p = pitch(a.I, a.H);
    G::pack(a.W_ih, a.H, a.I, p, a.workspace);
    G::pack(a.W_hh, a.H, a.H, p, a.workspace + a.I * G::lanes);
    for (int64_t panel = 0; panel < G::panels(a.H); ++panel)
        for (int64_t lane = 0; lane < G::lanes; ++lane) {
            const int64_t h = panel * G::lanes + lane;
            const Real b_ih = a.b_ih && h < a.H ? a.b_ih[h] : Real(0);
            const Real b_hh = a.b_hh && h < a.H ? a.b_hh[h] : Real(0);
            a.workspace[(panel * p + p - 1) * G::lanes + lane] = b_ih + b_hh;
        }
}

// Step t of the M sequences from b on. h is h_{t-1} of sequence b, or null for zeros.
template <int M, class Real>
void step(const RnnForward<Real>& a, int64_t t, int64_t b, const Real* h) {
    using G = Gemm<Real>;
    using S = Simd<Real>;
    const Real* x = a.x + (t * a.B + b) * a.I;
    Real* y = a.y + (t * a.B + b) * a.H;
    const int64_t p = pitch(a.I, a.H);

    for (int64_t panel = 0; panel < G::panels(a.H); ++panel) {
        const Real* w = a.workspace + panel * p * G::lanes;
        const Real* bias = w + (p - 1) * G::lanes;
        typename S::Vector h_bar[M][G::vectors];
        for (int m = 0; m < M; ++m)
            for (int v = 0; v < G::vectors; ++v) h_bar[m][v] = S::load(bias + v * S::width);
        G::template accumulate<M>(h_bar, x, a.I, w, a.I);
        if (h) G::template accumulate<M>(h_bar, h, a.H, w + a.I * G::lanes, a.H);

        const int64_t first = panel * G::lanes;
        const int64_t count = a.H - first < G::lanes ? a.H - first : G::lanes;
        for (int m = 0; m < M; ++m) {
            Real* to = y + m * a.H + first;
            Real edge[G::lanes];  // the last panel may reach past H
            for (int v = 0; v < G::vectors; ++v) {
                const auto phi = a.relu ? S::relu(h_bar[m][v]) : S::tanh(h_bar[m][v]);
                S::store((count == G::lanes ? to : edge) + v * S::width, phi);
            }
            if (count < G::lanes)
                for (int64_t lane = 0; lane < count; ++lane) to[lane] = edge[lane];
        }
    }
}

template <class Real>
void step(const RnnForward<Real>& a, int64_t t, int64_t b, const Real* h, int64_t M) {
    switch (M) {
        case 1: return step<1>(a, t, b, h);
        case 2: return step<2>(a, t, b, h);
        case 3: return step<3>(a, t, b, h);
        case 4: return step<4>(a, t, b, h);
        case 5: return step<5>(a, t, b, h);
        default: return step<6>(a, t, b, h);
    }
}

template <class Real>
void copy(const Real* from, int64_t n, Real* to) {
    for (int64_t i = 0; i < n; ++i) to[i] = from ? from[i] : Real(0);
}

// What lengths ask for once step t of sequence b has been computed.
template <class Real>
void finish(const RnnForward<Real>& a, int64_t t, int64_t b) {
    Real* y = a.y + (t * a.B + b) * a.H;
    const int64_t length = a.lengths ? a.lengths[b] : a.T;
    if (t >= length) copy<Real>(nullptr, a.H, y);
    if (t == length - 1) copy(y, a.H, a.h_n + b * a.H);
}

}  // namespace

template <class Real>
size_t rnn_workspace(int64_t I, int64_t H) {
    return size_t(Gemm<Real>::panels(H) * pitch(I, H)) * Gemm<Real>::lanes;
}

template <class Real>
void rnn_forward(const RnnForward<Real>& a) {
    pack(a);
    copy(a.h_0, a.B * a.H, a.h_n);
    // A block of sequences goes through all of time before the next: its h stays in the nearest cache.
    for (int64_t b = 0; b < a.B; b += Gemm<Real>::rows) {
        const int64_t M = a.B - b < Gemm<Real>::rows ? a.B - b : Gemm<Real>::rows;
        for (int64_t t = 0; t < a.T; ++t) {
            const Real* before = t > 0 ? a.y + (t - 1) * a.B * a.H : a.h_0;
            step(a, t, b, before ? before + b * a.H : nullptr, M);
            for (int64_t m = 0; m < M; ++m) finish(a, t, b + m);
        }
    }
}

template size_t rnn_workspace<float>(int64_t, int64_t);
template size_t rnn_workspace<double>(int64_t, int64_t);
template void rnn_forward<float>(const RnnForward<float>&);
template void rnn_forward<double>(const RnnForward<double>&);

}  // namespace elman::ELMAN_ISA
