#include "parallel.h"

namespace elman {
Gomp gomp = {};
}
