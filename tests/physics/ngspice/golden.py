"""The circuits whose netlists and ngspice currents are kept in this folder; run as a module, it writes them anew."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from cimsim.crossbar.wires import Wires
from tests.physics.ngspice.netlist import Floats, currents, netlist

FOLDER = Path(__file__).parent
G_MIN, G_MAX = 1e-6, 100e-6  # siemens
EVERYWHERE = Wires(word=2.5, bit=1.5, source=150.0, sense=80.0)


class Case(NamedTuple):
    """One array `g` (siemens) with its wires and word-line voltages `v` (volts); `v0` is that of sinh cells."""

    g: Floats
    wires: Wires
    v: Floats
    v0: float | None = None


def weights(rows: int, cols: int) -> Floats:
    """A fixed pattern of weights in -1..1 in steps of 1/8, free of any random generator."""
    r, c = np.ogrid[:rows, :cols]
    return np.asarray(((5 * r * r + 3 * r * c + 7 * c) % 17 - 8) / 8, dtype=np.float64)


def siemens(w: Floats) -> Floats:
    """The conductances of one array of a differential pair: the positive part of `w`, in the window."""
    return np.asarray(G_MIN + (G_MAX - G_MIN) * np.clip(w, 0, 1), dtype=np.float64)


def volts(rows: int) -> Floats:
    """Word-line voltages from 0 to 0.2 V in a fixed pattern."""
    return (7 * np.arange(rows) % 11) * 0.02


def stuck(rows: int, cols: int) -> Floats:
    """On/off ratio 1e6, and a few cells open."""
    g = np.where(weights(rows, cols) > 0, 1e-3, 1e-9)
    g[::3, ::4] = 0.0
    return g


def _cases() -> dict[str, Case]:
    w, v = weights(16, 12), volts(16)
    plus, minus = siemens(w), siemens(-w)
    small, few = siemens(weights(8, 6)), volts(8)
    return {
        "plus": Case(plus, EVERYWHERE, v),
        "minus": Case(minus, EVERYWHERE, v),
        "difference": Case(plus - minus, EVERYWHERE, v),
        "word-only": Case(small, Wires(word=2.5), few),
        "bit-only": Case(small, Wires(bit=1.5), few),
        "ends-only": Case(small, Wires(source=150.0, sense=80.0), few),
        "stuck": Case(stuck(9, 7), EVERYWHERE, volts(9)),
        "one-row": Case(siemens(weights(1, 12)), EVERYWHERE, np.array([0.2])),
        "both-ends": Case(small, EVERYWHERE.replace(drive="both"), few),
        "sinh": Case(small, EVERYWHERE, few, v0=0.1),
        "one-column": Case(siemens(weights(12, 1)), EVERYWHERE, volts(12)),
    }


CASES = _cases()


def text(name: str) -> str:
    """The netlist of a case."""
    return netlist(f"crossbar: {name}", *CASES[name])


def kept(name: str) -> Floats:
    """The currents that ngspice gave for a case, amperes."""
    return np.loadtxt(FOLDER / f"{name}.csv", delimiter=",", skiprows=1, usecols=1, ndmin=1)


def main() -> None:
    """Write every netlist and run it."""
    for name in CASES:
        (FOLDER / f"{name}.cir").write_text(text(name))
        rows = [f"{c},{i:.14e}" for c, i in enumerate(currents(text(name)))]
        (FOLDER / f"{name}.csv").write_text("\n".join(["column,amperes", *rows]) + "\n")


if __name__ == "__main__":
    main()
