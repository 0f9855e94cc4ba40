"""What figures were taken on."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from typing import Any

import numpy as np


def environment() -> dict[str, Any]:
    """What the figures were taken on: processor, cores, versions, the BLAS library and its threads."""
    import numba
    import scipy
    from threadpoolctl import threadpool_info

    blas = [f"{p['internal_api']} {p['version']}, {p['num_threads']} threads" for p in threadpool_info()
            if p["user_api"] == "blas"]  # fmt: skip
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "numba": numba.__version__,
        "blas": "; ".join(dict.fromkeys(blas)),
        "cimsim": metadata.version("cimsim"),
    }


def _processor() -> str:
    """The processor's name where the system tells it."""
    info = "/proc/cpuinfo"
    if os.path.exists(info):
        with open(info, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
