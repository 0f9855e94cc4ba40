"""`import cimsim` is light: what is large is loaded by the functions that need it."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("pandas", "matplotlib", "numba", "cupy", "torch", "scipy.sparse")


def test_importing_both_packages_loads_nothing_heavy() -> None:
    code = f"import sys, cimsim, device_models; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
