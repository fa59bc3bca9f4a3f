"""What holds for all tests, and what pytest must not import: modules that can't be, where there are no native kernels."""

from hypothesis import HealthCheck, settings

from elman import compiled

collect_ignore = ["src/elman/compiled/steps.py"] if compiled.WHY_NOT else []

# No test depends on how fast the machine is.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")
