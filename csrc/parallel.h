// Threads: torch's own, never a second set. Two OpenMP libraries in one process wait for each other's spinning threads.
#pragma once

#include <stdint.h>

#include <atomic>

namespace elman {

// GOMP_parallel of the libgomp that torch has loaded; null: everything runs on the calling thread.
using GompParallel = void (*)(void (*)(void*), void*, unsigned threads, unsigned flags);
extern GompParallel gomp_parallel;

// Calls work(part, begin, end) for `parts` even slices of 0 .. n, on as many threads at the most.
template <class Work>
void share(int64_t n, int64_t parts, const Work& work) {
    parts = parts < n ? parts : n;
    struct Shared {
        const Work& work;
        int64_t n, parts;
        std::atomic<int64_t> next{0};
        void run() {
            for (int64_t k; (k = next.fetch_add(1)) < parts;) work(k, k * n / parts, (k + 1) * n / parts);
        }
    } shared{work, n, parts};
    if (parts <= 1 || !gomp_parallel) return shared.run();
    gomp_parallel([](void* data) { static_cast<Shared*>(data)->run(); }, &shared, unsigned(parts), 0);
}

}  // namespace elman
