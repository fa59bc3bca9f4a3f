#include "parallel.h"

namespace elman {
GompParallel gomp_parallel = nullptr;
}
