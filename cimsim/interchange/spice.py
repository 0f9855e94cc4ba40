"""A tile as a netlist for circuit simulators: one subcircuit for each of its arrays, cells as programmed."""

from __future__ import annotations

from collections.abc import Iterator
from functools import singledispatch

import numpy as np

from cimsim.backend import to_host
from cimsim.crossbar.tile import Tile
from cimsim.crossbar.wires import Wires
from device_models.conduction import Conduction, Ohmic, PolynomialConduction, Sinh
from device_models.errors import InputError

WRAP = 12  # ports on a line


def netlist(tile: Tile, name: str) -> str:
    """The arrays of a tile as subcircuits `NAME_array0`, ...: ports w0, w1, ... (drivers), b0, b1, ... (sensed ends).

    Drive the word ports against ground and hold the bit ports at 0 V: the currents into these are the tile's. The
    drivers' and sense amplifiers' resistances are inside. An open cell is left out. The values are those of `tile` as
    it is now (drift included, read noise not).

    Raises:
        InputError: a conduction slot that has no form in SPICE.
    """
    g = to_host(tile.device.conductance(tile.cells))
    wires, law = tile.wires or Wires(), tile.device.conduction or Ohmic()
    lines = [f"* {name}: {tile.device.name}, arrays of {g.shape[1]} word lines x {g.shape[2]} bit lines"]
    for k, array in enumerate(g):
        lines += ["", *_subcircuit(f"{name}_array{k}", array, wires, law)]
    return "\n".join(lines) + "\n"


def _subcircuit(name: str, g: np.ndarray, wires: Wires, law: Conduction) -> Iterator[str]:
    rows, cols = g.shape
    ports = [*(f"w{r}" for r in range(rows)), *(f"b{c}" for c in range(cols))]
    yield f".subckt {name}"
    yield from ("+ " + " ".join(ports[k : k + WRAP]) for k in range(0, len(ports), WRAP))
    for r in range(rows):
        yield from _line(f"w{r}", [f"w{r}_{c}" for c in range(cols)], wires.word, wires.source)
        if wires.drive == "both":
            yield _resistor(f"w{r}_end", f"w{r}", f"w{r}_{cols - 1}", wires.word + wires.source)
    for c in range(cols):
        yield from _line(f"b{c}", [f"b{c}_{r}" for r in reversed(range(rows))], wires.bit, wires.sense)
    for (r, c), siemens in np.ndenumerate(g):
        if siemens > 0:
            yield _cell(law, f"cell_{r}_{c}", f"w{r}_{c}", f"b{c}_{r}", float(siemens))
    yield f".ends {name}"


def _line(port: str, nodes: list[str], segment: float, end: float) -> Iterator[str]:
    """A wire from its port along its nodes, `end` in series with the first segment."""
    path = [port, *nodes]
    for k, (a, b) in enumerate(zip(path, nodes, strict=False)):
        yield _resistor(b, a, b, segment + (end if k == 0 else 0.0))


def _resistor(name: str, a: str, b: str, ohms: float) -> str:
    """A resistor, or a source of 0 V where there is no resistance: nodes keep their names."""
    return f"R{name} {a} {b} {float(ohms)!r}" if ohms else f"V{name} {a} {b} 0"


@singledispatch
def _cell(law: Conduction, name: str, a: str, b: str, siemens: float) -> str:
    rule = "has no form in SPICE"
    raise InputError(type(law).__name__, rule, "", "use Ohmic, Sinh or PolynomialConduction, or register one")


@_cell.register
def _(law: Ohmic, name: str, a: str, b: str, siemens: float) -> str:
    return f"R{name} {a} {b} {1 / siemens!r}"


@_cell.register
def _(law: Sinh, name: str, a: str, b: str, siemens: float) -> str:
    return f"B{name} {a} {b} I={siemens * law.v0!r}*sinh(v({a},{b})/{law.v0!r})"


@_cell.register
def _(law: PolynomialConduction, name: str, a: str, b: str, siemens: float) -> str:
    v = f"v({a},{b})"
    return f"B{name} {a} {b} I={siemens!r}*{v}*(1+abs({v})*({law.a2!r}+{law.a3!r}*abs({v})))"
