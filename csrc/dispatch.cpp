// Which instruction sets were compiled, and which of them this machine can run.
#include "kernels.h"

namespace elman {

namespace baseline {
extern const Table table;
}
#if defined(__x86_64__)
namespace avx2 {
extern const Table table;
}
namespace avx512 {
extern const Table table;
}
#endif

const Table* table(size_t index) {
#if defined(__x86_64__)
    static const Table* const tables[] = {&baseline::table, &avx2::table, &avx512::table};
#else
    static const Table* const tables[] = {&baseline::table};
#endif
    return index < sizeof(tables) / sizeof(*tables) ? tables[index] : nullptr;
}

bool supported(size_t index) {
#if defined(__x86_64__)
    // The compiler's run-time library asks the operating system too, whether it saves the wide registers.
    __builtin_cpu_init();
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (index == 1) return avx2;
    if (index == 2)
        return avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
#endif
    return index == 0;
}

}  // namespace elman
