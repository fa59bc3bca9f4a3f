// Threads: torch's own, never a second set. Two OpenMP libraries in one process wait for each other's spinning threads.
#pragma once

#include <stdint.h>

#include <atomic>
#include <thread>

#include "kernels.h"

namespace elman {

// What is used of the libgomp that torch has loaded; all null: everything runs on the calling thread.
struct Gomp {
    void (*parallel)(void (*)(void*), void*, unsigned threads, unsigned flags);
    int (*thread_num)();
    int (*num_threads)();
};
extern Gomp gomp;

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
    if (parts <= 1 || !gomp.parallel) return shared.run();
    gomp.parallel([](void* data) { static_cast<Shared*>(data)->run(); }, &shared, unsigned(parts), 0);
}

// Where the members of a team meet. They come at about the same time, so they spin; but two of them may have to share a
// processor with each other or with other programs, so not for long.
class Team {
public:
    static void meet(void* team) { static_cast<Team*>(team)->wait(); }
    std::atomic<int64_t> members{1};

private:
    std::atomic<int64_t> arrived{0}, meetings{0};

    void wait() {
        const int64_t meeting = meetings.load(std::memory_order_relaxed);
        if (arrived.fetch_add(1, std::memory_order_acq_rel) + 1 == members.load(std::memory_order_relaxed)) {
            arrived.store(0, std::memory_order_relaxed);
            meetings.store(meeting + 1, std::memory_order_release);
            return;
        }
        for (int spins = 0; meetings.load(std::memory_order_acquire) == meeting; ++spins)
            if (spins > 1000) std::this_thread::yield();
    }
};

// Calls work(member) on at most `members` threads at once; each of them must wait equally often.
template <class Work>
void together(int64_t members, const Work& work) {
    if (members <= 1 || !gomp.parallel) return work(Member{});
    struct Shared {
        const Work& work;
        Team team;
    } shared{work, {}};
    const auto run = [](void* data) {
        auto* shared = static_cast<Shared*>(data);
        shared->team.members.store(gomp.num_threads(), std::memory_order_relaxed);  // all write the same
        shared->work(Member{gomp.thread_num(), gomp.num_threads(), &shared->team, Team::meet});
    };
    gomp.parallel(run, &shared, unsigned(members), 0);
}

}  // namespace elman
