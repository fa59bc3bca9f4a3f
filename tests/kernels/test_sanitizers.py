"""Under `make sanitize` memory is watched indeed: what should be reported is, and ends the process."""

import subprocess
import sys
from pathlib import Path

import pytest

MAPS = Path("/proc/self/maps")
WATCHED = MAPS.exists() and "libasan" in MAPS.read_text()
pytestmark = pytest.mark.skipif(not WATCHED, reason="no sanitizer is loaded here; make sanitize loads them")

CODE = """
import numpy as np
from elman.compiled import _native
T, B, H, isa = 2, 3, 5, {isa}
a, b, lengths = np.ones(H), np.ones(T * B * H), np.zeros(B * 8 + 1, np.uint8)
h, h_n = np.ones(T * B * H - {missing}), np.ones(B * H)
at = lambda a: a.ctypes.data
_native.scan_forward(isa, 1, False, 1, T, B, H, 0, 0, at(a), at(b), 0, at(lengths) + {shift}, 0, at(h), at(h_n))
print("unseen")
"""


def run(**faults):
    code = CODE.format(**{"isa": 0, "missing": 0, "shift": 0} | faults)
    return subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, timeout=120)


def test_a_sound_call_is_not_reported():
    assert run().stdout == "unseen\n"


@pytest.mark.parametrize(("faults", "report"), [
    ({"missing": 1}, "AddressSanitizer: heap-buffer-overflow"),
    ({"shift": 1}, "misaligned address"),
])  # fmt: skip
def test_faults_are_reported(faults, report):
    done = run(**faults)
    assert report in done.stderr
    assert "unseen" not in done.stdout
    assert done.returncode != 0
