// The kernels of every instruction set of this machine against loops as plain as can be, without Python: for machines that
// only an emulator is at hand for (make cross). What Python can run is tested far better there.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <tuple>
#include <vector>

#include "kernels.h"

namespace {

using elman::Cell;

int failures = 0;
double worst;

double draw() {
    static uint64_t state = 1;
    state = state * 6364136223846793005u + 1442695040888963407u;
    return double(state >> 11) / double(uint64_t(1) << 53) * 2 - 1;
}

template <class Real>
std::vector<Real> random(int64_t n, double bound = 1) {
    std::vector<Real> v(static_cast<size_t>(n));
    for (Real& number : v) number = Real(bound * draw());
    return v;
}

template <class Real>
void compare(const std::vector<Real>& found, const std::vector<double>& expected, double tolerance) {
    for (size_t k = 0; k < expected.size(); ++k) {
        const double error = std::fabs(double(found[k]) - expected[k]) / tolerance;
        if (!(error <= worst)) worst = error;  // NaN too
    }
}

void report(const char* isa, const char* what, const char* real) {
    const bool good = worst <= 1;
    std::printf("%-4s %s %s %s: error %.2g of what is allowed\n", good ? "ok" : "BAD", isa, what, real, worst);
    failures += !good;
    worst = 0;
}

double sigmoid(double v) { return 1 / (1 + std::exp(-v)); }

template <class Real>
struct Problem {
    Cell cell;
    int64_t T = 7, B = 3, I = 5, H = 21, G = elman::gates(cell);
    std::vector<int64_t> lengths{7, 0, 4};
    std::vector<uint8_t> reset = std::vector<uint8_t>(size_t(T * B));
    std::vector<Real> x = random<Real>(T * B * I), h_0 = random<Real>(B * H), c_0 = random<Real>(B * H),
                      W_ih = random<Real>(G * H * I, 0.4), W_hh = random<Real>(G * H * H, 0.2), b_ih = random<Real>(G * H),
                      b_hh = random<Real>(G * H);

    explicit Problem(Cell cell) : cell(cell) { reset[size_t(2 * B)] = 1; }

    // y, then h_n, then c_n, by the equations of src/elman/kernels/reference.py.
    void plain(std::vector<double>& y, std::vector<double>& h, std::vector<double>& c) const {
        y.assign(size_t(T * B * H), 0), h.assign(h_0.begin(), h_0.end()), c.assign(c_0.begin(), c_0.end());
        std::vector<double> from_x(size_t(G * H)), from_h(size_t(G * H));
        for (int64_t b = 0; b < B; ++b)
            for (int64_t t = 0; t < lengths[size_t(b)]; ++t) {
                const int64_t row = t * B + b;
                double *state = &h[size_t(b * H)], *memory = &c[size_t(b * H)];
                for (int64_t j = 0; j < H && reset[size_t(row)]; ++j) state[j] = memory[j] = 0;
                for (int64_t k = 0; k < G * H; ++k) {
                    from_x[size_t(k)] = b_ih[size_t(k)], from_h[size_t(k)] = b_hh[size_t(k)];
                    for (int64_t i = 0; i < I; ++i) from_x[size_t(k)] += double(W_ih[size_t(k * I + i)]) * x[size_t(row * I + i)];
                    for (int64_t i = 0; i < H; ++i) from_h[size_t(k)] += double(W_hh[size_t(k * H + i)]) * state[i];
                }
                for (int64_t j = 0; j < H; ++j) {
                    const auto u = [&](int64_t gate) { return from_x[size_t(gate * H + j)]; };
                    const auto v = [&](int64_t gate) { return from_h[size_t(gate * H + j)]; };
                    const auto sum = [&](int64_t gate) { return u(gate) + v(gate); };
                    if (cell == elman::rnn_tanh) state[j] = std::tanh(sum(0));
                    if (cell == elman::rnn_relu) state[j] = sum(0) > 0 ? sum(0) : 0;
                    if (cell == elman::gru) {
                        const double r = sigmoid(sum(0)), z = sigmoid(sum(1)), n = std::tanh(u(2) + r * v(2));
                        state[j] = (1 - z) * n + z * state[j];
                    }
                    if (cell == elman::lstm) {
                        memory[j] = sigmoid(sum(1)) * memory[j] + sigmoid(sum(0)) * std::tanh(sum(2));
                        state[j] = sigmoid(sum(3)) * std::tanh(memory[j]);
                    }
                    y[size_t(row * H + j)] = state[j];
                }
            }
    }
};

template <class Real>
void check(const char* isa, const char* name, Cell cell, const elman::Kernels<Real>& kernels, double tolerance) {
    Problem<Real> p(cell);
    const auto [T, B, I, H, G] = std::tuple(p.T, p.B, p.I, p.H, p.G);
    const bool has_c = cell == elman::lstm;
    const int64_t saved_blocks = elman::saved_blocks(cell);
    std::vector<Real> y(size_t(T * B * H)), h_n(size_t(B * H)), c_n(size_t(B * H)), saved(size_t(T * B * saved_blocks * H)),
        c(size_t(T * B * H)), packed(kernels.forward_workspace(T, B, I, H, 1));
    const elman::Forward<Real> forward{
        .T = T, .B = B, .I = I, .H = H, .parts = 1,
        .x = p.x.data(), .h_0 = p.h_0.data(), .c_0 = has_c ? p.c_0.data() : nullptr,
        .W_ih = p.W_ih.data(), .W_hh = p.W_hh.data(), .b_ih = p.b_ih.data(), .b_hh = p.b_hh.data(),
        .lengths = p.lengths.data(), .reset = p.reset.data(),
        .y = y.data(), .h_n = h_n.data(), .c_n = has_c ? c_n.data() : nullptr,
        .saved = saved_blocks ? saved.data() : nullptr, .c = has_c ? c.data() : nullptr, .packed = packed.data(),
    };
    kernels.pack(forward, 0, 1);
    kernels.forward(forward, 0, 0, B, {});
    std::vector<double> y_0, h, memory;
    p.plain(y_0, h, memory);
    compare(y, y_0, tolerance), compare(h_n, h, tolerance);
    if (has_c) compare(c_n, memory, tolerance);
    report(isa, name, sizeof(Real) == 4 ? "float32 forward" : "float64 forward");

    // The gradient of the sum of dy * y and dh * h_n and dc * c_n, which central differences give too.
    const auto dy = random<Real>(T * B * H), dh_n = random<Real>(B * H), dc_n = random<Real>(B * H);
    auto dh = dh_n, dc = dc_n;
    std::vector<Real> dx(size_t(T * B * I)), dW_ih(size_t((I + 1) * G * H)), dW_hh(size_t((H + 1) * G * H)),
        of_W_ih(size_t(G * H * I)), of_W_hh(size_t(G * H * H)), of_b_ih(size_t(G * H)), of_b_hh(size_t(G * H)),
        scratch(kernels.backward_workspace(T, B, I, H, 1, 1));
    const elman::Backward<Real> backward{
        .T = T, .B = B, .I = I, .H = H, .parts = 1,
        .x = forward.x, .h_0 = forward.h_0, .c_0 = forward.c_0, .W_ih = forward.W_ih, .W_hh = forward.W_hh,
        .lengths = forward.lengths, .reset = forward.reset,
        .y = forward.y, .saved = forward.saved, .c = forward.c, .dy = dy.data(),
        .dx = dx.data(), .dh = dh.data(), .dc = has_c ? dc.data() : nullptr, .dW_ih = dW_ih.data(), .dW_hh = dW_hh.data(),
        .packed = scratch.data(), .of_W_ih = of_W_ih.data(), .of_W_hh = of_W_hh.data(), .of_b_ih = of_b_ih.data(), .of_b_hh = of_b_hh.data(),
    };
    kernels.pack_back(backward, 0, 1);
    kernels.backward(backward, 0, 0, B, {});
    kernels.add_up(backward, 0, 1);
    const auto loss = [&] {
        double sum = 0;
        p.plain(y_0, h, memory);
        for (size_t k = 0; k < y_0.size(); ++k) sum += y_0[k] * double(dy[k]);
        for (size_t k = 0; k < h.size(); ++k) sum += h[k] * double(dh_n[k]) + (has_c ? memory[k] * double(dc_n[k]) : 0);
        return sum;
    };
    const double step = 1e-4;
    const auto differences = [&](std::vector<Real>& of, size_t every) {
        std::vector<double> found(of.size(), NAN);
        for (size_t k = 0; k < of.size(); k += every) {
            const Real before = of[k];
            of[k] = Real(before + step);
            const double above = of[k], more = loss();
            of[k] = Real(before - step);
            found[k] = (more - loss()) / (above - double(of[k]));
            of[k] = before;
        }
        return found;
    };
    const auto same = [](const std::vector<Real>& found, const std::vector<double>& expected) {
        for (size_t k = 0; k < found.size(); ++k)
            if (!std::isnan(expected[k])) compare<Real>({found[k]}, {expected[k]}, 1e-3);
    };
    // Generous: a wrong equation is wrong by far more, and what a relu does within a step is no error.
    compare(dx, differences(p.x, 1), 1e-3), compare(dh, differences(p.h_0, 1), 1e-3);
    if (has_c) compare(dc, differences(p.c_0, 1), 1e-3);
    same(of_W_ih, differences(p.W_ih, 3)), same(of_W_hh, differences(p.W_hh, 7));
    same(of_b_ih, differences(p.b_ih, 1)), same(of_b_hh, differences(p.b_hh, 1));
    report(isa, name, sizeof(Real) == 4 ? "float32 backward" : "float64 backward");
}

template <class Real>
void check_scan(const char* isa, const elman::ScanKernels<Real>& kernels, bool complex, double tolerance) {
    const int64_t T = 9, B = 2, H = 38;  // numbers; half as many where they are complex
    const auto a = random<Real>(H), b = random<Real>(T * B * H), h_0 = random<Real>(B * H);
    std::vector<Real> h(size_t(T * B * H)), h_n(size_t(B * H));
    kernels.forward({.T = T, .B = B, .H = H, .a = a.data(), .a_step = 0, .a_row = 0, .b = b.data(), .h_0 = h_0.data(),
                     .lengths = nullptr, .reset = nullptr, .h = h.data(), .h_n = h_n.data()}, 0, H);
    std::vector<double> state(h_0.begin(), h_0.end());
    std::vector<double> expected;
    for (int64_t t = 0; t < T; ++t) {
        for (int64_t k = 0; k < B * H; k += complex ? 2 : 1) {
            double &real = state[size_t(k)], before = real;
            const double a_real = a[size_t(k % H)];
            if (complex) {
                double& imaginary = state[size_t(k + 1)];
                const double a_imaginary = a[size_t(k % H + 1)];
                real = a_real * before - a_imaginary * imaginary + b[size_t(t * B * H + k)];
                imaginary = a_real * imaginary + a_imaginary * before + b[size_t(t * B * H + k + 1)];
            } else {
                real = a_real * before + b[size_t(t * B * H + k)];
            }
        }
        expected.insert(expected.end(), state.begin(), state.end());
    }
    compare(h, expected, tolerance), compare(h_n, state, tolerance);
    report(isa, complex ? "complex scan" : "scan", sizeof(Real) == 4 ? "float32" : "float64");
}

// W is a ring: unit k hears unit k - 1, and nothing else.
template <class Real>
void check_reservoir(const char* isa, elman::ReservoirKernel<Real> kernel, double tolerance) {
    constexpr int64_t lanes = elman::Reservoir<Real>::lanes, T = 6, B = 2, I = 3, N = 21, chunks = (N + lanes - 1) / lanes;
    const auto x = random<Real>(T * B * I), h_0 = random<Real>(B * N), W = random<Real>(N), W_in = random<Real>(N * I),
               b = random<Real>(N);
    std::vector<int64_t> starts;
    for (int64_t chunk = 0; chunk <= chunks; ++chunk) starts.push_back(chunk);
    std::vector<Real> values(size_t(chunks * lanes)), packed_in(size_t(chunks * I * lanes)), packed_b(size_t(chunks * lanes));
    std::vector<int32_t> columns(size_t(chunks * lanes), int32_t(chunks * lanes)), units(size_t(chunks * lanes)), places;
    for (int64_t k = 0; k < N; ++k) {
        values[size_t(k)] = W[size_t(k)], columns[size_t(k)] = int32_t((k + N - 1) % N), units[size_t(k)] = int32_t(k);
        places.push_back(int32_t(k)), packed_b[size_t(k)] = b[size_t(k)];
        for (int64_t i = 0; i < I; ++i) packed_in[size_t((k / lanes * I + i) * lanes + k % lanes)] = W_in[size_t(k * I + i)];
    }
    std::vector<Real> y(size_t(T * B * N)), h_n(size_t(B * N)), states(size_t(B * 2 * (chunks + 1) * lanes));
    kernel({.T = T, .B = B, .I = I, .N = N, .chunks = chunks, .x = x.data(), .h_0 = h_0.data(), .feedback = nullptr,
            .lengths = nullptr, .reset = nullptr, .leak = Real(0.25), .starts = starts.data(), .values = values.data(),
            .columns = columns.data(), .units = units.data(), .places = places.data(), .W_in = packed_in.data(),
            .b = packed_b.data(), .y = y.data(), .h_n = h_n.data(), .states = states.data()}, 0, B, {});
    std::vector<double> before(h_0.begin(), h_0.end()), after(before), expected;
    for (int64_t t = 0; t < T; ++t) {
        for (int64_t row = 0; row < B; ++row)
            for (int64_t k = 0; k < N; ++k) {
                double sum = double(b[size_t(k)]) + double(W[size_t(k)]) * before[size_t(row * N + (k + N - 1) % N)];
                for (int64_t i = 0; i < I; ++i) sum += double(W_in[size_t(k * I + i)]) * x[size_t((t * B + row) * I + i)];
                after[size_t(row * N + k)] = 0.75 * before[size_t(row * N + k)] + 0.25 * std::tanh(sum);
            }
        before = after;
        expected.insert(expected.end(), after.begin(), after.end());
    }
    compare(y, expected, tolerance), compare(h_n, after, tolerance);
    report(isa, "reservoir", sizeof(Real) == 4 ? "float32" : "float64");
}

}  // namespace

int main() {
    const char* names[] = {"rnn_tanh", "rnn_relu", "lstm", "gru"};
    for (size_t index = 0; elman::table(index); ++index) {
        const elman::Table& table = *elman::table(index);
        if (!elman::supported(index)) {
            std::printf("this machine can't run %s\n", table.name);
            continue;
        }
        for (int cell = 0; cell < elman::cells; ++cell) {
            check(table.name, names[cell], Cell(cell), *table.f32[cell], 5e-6);
            check(table.name, names[cell], Cell(cell), *table.f64[cell], 1e-12);
        }
        for (const bool complex : {false, true}) {
            check_scan(table.name, *table.scan_f32[complex], complex, 5e-6);
            check_scan(table.name, *table.scan_f64[complex], complex, 1e-12);
        }
        check_reservoir(table.name, table.reservoir_f32, 5e-6);
        check_reservoir(table.name, table.reservoir_f64, 1e-12);
    }
    return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
