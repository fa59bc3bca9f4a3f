// The contract between the kernels and whoever calls them.
//
// Dimensions: T time steps, B sequences in the batch, I inputs, H hidden units.
// Arrays are dense, row by row, in the order of their shapes; time comes first. Real is float or double.
//
// A kernel allocates nothing, keeps nothing, never throws, and believes its arguments: the caller has checked them. The
// caller owns every array. "in" is only read, "out" is written whole, "scratch" holds nothing before or after. No out
// or scratch array may overlap any other array. Results are the same bit for bit from call to call.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace elman {

// h_t = phi(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh), phi being tanh or relu.
template <class Real>
struct RnnForward {
    int64_t T, B, I, H;      // each at least 1
    bool relu;               // relu instead of tanh
    const Real* x;           // (T, B, I)  in
    const Real* h_0;         // (B, H)     in; null: zeros
    const Real* W_ih;        // (H, I)     in
    const Real* W_hh;        // (H, H)     in
    const Real* b_ih;        // (H)        in; null: zeros
    const Real* b_hh;        // (H)        in; null: zeros
    const int64_t* lengths;  // (B)        in; from 0 to T each; null: all T
    Real* y;                 // (T, B, H)  out: h_t, and zero where t >= lengths[b]
    Real* h_n;               // (B, H)     out: h after each sequence's last step; h_0 where there is none
    Real* workspace;         // rnn_workspace(I, H) numbers, scratch
};

// The kernels of one instruction set.
struct Table {
    const char* name;
    size_t (*rnn_workspace_f32)(int64_t I, int64_t H);
    size_t (*rnn_workspace_f64)(int64_t I, int64_t H);
    void (*rnn_forward_f32)(const RnnForward<float>&);
    void (*rnn_forward_f64)(const RnnForward<double>&);
};

// The tables that were compiled, plainest instruction set first; null where index is too large.
const Table* table(size_t index);

// Whether this machine, its operating system included, can run the table of that index.
bool supported(size_t index);

}  // namespace elman
