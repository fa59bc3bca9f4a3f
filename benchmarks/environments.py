"""Make the environments of the peers that elman does not depend on: JAX and ONNX Runtime.

    python benchmarks/environments.py             # all of them, into benchmarks/.venvs/
    python benchmarks/environments.py onnxruntime

Each gets a virtual environment of its own, so that no peer decides which numpy another one has. The benchmarks use
those that they find and leave out the others. ELMAN_PEERS names another place for them.
"""

import os
import subprocess
import sys
import venv
from pathlib import Path

PINNED = {
    "jax": ["jax==0.10.2", "jaxlib==0.10.2", "ml_dtypes==0.6.0", "numpy==2.4.6", "opt_einsum==3.4.0", "scipy==1.17.1"],
    "onnxruntime": ["onnxruntime==1.32.0", "onnx==1.23.2", "ml_dtypes==0.6.0", "numpy==2.4.6", "protobuf==7.36.2"],
}


def interpreter(peer: str) -> Path:
    """The Python of that peer's environment, whether or not it has been made."""
    place = os.environ.get("ELMAN_PEERS") or Path(__file__).parent / ".venvs"
    return Path(place) / peer / "bin" / "python"


def main() -> None:
    for peer in sys.argv[1:] or PINNED:
        if peer not in PINNED:
            sys.exit(f"expected one of {', '.join(PINNED)}; found {peer!r}")
        python = interpreter(peer)
        venv.create(python.parents[1], with_pip=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PINNED[peer]]
        subprocess.run(install, check=True)
        print(f"{peer}: {python}")


if __name__ == "__main__":
    main()
