"""`import cimsim` is light: what is large is loaded by the functions that need it, or at first use."""

from __future__ import annotations

import subprocess
import sys

import device_models

HEAVY = ("pandas", "matplotlib", "numba", "cupy", "torch", "scipy")


def test_importing_both_packages_loads_nothing_heavy() -> None:
    code = f"import sys, cimsim, device_models; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_front_door_of_device_models_leads_to_compact_models_and_to_fitting() -> None:
    code = (
        "import sys, device_models as dm; assert 'scipy' not in sys.modules; assert 'fitting' in dir(dm); "
        "dm.compact.VTEAM; dm.fitting.fit; assert 'fitting' in vars(dm); from device_models import *; fitting.fit"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    assert not hasattr(device_models, "fiting")
