// The contract between the kernels and whoever calls them.
//
// Dimensions: T time steps, B sequences in the batch, I inputs, H hidden units, G gates of a cell.
// Arrays are dense, row by row, in the order of their shapes; time comes first. Real is float or double.
//
// A kernel allocates nothing, keeps nothing, never throws, and believes its arguments: the caller has checked them. The
// caller owns every array. "in" is only read, "out" is written whole, "scratch" holds nothing before or after. No out
// or scratch array may overlap any other array, save that without a team
// h_n may be h_0, and c_n may be c_0: a state moved on in place.
//
// Threads share a batch without waiting for each other: it is cut into parts, and `forward` and `backward` do one of them,
// the sequences from `begin` to `end`. Or they share the hidden units, as members of a team that wait for each other at each
// step: so weights that fill the cache are read by one thread only. `pack` comes first; it too may be shared out. Where T and
// `parts` are 1, what it leaves serves any number of calls, whatever their B. Results are the same bit for bit from call to
// call, and those of one sequence do not depend on how the work is shared.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace elman {

enum Cell { rnn_tanh, rnn_relu, lstm, gru, cells };

// Blocks of H numbers that a cell keeps of each step for its backward pass, and that this gives for each step:
//   rnn   saves nothing                          gives dL/d(h_bar)
//   lstm  saves i f g o, squashed                gives dL/d(i_bar f_bar g_bar o_bar)
//   gru   saves n r z, squashed, and u^n         gives dL/d(a^n, r_bar, z_bar, u^n)
// in the letters of src/elman/kernels/reference.py, where the equations stand.
constexpr int saved_blocks(Cell cell) { return cell == lstm || cell == gru ? 4 : 0; }
constexpr int grad_blocks(Cell cell) { return cell == lstm || cell == gru ? 4 : 1; }
constexpr int gates(Cell cell) { return cell == lstm ? 4 : cell == gru ? 3 : 1; }

template <class Real>
struct Forward {
    int64_t T, B, I, H;      // each at least 1
    int64_t parts;           // of the batch, from 1 to B
    const Real* x;           // (T, B, I)    in
    const Real* h_0;         // (B, H)       in; null: zeros
    const Real* c_0;         // (B, H)       in; null: zeros; lstm only
    const Real* W_ih;        // (G * H, I)   in
    const Real* W_hh;        // (G * H, H)   in
    const Real* b_ih;        // (G * H)      in; null: zeros
    const Real* b_hh;        // (G * H)      in; null: zeros
    const int64_t* lengths;  // (B)          in; from 0 to T each; null: all T
    const uint8_t* reset;    // (T, B)       in; not 0: the state is zero before that step; null: nowhere
    Real* y;                 // (T, B, H)    out: h_t, and zero where t >= lengths[b]
    Real* h_n;               // (B, H)       out: h after each sequence's last step; h_0 where there is none
    Real* c_n;               // (B, H)       out: c likewise; lstm only
    Real* saved;             // (T, B, saved_blocks * H)  out, undefined where t >= lengths[b]; null: not wanted
    Real* c;                 // (T, B, H)    out likewise, lstm only; null where saved is
    Real* packed;            // forward_workspace(...) numbers, scratch; filled in part by pack
};

// The gradients of the weights are sums over the batch; every part of it has sums of its own, which `add_up` adds when all
// have been done. They are transposed, one row for each input or hidden unit and a last one for the bias, and their gates
// stand in the order of grad_blocks: those that x reaches are the first, those that h reaches the last of them.
template <class Real>
struct Backward {
    int64_t T, B, I, H;      // each at least 1
    int64_t parts;           // of the batch, from 1 to B
    const Real* x;           // (T, B, I)    in; never looked at where t >= lengths[b]
    const Real* h_0;         // (B, H)       in; null: zeros
    const Real* c_0;         // (B, H)       in; null: zeros; lstm only
    const Real* W_ih;        // (G * H, I)   in
    const Real* W_hh;        // (G * H, H)   in
    const int64_t* lengths;  // (B)          in; null: all T
    const uint8_t* reset;    // (T, B)       in; null: nowhere
    const Real* y;           // (T, B, H)    in, from forward
    const Real* saved;       // (T, B, saved_blocks * H)  in, from forward
    const Real* c;           // (T, B, H)    in, from forward; lstm only
    const Real* dy;          // (T, B, H)    in; null: zeros
    Real* dx;                // (T, B, I)    out, zero where t >= lengths[b]; null: not wanted
    Real* dh;                // (B, H)       in: dL/dh_n; out: dL/dh_0
    Real* dc;                // (B, H)       likewise; lstm only
    Real* dW_ih;             // (parts, I + 1, G * H)  out
    Real* dW_hh;             // (parts, H + 1, G * H)  out
    Real* packed;            // backward_workspace(...) numbers, scratch; filled in part by pack_back
    Real* of_W_ih;           // (G * H, I)   out of add_up: the sums over all parts, as the weights lie
    Real* of_W_hh;           // (G * H, H)   likewise
    Real* of_b_ih;           // (G * H)      likewise; null: not wanted
    Real* of_b_hh;           // (G * H)      likewise; null: not wanted
};

// A thread's place in a team that does one part of the batch together.
struct Member {
    int64_t index = 0, of = 1;
    void* team = nullptr;
    void (*meet)(void* team) = nullptr;
    // Waits until all have come here.
    void wait() const {
        if (of > 1) meet(team);
    }
    // Its share of n.
    int64_t first(int64_t n) const { return index * n / of; }
    int64_t last(int64_t n) const { return (index + 1) * n / of; }
};

// What may be added to a plain cell; null, or 0, where it is not. src/elman/kernels/reference.py says what each does. Only
// the variants below look at it. There every array whose second or third dimension is H for h has R instead.
template <class Real>
struct Extras {
    int64_t R;               // size of h: H, or what W_hr projects to
    const Real* W_hr;        // (R, H)       in; lstm only
    const Real* peephole;    // (3, H)       in; of i f o; lstm only
    const Real* norm_ih;     // (G * H)      in; where it is, the sums are normalised
    const Real* norm_hh;     // (G * H)      in; there where norm_ih is
    const Real* norm_c;      // (H)          in; lstm only, there where norm_ih is
    const Real* bias_c;      // (H)          in
    const Real* mask;        // (B, R)       in
    const uint8_t* keep_h;   // (T, B, R)    in
    const uint8_t* keep_c;   // (T, B, H)    in; lstm only
    Real zoneout_h, zoneout_c;

    bool normed() const { return norm_ih; }
};

template <class Real>
struct VariantForward : Forward<Real> {
    Extras<Real> with;
    Real* bars;              // (T, B, G * H)  out: what is squashed, undefined where t >= lengths[b]; null: not wanted
};

template <class Real>
struct VariantBackward : Backward<Real> {
    Extras<Real> with;
    Real* squares;           // (T, B, 2)    out: the sums of squares of dL/dh_t and dL/dc_t; null: not wanted
    Real* dW_hr;             // (parts, H + 1, R)  out, the last row undefined; null where W_hr is
    Real* dsmall;            // (parts, small_numbers)  out: of b_ih, b_hh (where normed), norm_ih, norm_hh: G * H each;
                             //              peephole: 3 H; norm_c, bias_c: H each
};

// Numbers that a variant saves of each step of a sequence:
//   rnn   h before zoneout;  lstm  i f g o, and c before zoneout;  gru  r z n u^n
// and where normed, the two normalised sums, the lstm's normalised c, and what each was multiplied with.
constexpr int64_t variant_saved(Cell cell, int64_t H, bool normed) {
    const int64_t has_c = cell == lstm, own = has_c ? 5 : cell == gru ? 4 : 1;
    return own * H + (normed ? (2 * gates(cell) + has_c) * H + 2 + has_c : 0);
}
constexpr int64_t small_numbers(Cell cell, int64_t H) { return (4 * gates(cell) + 5) * H; }

// A cell with extras. The gates of dW_ih and dW_hh stand in the order of the weights.
template <class Real>
struct Variants {
    size_t (*forward_workspace)(const VariantForward<Real>&);
    size_t (*backward_workspace)(const VariantBackward<Real>&);
    void (*pack)(const VariantForward<Real>&);
    void (*forward)(const VariantForward<Real>&, int64_t part, int64_t begin, int64_t end);
    void (*pack_back)(const VariantBackward<Real>&);
    void (*backward)(const VariantBackward<Real>&, int64_t part, int64_t begin, int64_t end);
};

// One cell in one precision.
template <class Real>
struct Kernels {
    size_t (*forward_workspace)(int64_t T, int64_t B, int64_t I, int64_t H, int64_t parts);
    size_t (*backward_workspace)(int64_t T, int64_t B, int64_t I, int64_t H, int64_t parts, int64_t members);
    void (*pack)(const Forward<Real>&, int64_t part, int64_t parts);  // the shares of packing: any number of them
    void (*forward)(const Forward<Real>&, int64_t part, int64_t begin, int64_t end, Member);
    void (*pack_back)(const Backward<Real>&, int64_t part, int64_t parts);
    void (*backward)(const Backward<Real>&, int64_t part, int64_t begin, int64_t end, Member);
    void (*add_up)(const Backward<Real>&, int64_t part, int64_t parts);  // the shares of adding up: any number of them
};

// The diagonal recurrence h_t = a_t h_{t-1} + b_t. Every unit is on its own, so `begin` and `end` are units here, all
// sequences of the batch. Where numbers are complex, each is two of Real, its real part first, and H counts both.
template <class Real>
struct Scan {
    int64_t T, B, H;             // each at least 1
    const Real* a;               // (H) at a + t * a_step + b * a_row  in
    int64_t a_step, a_row;       // 0 where all steps, or all sequences, have the same a
    const Real* b;               // (T, B, H)    in
    const Real* h_0;             // (B, H)       in; null: zeros
    const int64_t* lengths;      // (B)          in; null: all T
    const uint8_t* reset;        // (T, B)       in; null: nowhere
    Real* h;                     // (T, B, H)    out: h_t, and zero where t >= lengths[b]
    Real* h_n;                   // (B, H)       out: h after each sequence's last step; h_0 where there is none
};

template <class Real>
struct ScanBackward {
    int64_t T, B, H;             // each at least 1
    const Real* a;               // as in Scan
    int64_t a_step, a_row;
    const Real* h;               // (T, B, H)    in, from forward
    const Real* h_0;             // (B, H)       in; null: zeros
    const int64_t* lengths;      // (B)          in; null: all T
    const uint8_t* reset;        // (T, B)       in; null: nowhere
    const Real* dh;              // (T, B, H)    in; null: zeros
    const Real* dh_n;            // (B, H)       in; null: zeros
    Real* da;                    // (T, B, H), or (H), the sum, where a_step and a_row are 0; out; null: not wanted
    Real* db;                    // (T, B, H)    out, zero where t >= lengths[b]
    Real* dh_0;                  // (B, H)       out
};

template <class Real>
struct ScanKernels {
    void (*forward)(const Scan<Real>&, int64_t begin, int64_t end);
    void (*backward)(const ScanBackward<Real>&, int64_t begin, int64_t end);
};

// The recurrence of cells whose gates look at the input alone: h_t = a_t h_{t-1} + b_t, where a_t and b_t are functions of
// the sums p_t = W_ih x_t + b_ih, element by element: those of src/elman/kernels/gated_reference.py. Units are on their own, as
// above.
enum Gated { mingru, mingru_positive, minlstm, minlstm_positive, rglru, gated_cells };
constexpr int sum_blocks(Gated cell) { return cell == mingru || cell == mingru_positive ? 2 : 3; }

template <class Real>
struct GatedScan {
    int64_t T, B, H;             // each at least 1
    const Real* p;               // (T, B, sum_blocks * H)  in; never looked at where t >= lengths[b]
    const Real* decay;           // (H)          in: log a where the recurrence gate is open; rglru only
    const Real* h_0;             // (B, H)       in; null: zeros
    const int64_t* lengths;      // (B)          in; null: all T
    const uint8_t* reset;        // (T, B)       in; null: nowhere
    Real* h;                     // (T, B, H)    out: h_t, and zero where t >= lengths[b]
    Real* h_n;                   // (B, H)       out: h after each sequence's last step; h_0 where there is none
};

template <class Real>
struct GatedScanBackward {
    int64_t T, B, H;             // each at least 1
    const Real* p;               // as in GatedScan
    const Real* decay;
    const Real* h;               // (T, B, H)    in, from forward
    const Real* h_0;             // (B, H)       in; null: zeros
    const int64_t* lengths;      // (B)          in; null: all T
    const uint8_t* reset;        // (T, B)       in; null: nowhere
    const Real* dh;              // (T, B, H)    in; null: zeros
    const Real* dh_n;            // (B, H)       in; null: zeros
    Real* dp;                    // (T, B, sum_blocks * H)  out, zero where t >= lengths[b]
    Real* ddecay;                // (H)          out; rglru only
    Real* dh_0;                  // (B, H)       out
    Real* total;                 // (T, B, H)    out: dL/dh_t, later steps included; null: not wanted
};

template <class Real>
struct GatedKernels {
    void (*forward)(const GatedScan<Real>&, int64_t begin, int64_t end);
    void (*backward)(const GatedScanBackward<Real>&, int64_t begin, int64_t end);
};

// The leaky reservoir h_t = (1 - leak) h_{t-1} + leak tanh(W_in x_t + W h_{t-1} + b + feedback_t), W being sparse.
//
// Units are sorted by how many numbers their rows of W have, the longest first, and lie in `chunks` of `lanes` (a line of
// the cache): number j of all rows of a chunk side by side. A unit's number in that order is its place. A row that is
// shorter than the first of its chunk, and a row past the last unit, is filled up with zeros in the column of the place
// chunks * lanes, where the state is always zero: no other state can reach it, were it NaN.
template <class Real>
struct Reservoir {
    static constexpr int64_t lanes = 64 / sizeof(Real);
    int64_t T, B, I, N, chunks;  // each at least 1; chunks * lanes is N or the next multiple of lanes
    const Real* x;               // (T, B, I)    in
    const Real* h_0;             // (B, N)       in; null: zeros
    const Real* feedback;        // (T, B, N)    in; null: zeros
    const int64_t* lengths;      // (B)          in; null: all T
    const uint8_t* reset;        // (T, B)       in; null: nowhere
    Real leak;
    const int64_t* starts;       // (chunks + 1) in: where each chunk's part of W begins, counted in vectors of lanes
    const Real* values;          // (starts[chunks], lanes)  in
    const int32_t* columns;      // (starts[chunks], lanes)  in: places, from 0 to chunks * lanes
    const int32_t* units;        // (chunks, lanes)  in: which unit has that place; any, from 0 to N - 1, past the last
    const int32_t* places;       // (N)          in: each unit's place
    const Real* W_in;            // (chunks, I, lanes)  in
    const Real* b;               // (chunks, lanes)  in
    Real* y;                     // (T, B, N)    out: h_t, and zero where t >= lengths[b]
    Real* h_n;                   // (B, N)       out: h after each sequence's last step; h_0 where there is none
    Real* states;                // (B, 2, (chunks + 1) * lanes)  scratch
};

template <class Real>
using ReservoirKernel = void (*)(const Reservoir<Real>&, int64_t begin, int64_t end, Member);

// The kernels of one instruction set.
struct Table {
    const char* name;
    const Kernels<float>* f32[cells];
    const Kernels<double>* f64[cells];
    const Variants<float>* variant_f32[cells];
    const Variants<double>* variant_f64[cells];
    const ScanKernels<float>* scan_f32[2];  // of real numbers, of complex ones
    const ScanKernels<double>* scan_f64[2];
    const GatedKernels<float>* gated_f32[gated_cells];
    const GatedKernels<double>* gated_f64[gated_cells];
    ReservoirKernel<float> reservoir_f32;
    ReservoirKernel<double> reservoir_f64;
};

// The tables that were compiled, plainest instruction set first; null where index is too large.
const Table* table(size_t index);

// Whether this machine, its operating system included, can run the table of that index.
bool supported(size_t index);

}  // namespace elman
