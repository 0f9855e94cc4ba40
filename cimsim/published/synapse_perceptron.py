"""The perceptron of `synapse_table_2018`, on cells: how weights are read, and learned sample by sample.

Conventions of Chen, Peng and Yu, IEEE TCAD 37, 3067 (2018), and of the code they published (NeuroSim).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from pydantic import Field

from cimsim.chip import ChipSpec, program
from cimsim.crossbar.converters import ADC, DAC
from cimsim.crossbar.draws import Draws
from cimsim.crossbar.mapping import OffsetColumn, WeightScheme
from cimsim.crossbar.matrix import AnalogMatrix
from cimsim.crossbar.pulsing import Pulser
from cimsim.learning.rules import PulseCount, Step
from cimsim.network.layers import Sigmoid
from cimsim.network.network import Network
from device_models.device import Device
from device_models.parameters import Ohms
from device_models.streams import Streams
from device_models.update import ExponentialUpdate, Update
from device_models.window import Array, CellLimits, Limits, Window

# The paper, Section V, and the code's Param.cpp.
SIZES = (400, 100, 10)
RATES = (0.4, 0.2)  # of both layers, for weights from -1 to 1
V_READ, ADC_BITS = 0.5, 8
FINE = 255 * (1 + 1e-5)  # codes of the full range; a current at a border belongs to the code above
FIRED = 0.4999  # just below 1/2: equal codes, which are frequent, count as 1, and floats may miss them by a hair


class TopColumn(OffsetColumn):
    """Read-out of V1 and V2: w = 2 G / full - 1; `ratio` and `top` are g_min / full and g_max / full.

    The code takes a column of cells at `full` off twice the signal. That is the same, but for the last bit of a code,
    as a column at half of it, which is what stands here: it has to lie in the window.
    """

    ratio: float = Field(ge=0, le=0.5)
    top: float = Field(default=1.0, ge=0.5, le=1)

    @classmethod
    def of(cls, window: Window, full: float) -> Self:
        """The scheme for a window, where the conductance `full` in siemens stands for a weight of 1."""
        return cls(ratio=window.g_min / full, top=window.g_max / full)

    def targets(self, w: np.ndarray, window: Window) -> np.ndarray:
        """One array, -1 at the bottom of the window and 1 at its top, and the column."""
        cells = window.quantise(window.g_min + (1 + w) / 2 * window.span)
        return np.concatenate([cells, np.full((len(w), 1), window.g_max / self.top / 2)], axis=1)[None]

    def worths(self) -> tuple[float, ...]:
        """The conductance `full`, not the window, stands for 2."""
        return (2 * (self.top - self.ratio),)

    def cell_worth(self) -> float:
        """The window is less than `full`."""
        return 2 * (self.top - self.ratio)


class BehindAccess(Update):
    """Pulses to a cell in series with its access transistor, of which reads see the conductance of both together.

    Conductances are those of both; all of a write voltage falls on the cell, as in the code.
    """

    cell: ExponentialUpdate
    access: Ohms

    @classmethod
    def of(cls, device: Device, access: float) -> Device:
        """A device behind a resistance of `access` ohms; itself behind none."""
        if not access:
            return device
        assert isinstance(device.update, ExponentialUpdate)
        low, high = (g / (1 + g * access) for g in (device.window.g_min, device.window.g_max))
        return device.replace(window=Window(g_min=low, g_max=high), update=cls(cell=device.update, access=access))

    def pulse(self, g: Array, n: Array, window: Limits, rng: Any, variation: Array | None = None) -> Array:
        """The cell alone takes the pulses, in its own window; few cells are pulsed at once."""
        pulsed, after = n != 0, np.array(g)
        here = (np.broadcast_to(a, g.shape)[pulsed] for a in (g, window.g_min, window.g_max))
        alone, *ends = (a / (1 - a * self.access) for a in here)
        own = None if variation is None else variation[:, pulsed]
        moved = self.cell.pulse(alone, n[pulsed], CellLimits(*ends), rng, own)
        after[pulsed] = moved / (1 + moved * self.access)
        return after

    def step(self, window: Limits) -> Array:
        """Share of the window that a pulse of the cell crosses of its own."""
        return self.cell.step(window)


@dataclass
class Perceptron:
    """Two layers of cells as they are trained: a state, changed sample by sample.

    Attributes:
        window: of cells without access transistors, by which weights are known where errors go back.
    """

    layers: list[AnalogMatrix]
    rates: list[float]
    streams: Streams
    rule: PulseCount
    window: Window

    @classmethod
    def made(
        cls, of: Device, net: Network, *, v3: bool, seed: int, access: float = 0.0, faster: float = 1.0
    ) -> Perceptron:
        """A network on cells, its ADCs with the range of all rows at full conductance (V3: at a full window).

        `access`: ohms in series with every cell, which the ADCs do not reckon with. `faster`: times the rates.
        """
        seen = BehindAccess.of(of, access)
        scheme: WeightScheme = OffsetColumn() if v3 else TopColumn.of(seen.window, of.window.g_max)
        tile, inputs = (SIZES[0], SIZES[1] + 1), DAC(bits=1, range=(0.0, 1.0))
        spec = ChipSpec(device=seen, tile=tile, weights=scheme, dac=inputs, v_read=V_READ)
        full = V_READ * (of.window.span if v3 else of.window.g_max) * 256 / FINE
        layers = []
        for matrix in (m.copies[0] for m in program(net, spec, seed=seed).matrices):
            layers.append(matrix.with_adc(_endless(full * matrix.shape[0], of.window.g_max / of.window.span)))
        assert isinstance(of.update, ExponentialUpdate)
        rule = PulseCount(states=(of.update.pulses_up, of.update.pulses_down))
        change = faster * scheme.cell_worth() / 2  # so that pulses are changes over the window
        rates = [rate * change for rate in RATES]
        return cls(layers, rates, Streams(seed).at("perceptron"), rule, of.window)

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Hidden and output values; the second layer is given one bit of the hidden ones, 1 for a net input of 0."""
        draws = Draws(self.streams.at("read"), x)
        hidden = Sigmoid().forward(self._net_input(0, x, draws))
        fired = (hidden > FIRED).astype(np.float32)
        return hidden, Sigmoid().forward(self._net_input(1, fired, draws))

    def _net_input(self, i: int, x: np.ndarray, draws: Draws) -> np.ndarray:
        """Codes as sums; a column at half its current loses the last bit of the code's column, put back here."""
        layer = self.layers[i]
        net = layer.matmul(x, draws)
        if self._doubled:
            rows = layer.shape[0]
            return np.asarray(net - np.floor(x.sum(axis=1, keepdims=True) * FINE / rows) % 2 * (rows / 255))
        return np.asarray(net / 2)

    @property
    def _doubled(self) -> bool:
        """Whether the code of a column counts twice, as in V1 and V2."""
        return isinstance(self.layers[0].design.scheme, TopColumn)

    def accuracy(self, x: np.ndarray, y: np.ndarray) -> float:
        """Percent."""
        return float(100 * np.mean(self.forward(x)[1].argmax(axis=1) == y))

    def learn(self, x: np.ndarray, y: np.ndarray, start: int) -> None:
        """Sample by sample: squared error of the outputs; the updates take the real hidden values."""
        pulsers, k = [Pulser(layer, in_place=True) for layer in self.layers], 0
        found = tuple(np.empty(n) for n in (SIZES[1], *SIZES[1:]))
        hidden, before, error = found
        while k < len(x):
            read, asked = self.read_until_due(x[k:], y[k:], found)
            k += read
            for i, (inside, out) in enumerate(((x[k - 1], before), (hidden, error))):
                if asked[i] >= 0.5:
                    here = self.streams.at(start + k - 1, i)
                    step = Step(self.layers[i], inside[None], out[None], self.rates[i], here, pulser=pulsers[i])
                    self.layers[i], _ = self.rule.update(step)

    def read_until_due(
        self, x: np.ndarray, y: np.ndarray, found: tuple[np.ndarray, ...]
    ) -> tuple[int, tuple[float, float]]:
        """How many samples were read, to the first that needs pulses, and what it asks of either layer, in pulses.

        `found`: its hidden values, the errors before their sigmoids and those before the outputs', overwritten. Errors
        go back by weights as shares of the window, whatever the read-out makes of them.
        """
        from cimsim.published.synapse_loops import read_until_due

        tiles, low = [layer.tiles[0, 0] for layer in self.layers], self.window.g_min
        full, gain = (self.window.g_max, 2) if self._doubled else (self.window.span, 1)
        signals = tuple((tile.signals, FINE / full / len(tile.signals)) for tile in tiles)
        shares = np.clip(tiles[1].cells.g[0, :, :-1] - low, 0, self.window.span) * (2 / self.window.span) - 1
        read, asked = read_until_due(x, y, signals, gain, shares, self._units(), FIRED, found)
        return read, asked

    def _units(self) -> tuple[float, ...]:
        """Of both layers, pulses that an input of 1 and a gradient of 1 ask for, in the direction that takes more."""
        assert self.rule.states is not None
        worth = self.layers[0].design.scheme.cell_worth()
        return tuple(rate * max(self.rule.states) / worth for rate in self.rates)


def _endless(full: float, most: float) -> ADC:
    """Codes of `ADC_BITS` bits for currents up to `full` amperes, and as wide ones beyond, to `most` times as much."""
    beyond = max(0, int(np.ceil(np.log2(most))))
    return ADC(bits=ADC_BITS + beyond, range=(0.0, full * 2**beyond))
