// What the bindings of all kernels share: addresses that come as numbers, and the checks that stand before every kernel.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <initializer_list>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "kernels.h"
#include "parallel.h"

namespace nb = nanobind;
using namespace nb::literals;

enum Dtype { float32, float64 };

inline std::string text(int64_t n) { return std::to_string(n); }

inline const elman::Table& chosen(size_t isa) {
    const elman::Table* table = elman::table(isa);
    if (!table || !elman::supported(isa))
        throw nb::value_error(("isa " + text(isa) + " was not compiled, or this machine can't run it").c_str());
    return *table;
}

// Whether a * b * c numbers of 8 bytes can be addressed, all three being at least 1.
inline bool addressable(int64_t a, int64_t b, int64_t c) {
    const int64_t limit = std::numeric_limits<int64_t>::max() / 8;
    return a <= limit / b && a * b <= limit / c;
}

// Calls work with the kernels of the cell in its precision.
template <class Work>
auto with(size_t isa, int cell, int dtype, const Work& work) {
    const elman::Table& table = chosen(isa);
    return dtype == float32 ? work(*table.f32[cell]) : work(*table.f64[cell]);
}

inline void check_lengths(const int64_t* lengths, int64_t T, int64_t B) {
    for (int64_t b = 0; lengths && b < B; ++b)
        if (lengths[b] < 0 || lengths[b] > T)
            throw nb::value_error(("expected lengths from 0 to T=" + text(T) + ", found " + text(lengths[b]) +
                                   " for sequence " + text(b)).c_str());
}

inline void need(std::initializer_list<std::pair<const char*, uintptr_t>> arrays) {
    for (const auto& [name, address] : arrays)
        if (!address) throw nb::value_error((std::string(name) + " needs an address, found 0").c_str());
}

// More threads than any machine has: where the system can't start so many, OpenMP ends the process.
constexpr int64_t most_threads = 1024;

inline void expect_threads(int64_t threads) {
    if (threads >= 1 && threads <= most_threads) return;
    throw nb::value_error(("expected threads from 1 to " + text(most_threads) + ", found " + text(threads)).c_str());
}

template <class T>
T* at(uintptr_t address) {
    return reinterpret_cast<T*>(address);
}

// The batch is cut into parts, or the whole of it is done by the members of a team.
inline void check_threads(int64_t parts, int64_t members, int64_t B) {
    expect_threads(parts), expect_threads(members);
    if (parts <= B && (parts == 1 || members == 1)) return;
    throw nb::value_error(("expected parts from 1 to B=" + text(B) + ", or members, one of them 1; found parts=" + text(parts) +
                           ", members=" + text(members)).c_str());
}

template <class Work>
void each(int64_t B, int64_t parts, int64_t members, const Work& work) {
    if (members > 1) return elman::together(members, [&](elman::Member member) { work(0, 0, B, member); });
    elman::share(B, parts, [&](int64_t part, int64_t begin, int64_t end) { work(part, begin, end, elman::Member{}); });
}

// Calls work(begin, end) for the units of H, `size` bytes each. A thread takes two lines of the cache at once, so that no two
// of them write to one, nor to neighbours.
template <class Work>
void share_units(int64_t H, size_t size, int threads, const Work& work) {
    const int64_t units = 128 / int64_t(size);
    elman::share((H + units - 1) / units, threads, [&](int64_t, int64_t begin, int64_t end) {
        work(begin * units, end * units < H ? end * units : H);
    });
}

void check_sizes(int cell, int dtype, int64_t T, int64_t B, int64_t I, int64_t H);
void check_packed(size_t expected, size_t found);

void bind_variant(nb::module_& m);
void bind_scan(nb::module_& m);
void bind_gated(nb::module_& m);
void bind_reservoir(nb::module_& m);
void bind_step(nb::module_& m);
