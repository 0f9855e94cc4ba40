"""Crossbars as ngspice netlists, and ngspice as an oracle that shares no code with the package.

Every node is written out and a zero resistance is a 0 V source, so nothing relies on how the package merges nodes.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from cimsim.crossbar.wires import Wires

Floats = NDArray[np.float64]


def installed() -> bool:
    """Whether the ngspice program is found."""
    return shutil.which("ngspice") is not None


def netlist(title: str, g: Floats, wires: Wires, v: Floats, v0: float | None = None) -> str:
    """A netlist that prints the sensed currents of the array `g` (siemens) with word-line voltages `v` (volts).

    With `v0` (volts) the cells are behavioural sources of the current g v0 sinh(u / v0).
    """
    rows, cols = g.shape
    cells = _cells(g) if v0 is None else _sources(g, v0)
    lines = [f"* {title}", *_drivers(v, wires), *cells, *_words(rows, cols, wires), *_bits(rows, cols, wires)]
    prints = [f"print i(vsense_{c})" for c in range(cols)]
    return "\n".join([*lines, ".control", "set numdgt=14", "op", *prints, "quit 0", ".endc", ".end"]) + "\n"


def currents(text: str) -> Floats:
    """Run a netlist; the sensed currents `(cols,)`, amperes. Raises `RuntimeError` if ngspice prints none."""
    done = subprocess.run(["ngspice", "-b"], input=text, capture_output=True, text=True, timeout=120, check=True)
    found = dict(re.findall(r"^i\(vsense_(\d+)\) = (\S+)$", done.stdout, re.MULTILINE))
    if not found:
        raise RuntimeError(f"ngspice: {done.stderr.strip()}")
    return np.array([float(found[str(c)]) for c in range(len(found))])


def _branch(name: str, a: str, b: str, ohms: float) -> str:
    return f"R{name} {a} {b} {float(ohms)!r}" if ohms else f"V{name} {a} {b} 0"


def _drivers(v: Floats, wires: Wires) -> Iterator[str]:
    for r, volts in enumerate(v):
        yield f"Vdrive_{r} drive_{r} 0 {float(volts)!r}"
        yield _branch(f"source_{r}", f"drive_{r}", f"left_{r}", wires.source)


def _cells(g: Floats) -> Iterator[str]:
    for (r, c), siemens in np.ndenumerate(g):
        if siemens:
            yield f"Rcell_{r}_{c} w_{r}_{c} b_{r}_{c} {float(1 / siemens)!r}"


def _sources(g: Floats, v0: float) -> Iterator[str]:
    yield ".options reltol=1e-10 abstol=1e-17 vntol=1e-13"
    for (r, c), siemens in np.ndenumerate(g):
        a, b = f"w_{r}_{c}", f"b_{r}_{c}"
        yield f"Bcell_{r}_{c} {a} {b} I={float(siemens * v0)!r}*sinh(V({a},{b})/{v0!r})"


def _words(rows: int, cols: int, wires: Wires) -> Iterator[str]:
    for r in range(rows):
        path = [f"left_{r}", *(f"w_{r}_{c}" for c in range(cols))]
        yield from _chain(f"word_{r}", path, wires.word)
        if wires.both:
            yield _branch(f"word_{r}_{cols}", path[-1], f"right_{r}", wires.word)
            yield _branch(f"right_{r}", f"right_{r}", f"drive_{r}", wires.source)


def _bits(rows: int, cols: int, wires: Wires) -> Iterator[str]:
    for c in range(cols):
        path = [*(f"b_{r}_{c}" for r in range(rows)), f"end_{c}"]
        yield from _chain(f"bit_{c}", path, wires.bit)
        yield _branch(f"amp_{c}", f"end_{c}", f"sense_{c}", wires.sense)
        yield f"Vsense_{c} sense_{c} 0 0"


def _chain(name: str, path: list[str], ohms: float) -> Iterator[str]:
    for k, (a, b) in enumerate(pairwise(path)):
        yield _branch(f"{name}_{k}", a, b, ohms)


def subcircuit_currents(text: str, name: str, v: Floats, cols: int) -> Floats:
    """What ngspice finds at the bit ports of a subcircuit, amperes: the netlist as written, inside a test bench."""
    words = [f"Vw{r} w{r} 0 {float(x)!r}" for r, x in enumerate(v)]
    bits = [f"Vb{c} b{c} 0 0" for c in range(cols)]
    ports = " ".join([*(f"w{r}" for r in range(len(v))), *(f"b{c}" for c in range(cols))])
    prints = [f"print i(vb{c})" for c in range(cols)]
    control = [".control", "set numdgt=14", "op", *prints, "quit 0", ".endc", ".end"]
    options = ".options reltol=1e-9 abstol=1e-18 vntol=1e-12 gmin=1e-18"
    bench = "\n".join(["* bench", options, text, f"Xarray {ports} {name}", *words, *bits, *control]) + "\n"
    done = subprocess.run(["ngspice", "-b"], input=bench, capture_output=True, text=True, timeout=60, check=True)
    found = dict(re.findall(r"^i\(vb(\d+)\) = (\S+)$", done.stdout, re.MULTILINE))
    return np.array([float(found[str(c)]) for c in range(cols)])
