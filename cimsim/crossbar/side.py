"""Side: one direction of reading the tiles of a matrix, with the converters of the lines driven and sensed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from cimsim.crossbar.converters import DAC, AdcBank, AnyADC, InputScale, LineErrors
from cimsim.crossbar.converters.dac import passes
from cimsim.crossbar.draws import Rows
from cimsim.crossbar.mapping import Reading, Transposed
from cimsim.crossbar.tile import Place, Tiles
from device_models.device import Device
from device_models.errors import InputError
from device_models.streams import Streams
from device_models.window import Array

UNMADE = LineErrors(np.zeros(0), np.zeros(0))


@dataclass(frozen=True)
class Side:
    """One direction of reading: a value. What it reads, the tiles, is given at each call.

    Attributes:
        reading: which currents are added, and what they are worth.
        device: the kind of cell.
        v_read: volts on a line for an input of full scale.
        unit: the output that 1 A stands for when inputs of 1 have full scale.
        dac, adc: design of the converters; None is ideal.
        driven, sensed: the cuts of inputs and outputs into tiles.
        row_errors: fabricated errors of each driven line's DAC.
        column_errors: fabricated errors of each tile's ADCs, one per sensed line and signal.
        inputs: full scale of the inputs, or None before calibration.
        banks: the ADCs by place, or None before calibration.
        zero: what inputs of 0 give, `(outputs,)`, where the DAC adds half its range; else None.
        raw: whether tiles take the volts on their lines, and not what ohmic cells would feel of them.
    """

    reading: Reading
    device: Device
    v_read: float
    unit: float
    dac: DAC | None
    adc: AnyADC | None
    driven: tuple[slice, ...]
    sensed: tuple[slice, ...]
    row_errors: LineErrors = UNMADE
    column_errors: dict[Place, LineErrors] = field(default_factory=dict)
    inputs: InputScale | None = None
    banks: dict[Place, AdcBank] | None = None
    zero: Array | None = None
    raw: bool = False

    @property
    def turns(self) -> int:
        """Passes that one input takes; before calibration, for inputs of 0 and more."""
        return 1 if self.dac is None else self.dac.turns(self.inputs or InputScale(1.0, signed=False))

    def fabricated(self, lines: Mapping[Place, int], streams: Streams, name: str = "") -> Side:
        """The side with the errors of its converters drawn; `name` sets its draws apart.

        `lines` is the number of lines that each tile's ADCs serve, those of every signal.
        """
        errors = {p: LineErrors.draw(n, streams.at("tile", *p), f"{name}adc") for p, n in lines.items()}
        rows = LineErrors.draw(self.driven[-1].stop, streams, f"{name}dac")
        return replace(self, row_errors=rows, column_errors=errors, inputs=self.given_inputs)

    def currents(self, tiles: Tiles, x: Array, rows: Rows) -> Iterator[tuple[Place, Array]]:
        """Place and currents in amperes of every tile before any ADC, `(passes * batch, signals * lines)`."""
        drives = [v for v, _ in self.drives(x, self.scale(converting=False), rows)]
        for place, tile in tiles.items():
            noise, here = rows.noise("read", *place), [self.at_tile(v, place[0]) for v in drives]
            if self.reading.driven_reference:
                here.append(self.reference_drive(here[0]))
            yield place, np.concatenate([tile.current(v, noise, turn) for turn, v in enumerate(here)])

    def scale(self, *, converting: bool = True) -> InputScale:
        """The input scale, once it is known that every converter has its range."""
        if converting and self.adc is not None and self.banks is None:
            raise self._uncalibrated("ADC", "has no range yet (uncalibrated) and does not convert")
        if self.inputs is not None:
            return self.inputs
        if self.dac is not None:
            raise self._uncalibrated("DAC", "has no range yet (uncalibrated) and does not convert")
        if self.adc is not None or not self.device.ohmic:
            raise self._uncalibrated("inputs", "have no full scale yet (uncalibrated)")
        return InputScale(1.0, signed=True)

    def _uncalibrated(self, part: str, rule: str) -> InputError:
        if isinstance(self.reading, Transposed):
            return InputError(f"back {part}", rule, "", "call chip.calibrate_back(layer, e) with some errors")
        remedy = "pass calibrate=x to program, or call chip.calibrate(x), with some training inputs, or give a range"
        return InputError(part, rule, "", remedy)

    def moved(self, move: Callable[[Array], Array]) -> Side:
        """The side with every array passed through `move` (to another back end)."""
        return replace(
            self,
            row_errors=self.row_errors.moved(move),
            column_errors={p: e.moved(move) for p, e in self.column_errors.items()},
            banks=None if self.banks is None else {p: bank.moved(move) for p, bank in self.banks.items()},
            zero=None if self.zero is None else move(self.zero),
        )

    def drives(self, x: Array, scale: InputScale, rows: Rows | None) -> Iterator[tuple[Array, float]]:
        """Volts of all driven lines, as ohmic cells would feel them unless `raw`, and their worth, pass by pass."""
        noise = None if rows is None else rows.noise("dac")
        x = x.astype(np.float32, copy=False)
        for volts, worth in passes(self.dac, x, scale, self.v_read, self.row_errors, noise):
            if self.raw:
                yield volts, worth
            elif self.dac is None:
                yield self.device.drive(volts), worth
            else:
                yield self.dac.ohmic_volts(volts, self.device, self.v_read), worth

    def at_tile(self, v: Array, r: int) -> Array:
        """What drives the tiles at one cut of the inputs; a reference line is at rest meanwhile."""
        here = v[:, self.driven[r]]
        return np.concatenate([here, np.zeros_like(here[:, :1])], axis=1) if self.reading.driven_reference else here

    def reference_drive(self, like: Array) -> Array:
        """Full scale on the reference line, nothing on the others, as ohmic cells would feel it."""
        v = np.zeros_like(like)
        v[:, -1] = float(self.device.drive(np.asarray(self.v_read)))
        return v

    @property
    def given_inputs(self) -> InputScale | None:
        """The scale of inputs that the DAC's own range gives."""
        return None if self.dac is None or self.dac.range is None else InputScale.of(*self.dac.range)
