"""ChipSpec: what was designed. Chip: what was made, a network's layers on tiles of programmed cells."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, Self

import numpy as np
from pydantic import Field, field_validator, model_validator

from cimsim.backend import Backend, to_device, to_host, to_library_of
from cimsim.crossbar.converters import DAC, AnyADC
from cimsim.crossbar.converters.adc import ADCChoice
from cimsim.crossbar.converters.lines import LineErrors
from cimsim.crossbar.draws import Draws
from cimsim.crossbar.integrate import Integrate
from cimsim.crossbar.mapping import DifferentialPair, WeightScheme
from cimsim.crossbar.matrix import AnalogMatrix, Design
from cimsim.crossbar.replicas import Replicas, check_copies
from cimsim.crossbar.wires import Wires
from cimsim.kernels.parts import in_parts
from cimsim.network.layers import Product, Weighted
from cimsim.network.network import LayerPass, Network, check_inputs, joined
from cimsim.report import ChipReport, LayerReport, write_counts
from device_models import cards
from device_models.device import SLOTS, Device
from device_models.errors import InputError, check_type, renamed
from device_models.parameters import IntPair, Parameters, RuleBroken, Volts
from device_models.streams import Streams
from device_models.window import Array

AnyMatrix = AnalogMatrix | Replicas
CHUNK = 1024  # samples per pass at most: the currents of a tile stay in the cache, and memory is flat in the batch
CALIBRATION_READS = 2**15  # about as many reads of a layer are enough to find its ranges
CALIBRATION_ROUNDS = 3  # of a layer that feeds back on itself: exact spikes first, then the chip's own


class ChipSpec(Parameters):
    """The design of a chip; `None` for a converter or the wires is ideal.

    Attributes:
        device: the memristive cell, or the name or path of its card.
        tile: word lines and bit lines of one array.
        weights: how signed weights become conductances.
        dac, adc: converters of the word lines and bit lines.
        back_dac, back_adc: those of the transposed read, which drives the bit lines and senses the word lines.
        wires: resistance of the word and bit lines.
        v_read: word-line voltage of a full-scale input, volts.
        tiles: tiles on the chip; None takes as many as are needed.
        neurons: neuron circuits that take the bit-line currents directly, in place of ADCs.
        weight_range: the weight that spans the window in every layer, beyond which weights are cut; None takes each
            layer's largest. Training on the chip from the start needs room.
    """

    device: Device
    tile: IntPair = (128, 128)
    weights: WeightScheme = DifferentialPair()
    dac: DAC | None = None
    adc: ADCChoice | None = None
    back_dac: DAC | None = None
    back_adc: ADCChoice | None = None
    wires: Wires | None = None
    v_read: Volts = Field(default=0.2, gt=0)
    tiles: int | None = Field(default=None, ge=1)
    neurons: Integrate | None = None
    weight_range: float | None = Field(default=None, gt=0, le=1e6)

    @field_validator("device", mode="before")
    @classmethod
    def _by_name(cls, value: Any) -> Any:
        return cards.load(value) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _fits(self) -> Self:
        least = (1, 2) if self.weights.data_columns(1) < 1 else (1, 1)
        if self.tile[0] < least[0] or self.tile[1] < least[1]:
            raise RuleBroken(f"tile must have at least {least} (rows, columns)", "choose a larger one", str(self.tile))
        if self.adc is not None and self.neurons is not None:
            raise RuleBroken("neurons take the bit-line currents in place of an adc", "drop one of the two", "both")
        self.weights.check(self.device.window)
        self.device.check_read(self.v_read)
        if not self.device.ohmic and self.wires is not None and not self.wires.ideal:
            self._check_nonlinear()
        return self

    def _check_nonlinear(self) -> None:
        """What a nonlinear I-V law and wires, solved together for every input, do not go with."""
        law = type(self.device.conduction).__name__
        if self.dac is not None and self.dac.encoding == "pulse-width":
            rule = "pulse widths cannot be combined with both a nonlinear I-V law and wires: pulses end one by one"
            raise RuleBroken(rule, "drive voltages, or drop the wires or the conduction slot", law)
        if self.back_dac is not None or self.back_adc is not None:
            rule = "a transposed read cannot be combined with both a nonlinear I-V law and wires"
            raise RuleBroken(rule, "drop back_dac and back_adc, the wires or the conduction slot", law)

    def design(self) -> Design:
        """What the tiles of every layer share."""
        wires = None if self.wires is None or self.wires.ideal else self.wires
        back = (self.back_dac, self.back_adc)
        read = (self.dac, self.adc, wires, self.v_read, *back)
        return Design(self.device, self.tile, self.weights, *read, self.weight_range)


@dataclass(frozen=True, eq=False, repr=False)
class Chip:
    """A programmed chip: a value. `age`, `calibrate`, `with_adc`, `to` return new ones that share what did not change.

    Attributes:
        network: the float network that was programmed; biases, activations, pools and norms are computed digitally.
        spec: the design.
        matrices: one analogue matrix per weighted layer, or several copies of it.
        reference: the inputs the converters were calibrated on, or None.
        seed: the seed of fabrication and programming.
        seconds: time since programming.
    """

    network: Network
    spec: ChipSpec
    matrices: tuple[AnyMatrix, ...]
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
        x = self._beside(self.network.check(x))

        def part(start: int, stop: int) -> Array:
            return self.network.forward(x[start:stop], self.products(seed, start), seed=seed, row=start)

        return in_parts(part, x, min(CHUNK, self.network.part))

    def trace(self, x: Array, *, seed: int = 0, row: int = 0) -> list[LayerPass]:
        """Every layer in turn with what it was given and what it gave; `row` is the number of the first sample."""
        x = self._beside(self.network.check(x))
        return self.network.trace(x, self.products(seed, row), seed=seed, row=row)

    def predict(self, x: Array, seed: int = 0) -> np.ndarray:
        """Labels `(batch,)` int64 of `x`, on the host."""
        return to_host(np.argmax(self.forward(x, seed=seed), axis=1))

    def matmul(self, layer: int, x: Array, *, seed: int = 0) -> Array:
        """The analogue product `x @ weight` of one layer, `(batch, rows)` to `(batch, columns)`, bias not added."""
        matrix = self.matrices[self.index(layer)]
        return matrix.matmul(self._beside(check_inputs(x, matrix.shape[0])), self._draws(seed, layer))

    def rmatmul(self, layer: int, e: Array, *, seed: int = 0) -> Array:
        """The transposed product `e @ weight.T` of one layer, `(batch, columns)` to `(batch, rows)`, read backwards.

        The bit lines are driven and the word lines sensed, through the same cells and wires and `back_dac`, `back_adc`.
        """
        matrix = self.matrices[self.index(layer)]
        return matrix.rmatmul(self._beside(check_inputs(e, matrix.shape[1])), self._draws(seed, layer, "back"))

    def calibrate_back(self, layer: int, e: Array, *, seed: int = 0) -> Chip:
        """The chip with the ranges of one layer's transposed read measured while it sees `e` `(batch, columns)`."""
        k, matrices = self.index(layer), list(self.matrices)
        given = self._beside(check_inputs(e, matrices[k].shape[1]))
        matrices[k] = matrices[k].calibrated_back(given, self._draws(seed, k, "calibrate back"))
        return self.with_matrices(matrices)

    def products(self, seed: int = 0, row: int = 0) -> list[Callable[[Array], Array]]:
        """One analogue product per weighted layer, for `Network.forward` and `gradients`.

        Their noise goes on from call to call. `row` is the number of the first sample: on the CPU a sample's noise is
        fixed by the seed and its number, however a batch is cut into parts.
        """
        rows = [row * reads for reads in self.network.reads_per_call]
        calls = [layer.calls for layer in self.network.weighted]
        draws = [self._draws(seed, k, "run", *of) for k, of in enumerate(zip(rows, calls, strict=True))]
        return [self.sensed(k, matrix, d) for k, (matrix, d) in enumerate(zip(self.matrices, draws, strict=True))]

    def calibrate(self, x: Array, *, seed: int = 0) -> Chip:
        """The chip with converter ranges measured while it runs `x`, layer by layer, read noise included.

        Of a convolution's reads about `CALIBRATION_READS` serve, drawn at random. A layer that sees its own spikes is
        measured again, as often as `CALIBRATION_ROUNDS` says, with those it gave by the ranges of the time before.
        """
        reference = self._beside(self.network.check(x))
        x, measured = self.network.entered(reference, seed), list[AnyMatrix]()
        for layer in self.network.layers:
            if isinstance(layer, Weighted):
                matrix, x = self._calibrated(len(measured), layer, x, seed)
                measured.append(matrix)
            else:
                x = layer.forward(x)
        return replace(self, matrices=tuple(measured), reference=to_host(reference))

    def _calibrated(self, k: int, layer: Weighted, x: Array, seed: int) -> tuple[AnyMatrix, Array]:
        """The matrix of a layer with ranges measured while it runs `x`, and what the layer then gives."""
        draws, picked = self._draws(seed, k, "calibrate"), Streams(seed).at("calibrate", "layer", k)
        matrix, y = self.matrices[k], None
        for _ in range(CALIBRATION_ROUNDS if layer.calls > 1 else 1):
            matrix = matrix.calibrated(_some_vectors(layer, x, y, picked), draws)
            y = layer.forward(x, self.sensed(k, matrix, draws))
        return matrix, y

    def age(self, seconds: float) -> Chip:
        """The chip `seconds` later, cells drifted, converter ranges as they were calibrated."""
        matrices = tuple(m.aged(seconds) for m in self.matrices)
        return replace(self, matrices=matrices, seconds=self.seconds + seconds)

    def with_adc(self, adc: AnyADC | None) -> Chip:
        """The same cells behind another ADC, calibrated on the same inputs as before."""
        spec = self.spec.replace(adc=adc)
        chip = replace(self, spec=spec, matrices=tuple(m.with_adc(adc) for m in self.matrices))
        return chip if self.reference is None else chip.calibrate(self.reference, seed=self.seed)

    def with_matrices(self, matrices: Sequence[AnyMatrix]) -> Chip:
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
        x = self.reference if x is None else self.network.check(x)
        unknown = 0.0 if self.spec.adc is None else np.nan
        clipping = [unknown] * len(self.matrices) if x is None else self._clipping(self._beside(x), seed)
        rows = []
        for k, (matrix, layer) in enumerate(zip(self.matrices, self.network.weighted, strict=True)):
            error = to_host(matrix.weights()) - to_host(layer.weight)
            rms = float(np.sqrt(np.mean(error**2))) / matrix.weight_scale
            written = {"weight_error": rms, "adc_clipping": clipping[k], **write_counts(matrix.write)}
            rows.append(LayerReport(layer=k, **_used(matrix, layer, self.network.reads_per_call[k]), **written))
        return ChipReport(self._effects(), self.seconds, tuple(rows))

    def index(self, layer: int) -> int:
        """The index of a weighted layer, negative ones counted from the last."""
        return layer_index(layer, len(self.matrices))

    def _clipping(self, x: Array, seed: int) -> list[float]:
        counts: list[list[tuple[int, float]]] = [[] for _ in self.matrices]

        def counted(k: int, run: Product) -> Product:
            draws = self._draws(seed, k)

            def product(v: Array) -> Array:
                counts[k].append((len(v), self.matrices[k].clipping(v, draws)))
                return run(v)

            return product

        self.network.forward(x, [counted(k, run) for k, run in enumerate(self.products(seed))])
        return [sum(n * share for n, share in parts) / sum(n for n, _ in parts) for parts in counts]

    def sensed(self, k: int, matrix: AnyMatrix, draws: Draws) -> Product:
        """The product of a layer as what stands behind its bit lines takes it."""
        product: Product = partial(matrix.matmul, draws=draws)
        if self.spec.neurons is None:
            return product
        side = matrix.copies[0].forward
        errors = LineErrors.draw(matrix.shape[1], Streams(self.seed).at("chip", "layer", k), "neurons")
        return self.spec.neurons.behind(product, side.unit * side.scale().full, errors)

    def _draws(self, seed: int, layer: int, role: str = "run", row: int = 0, calls: int = 1) -> Draws:
        k = self.index(layer)
        return Draws(Streams(seed).at(role, "layer", k), self.matrices[k].tiles[0, 0].signals, row, calls)

    def _beside(self, x: Array) -> Array:
        return self.matrices[0].tiles[0, 0].beside(x)

    def _effects(self) -> dict[str, str]:
        """Each slot and part of the chip, and what is in it."""
        parts = {slot: getattr(self.spec.device, slot) for slot in SLOTS}
        parts |= {
            "half_select": self.spec.device.half_select,
            "dac": self.spec.dac,
            "adc": self.spec.adc,
            "wires": self.spec.wires,
        }
        parts |= {
            name: part for name in ("back_dac", "back_adc", "neurons") if (part := getattr(self.spec, name)) is not None
        }
        described = {k: "off" if v is None else _described(v) for k, v in parts.items()}
        return {"weights": _described(self.spec.weights)} | described


def program(
    network: Network,
    spec: ChipSpec,
    *,
    calibrate: Array | None = None,
    seed: int = 0,
    replicas: int | Mapping[int, int] = 1,
    spread: Literal["reads", "images"] = "reads",
) -> Chip:
    """Fabricate a chip, map the network's weights to it, write and verify them, and calibrate its converters.

    Args:
        network: a float network; every weighted layer gets an analogue matrix.
        spec: the design of the chip.
        calibrate: inputs `(n, n_in)` on which converter ranges are measured; None takes those that the network was
            trained with, or else leaves the converters uncalibrated.
        seed: fixes fabrication, writing and the reads of the calibration; one seed, one die.
        replicas: copies of every layer, or of each layer by its index (-1 the last, 1 where none is given). Each is
            written to tiles and devices of its own, the first as it would be without the others.
        spread: how a layer's reads are dealt out to its copies: one by one, or all of an image to one copy.

    Raises:
        InputError: more tiles needed than the chip has, a layer that does not exist, or inputs of another shape.
    """
    check_type("network", network, Network, "build one with cim.mlp, cim.cnn or cim.snn, or load one")
    check_type("spec", spec, ChipSpec, "write cim.ChipSpec(device=...), say")
    with renamed(x="calibrate", layer="replicas"):
        calibrate = None if calibrate is None else network.check(calibrate)
        copies = _copies(replicas, len(network.weighted))
    if spread not in ("reads", "images"):
        raise InputError("spread", "must be 'reads' or 'images'", spread, "deal out read by read, or image by image")
    design, streams = spec.design(), Streams(seed).at("chip")
    _check_tiles(network, spec, design, copies)
    made: list[AnyMatrix] = []
    for k, (layer, n) in enumerate(zip(network.weighted, copies, strict=True)):
        w, place = to_host(layer.weight), streams.at("layer", k)
        run = network.reads_per_call[k] if spread == "images" else 1
        made.append(AnalogMatrix.program(w, design, place) if n == 1 else Replicas.program(w, design, place, n, run))
    if calibrate is None and network.ranges is not None:
        made = [matrix.with_ranges(*ranges) for matrix, ranges in zip(made, network.ranges, strict=True)]
    chip = Chip(network.to("numpy"), spec, tuple(made), None, seed)
    return chip if calibrate is None else chip.calibrate(calibrate, seed=seed)


def layer_index(layer: int, layers: int) -> int:
    """The index of a weighted layer, negative ones counted from the last. Raises `InputError` if there is none."""
    if isinstance(layer, bool) or not isinstance(layer, int | np.integer) or not -layers <= layer < layers:
        rule = f"must be an integer from {-layers} to {layers - 1}"
        raise InputError("layer", rule, layer, f"the chip has {layers} layers")
    return int(layer) % layers


def _copies(replicas: int | Mapping[int, int], layers: int) -> list[int]:
    """Copies of each layer."""
    given = replicas if isinstance(replicas, Mapping) else dict.fromkeys(range(layers), replicas)
    copies = [1] * layers
    for layer, n in given.items():
        check_copies(n)
        copies[layer_index(layer, layers)] = int(n)
    return copies


def _check_tiles(network: Network, spec: ChipSpec, design: Design, copies: Sequence[int]) -> None:
    """Raise `InputError` where the layers and their copies need more tiles than the chip has."""
    needed = [n * design.tiles(layer.weight.shape) for n, layer in zip(copies, network.weighted, strict=True)]
    if spec.tiles is not None and sum(needed) > spec.tiles:
        rule = f"must hold the {sum(needed)} tiles that the layers need ({', '.join(map(str, needed))})"
        raise InputError("ChipSpec.tiles", rule, spec.tiles, "take fewer replicas, or larger tiles")


def _used(matrix: AnyMatrix, layer: Weighted, reads: int) -> dict[str, Any]:
    """Fields of `LayerReport`: size, and cycles per sample. Copies share the `reads` of a call; calls wait in turn."""
    tiles = [tile for copy in matrix.copies for tile in copy.tiles.values()]
    rows, columns = matrix.design.tile
    cells = sum(tile.cells.shape[1] * tile.cells.shape[2] for tile in tiles)
    return {
        "inputs": matrix.shape[0],
        "outputs": matrix.shape[1],
        "copies": len(matrix.copies),
        "tiles": len(tiles),
        "utilisation": cells / (len(tiles) * rows * columns),
        "cycles": layer.calls * -(-reads // len(matrix.copies)) * matrix.copies[0].forward.turns,
    }


def _described(part: Parameters) -> str:
    shown = ", ".join(f"{k}={v!r}" for k, v in part if v is not None)
    return f"{type(part).__name__}({shown})"


def _some_vectors(layer: Weighted, x: Array, y: Array | None, streams: Streams) -> Array:
    """What a layer's product is given for samples `x`, of which came `y`; of very many some, drawn at random."""
    share = CALIBRATION_READS / (len(x) * layer.reads_per_sample)
    rng = streams.rng("calibration reads")
    parts = [v if share >= 1 else v[to_library_of(rng.random(len(v)) < share, v)] for v in layer.vectors(x, y)]
    return joined(parts)
