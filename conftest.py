"""What pytest must not import: modules that can't be, where the native kernels were not built."""

from elman import compiled

collect_ignore = ["src/elman/compiled/steps.py"] if compiled.WHY_NOT else []
