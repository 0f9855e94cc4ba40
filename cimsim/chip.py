"""ChipSpec: what was designed. Chip: what was made, a network's layers on tiles of programmed cells."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Self

import numpy as np
from pydantic import Field, field_validator, model_validator

from cimsim.backend import Backend, to_device, to_host
from cimsim.crossbar.converters import ADC, DAC
from cimsim.crossbar.draws import Draws
from cimsim.crossbar.mapping import DifferentialPair, WeightScheme
from cimsim.crossbar.matrix import AnalogMatrix, Design
from cimsim.crossbar.wires import Wires
from cimsim.kernels.parts import in_parts
from cimsim.network.network import Network, check_inputs
from cimsim.report import ChipReport, LayerReport
from device_models import cards
from device_models.device import SLOTS, Device
from device_models.errors import InputError
from device_models.parameters import IntPair, Parameters, RuleBroken, Volts
from device_models.streams import Streams
from device_models.window import Array

CHUNK = 1024  # samples per pass: the currents of a tile stay in the cache, and memory is flat in the batch


class ChipSpec(Parameters):
    """The design of a chip; `None` for a converter or the wires is ideal.

    Attributes:
        device: the memristive cell, or the name or path of its card.
        tile: word lines and bit lines of one array.
        weights: how signed weights become conductances.
        dac, adc: converters of the word lines and bit lines.
        wires: resistance of the word and bit lines.
        v_read: word-line voltage of a full-scale input, volts.
    """

    device: Device
    tile: IntPair = (128, 128)
    weights: WeightScheme = DifferentialPair()
    dac: DAC | None = None
    adc: ADC | None = None
    wires: Wires | None = None
    v_read: Volts = Field(default=0.2, gt=0)

    @field_validator("device", mode="before")
    @classmethod
    def _by_name(cls, value: Any) -> Any:
        return cards.load(value) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _fits(self) -> Self:
        least = (1, 2) if self.weights.data_columns(1) < 1 else (1, 1)
        if self.tile[0] < least[0] or self.tile[1] < least[1]:
            raise RuleBroken(f"tile must have at least {least} (rows, columns)", "choose a larger one", str(self.tile))
        self.weights.check(self.device.window)
        if not self.device.ohmic and self.wires is not None and not self.wires.ideal:
            rule = "a nonlinear I-V law and wire resistance cannot be combined yet"
            raise RuleBroken(rule, "drop the wires or the conduction slot", type(self.device.conduction).__name__)
        return self

    def design(self) -> Design:
        """What the tiles of every layer share."""
        wires = None if self.wires is None or self.wires.ideal else self.wires
        return Design(self.device, self.tile, self.weights, self.dac, self.adc, wires, self.v_read)


@dataclass(frozen=True, eq=False, repr=False)
class Chip:
    """A programmed chip: a value. `age`, `calibrate`, `with_adc`, `to` return new ones that share what did not change.

    Attributes:
        network: the float network that was programmed; its biases and activations are computed digitally.
        spec: the design.
        matrices: one analogue matrix per weighted layer.
        reference: the inputs the converters were calibrated on, or None.
        seed: the seed of fabrication and programming.
        seconds: time since programming.
    """

    network: Network
    spec: ChipSpec
    matrices: tuple[AnalogMatrix, ...]
    reference: np.ndarray | None
    seed: int
    seconds: float = 0.0

    def __repr__(self) -> str:
        sizes = ", ".join(f"{m.shape[0]} x {m.shape[1]} on {len(m.tiles)} tiles" for m in self.matrices)
        return f"Chip({self.spec.device.name}: {sizes}; seed {self.seed}, {self.seconds:g} s old)"

    @property
    def n_in(self) -> int:
        """Features per sample."""
        return self.network.n_in

    @property
    def n_out(self) -> int:
        """Classes."""
        return self.network.n_out

    def forward(self, x: Array, *, seed: int = 0) -> Array:
        """Logits `(batch, n_out)` of `x` `(batch, n_in)`; `seed` fixes what the reads draw."""
        x = self._beside(check_inputs(x, self.n_in))

        def part(start: int, stop: int) -> Array:
            return self.network.forward(x[start:stop], self.products(seed, start))

        return in_parts(part, x, CHUNK)

    def predict(self, x: Array, seed: int = 0) -> np.ndarray:
        """Labels `(batch,)` int64 of `x`, on the host."""
        return to_host(np.argmax(self.forward(x, seed=seed), axis=1))

    def matmul(self, layer: int, x: Array, *, seed: int = 0) -> Array:
        """The analogue product `x @ weight` of one layer, `(batch, rows)` to `(batch, columns)`, bias not added."""
        matrix = self.matrices[self.index(layer)]
        return matrix.matmul(self._beside(check_inputs(x, matrix.shape[0])), self._draws(seed, layer))

    def products(self, seed: int = 0, row: int = 0) -> list[Callable[[Array], Array]]:
        """One analogue product per weighted layer, for `Network.forward` and `gradients`.

        Their noise goes on from call to call. `row` is the number of the first sample: on the CPU a sample's noise is
        fixed by the seed and its number, however a batch is cut into parts.
        """
        draws = [self._draws(seed, k, "run", row) for k in range(len(self.matrices))]
        return [partial(matrix.matmul, draws=d) for matrix, d in zip(self.matrices, draws, strict=True)]

    def calibrate(self, x: Array, *, seed: int = 0) -> Chip:
        """The chip with converter ranges measured while it runs `x`, layer by layer, read noise included."""
        x = self._beside(check_inputs(x, self.n_in))
        measured: list[AnalogMatrix] = []

        def product(v: Array, k: int) -> Array:
            draws = self._draws(seed, k, "calibrate")
            measured.append(self.matrices[k].calibrated(v, draws))
            return measured[k].matmul(v, draws)

        self.network.forward(x, [partial(product, k=k) for k in range(len(self.matrices))])
        return replace(self, matrices=tuple(measured), reference=to_host(x))

    def age(self, seconds: float) -> Chip:
        """The chip `seconds` later, cells drifted, converter ranges as they were calibrated."""
        matrices = tuple(m.aged(seconds) for m in self.matrices)
        return replace(self, matrices=matrices, seconds=self.seconds + seconds)

    def with_adc(self, adc: ADC | None) -> Chip:
        """The same cells behind another ADC, calibrated on the same inputs as before."""
        spec = self.spec.replace(adc=adc)
        chip = replace(self, spec=spec, matrices=tuple(m.with_adc(adc) for m in self.matrices))
        return chip if self.reference is None else chip.calibrate(self.reference, seed=self.seed)

    def with_matrices(self, matrices: Sequence[AnalogMatrix]) -> Chip:
        """The chip after its cells changed."""
        return replace(self, matrices=tuple(matrices))

    def to(self, backend: Backend) -> Chip:
        """The same chip with its arrays on "numpy" or "cupy"."""
        move = partial(to_device, backend=backend)
        return replace(self, network=self.network.to(backend), matrices=tuple(m.moved(move) for m in self.matrices))

    def held_network(self) -> Network:
        """The float network with the weights the cells hold now: wires and drift in, read noise and converters out."""
        pairs = [
            (m.weights().astype(np.float32), a.bias) for m, a in zip(self.matrices, self.network.weighted, strict=True)
        ]
        return self.network.with_weights(pairs)

    def report(self, x: Array | None = None, *, seed: int = 0) -> ChipReport:
        """What is on, what was written, and how much the ADCs clip on `x` (default: the calibration inputs)."""
        x = self.reference if x is None else check_inputs(x, self.n_in)
        unknown = 0.0 if self.spec.adc is None else np.nan
        clipping = [unknown] * len(self.matrices) if x is None else self._clipping(self._beside(x), seed)
        rows = []
        for k, (matrix, layer) in enumerate(zip(self.matrices, self.network.weighted, strict=True)):
            error = to_host(matrix.weights()) - to_host(layer.weight)
            rms = float(np.sqrt(np.mean(error**2))) / matrix.weight_scale
            rows.append(LayerReport(k, *matrix.shape, len(matrix.tiles), *matrix.write[:4], rms, clipping[k]))
        return ChipReport(self._effects(), self.seconds, tuple(rows))

    def index(self, layer: int) -> int:
        """The index of a weighted layer, negative ones counted from the last."""
        n = len(self.matrices)
        if isinstance(layer, bool) or not isinstance(layer, int | np.integer) or not -n <= layer < n:
            raise InputError("layer", f"must be an integer from {-n} to {n - 1}", layer, f"the chip has {n} layers")
        return int(layer) % n

    def _clipping(self, x: Array, seed: int) -> list[float]:
        given, _ = self.network.activations(x, self.products(seed))
        return [m.clipping(v, self._draws(seed, k)) for k, (m, v) in enumerate(zip(self.matrices, given, strict=True))]

    def _draws(self, seed: int, layer: int, role: str = "run", row: int = 0) -> Draws:
        k = self.index(layer)
        return Draws(Streams(seed).at(role, "layer", k), self.matrices[k].tiles[0, 0].signals, row)

    def _beside(self, x: Array) -> Array:
        return self.matrices[0].tiles[0, 0].beside(x)

    def _effects(self) -> dict[str, str]:
        """Each slot and part of the chip, and what is in it."""
        parts = {slot: getattr(self.spec.device, slot) for slot in SLOTS}
        parts |= {"dac": self.spec.dac, "adc": self.spec.adc, "wires": self.spec.wires}
        described = {k: "off" if v is None else _described(v) for k, v in parts.items()}
        return {"weights": _described(self.spec.weights)} | described


def program(network: Network, spec: ChipSpec, *, calibrate: Array | None = None, seed: int = 0) -> Chip:
    """Fabricate a chip, map the network's weights to it, write and verify them, and calibrate its converters.

    Args:
        network: a float network; every weighted layer gets an analogue matrix.
        spec: the design of the chip.
        calibrate: inputs `(n, n_in)` on which converter ranges are measured; None leaves the converters uncalibrated.
        seed: fixes fabrication, writing and the reads of the calibration; one seed, one die.
    """
    if calibrate is not None:
        calibrate = check_inputs(calibrate, network.n_in)
    design, streams = spec.design(), Streams(seed).at("chip")
    weights = [to_host(w) for w in network.weights]
    made = [AnalogMatrix.program(w, design, streams.at("layer", k)) for k, w in enumerate(weights)]
    chip = Chip(network.to("numpy"), spec, tuple(made), None, seed)
    return chip if calibrate is None else chip.calibrate(calibrate, seed=seed)


def _described(part: Parameters) -> str:
    shown = ", ".join(f"{k}={v!r}" for k, v in part if v is not None)
    return f"{type(part).__name__}({shown})"
