"""`check_device`: every promise a device makes, for our cards and for users' own slot classes.

Each check returns nothing where the promise is kept and a sentence where it is broken.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from device_models.cards import parse
from device_models.device import Cells, Device
from device_models.faults import WORKING
from device_models.parameters import to_dict
from device_models.programming import PulsedProgramming, WriteError
from device_models.promises import Finding, findings, global_state
from device_models.streams import Streams

Check = Callable[[Device, Streams], str | None]

SHAPES = [(0, 4), (1, 1), (7,), (5, 3), (2, 4, 3)]
DRAWS = 20_000
Z_LIMIT = 5.0  # standard errors: a false alarm in about two million runs


def check_device(device: Device, *, seed: int = 0, strict: bool = True) -> list[Finding]:
    """Check every promise of a device.

    Args:
        device: the device, with slots of this package or of one's own.
        seed: seed of every draw.
        strict: raise on a broken promise; otherwise only report.

    Returns:
        One finding per promise, `broken` empty where it is kept.

    Raises:
        AssertionError: a promise is broken (all of them are named).
    """
    return findings(f"device '{device.name}'", device, CHECKS, seed=seed, strict=strict)


def _targets(device: Device, shape: tuple[int, ...], streams: Streams) -> np.ndarray:
    w = device.window
    targets: np.ndarray = w.quantise(streams.rng("targets").uniform(w.g_min, w.g_max, shape))
    return targets


def _made(device: Device, shape: tuple[int, ...], streams: Streams) -> Cells:
    cells = device.fabricate(shape, streams)
    return device.program(cells, _targets(device, shape, streams), streams)[0]


def _many(device: Device, share: float, streams: Streams) -> Cells:
    """Working cells of a faultless copy, all written to one share of the window."""
    plain = device.replace(faults=None)
    target = device.window.quantise(np.full(DRAWS, device.window.g_min + share * device.window.span))
    return plain.program(plain.fabricate((DRAWS,), streams), target, streams)[0]


def _card(device: Device, streams: Streams) -> str | None:
    """A device survives the way to TOML values and back."""
    back = parse(to_dict(device), device.name)
    return None if back == device else "It came back different."


def _shapes(device: Device, streams: Streams) -> str | None:
    """Every method works element by element, on any shape."""
    for shape in SHAPES:
        cells = device.age(_made(device, shape, streams), 10.0)
        results = [device.conductance(cells), device.read(cells, streams.rng("read")), device.drive(cells.g * 0 + 0.1)]
        if device.update is not None:
            results.append(device.pulse(cells, np.ones(shape, dtype=int), streams.rng("pulse")).g)
        if any(r.shape != shape for r in results):
            return f"Shape {shape} became {[r.shape for r in results]}."
    return None


def _finite(device: Device, streams: Streams) -> str | None:
    """Conductances stay finite and at or above 0, from the write to ten years later."""
    cells = _made(device, (DRAWS,), streams)
    for seconds in (0.0, 1e-9, 1.0, 3.15e8):
        g = device.conductance(device.age(cells, seconds))
        if not np.isfinite(g).all() or g.min() < 0:
            return f"After {seconds:g} s the lowest is {g.min():g} S."
    return None


def _repeats(device: Device, streams: Streams) -> str | None:
    """The same streams make the same cells, and no draw uses NumPy's global generator."""
    state = global_state()
    first, again = _life(device, streams), _life(device, streams)
    differ = [what for what in first if not np.array_equal(first[what], again[what])]
    if differ:
        return f"From one seed the {' and the '.join(differ)} differ."
    return None if state == global_state() else "The global generator was moved."


def _life(device: Device, streams: Streams) -> dict[str, np.ndarray]:
    """One of everything that is drawn in the life of an array."""
    cells = device.age(_made(device, (64,), streams), 3600.0)
    drawn = {"written conductances": cells.g, "aged conductances": device.conductance(cells)}
    if cells.variation is not None:
        drawn["pulse parameters"] = cells.variation
    drawn["reads"] = device.read(cells, streams.rng("read"))
    if device.update is not None:
        drawn["pulsed conductances"] = device.pulse(cells, np.ones(64, dtype=int), streams.rng("pulse")).g
    return drawn


def _values(device: Device, streams: Streams) -> str | None:
    """Cells are values: no method changes those it is given."""
    cells = _made(device, (64,), streams)
    kept = (cells.g, *cells.limits, cells.trajectory, cells.variation, cells.pulses)
    arrays = [array for array in kept if array is not None]
    before = [array.copy() for array in arrays]
    later = device.age(cells, 3600.0)
    device.read(later, streams.rng("read"))
    if device.update is not None:
        device.pulse(later, np.ones(64, dtype=int), streams.rng("pulse"))
    return None if all(map(np.array_equal, arrays, before)) else "A read or a pulse wrote into their arrays."


def _ageing(device: Device, streams: Streams) -> str | None:
    """Cells show what was written, and ageing by a and then by b is ageing by a + b."""
    cells = _made(device, (256,), streams)
    if not np.array_equal(device.conductance(cells), cells.g):
        return "At 0 s they show other conductances."
    at_once = device.conductance(device.age(cells, 5000.0))
    in_two = device.conductance(device.age(device.age(cells, 1000.0), 4000.0))
    worst = np.abs(at_once - in_two).max()
    return None if worst <= 1e-12 * device.window.g_max else f"1000 s and 4000 s are not 5000 s: {worst:.3g} S apart."


def _write_law(device: Device, streams: Streams) -> str | None:
    """A one-shot write lands around its target with the declared standard deviation."""
    if not isinstance(device.programming, WriteError):
        return None
    target = np.full(DRAWS, device.window.g_min + 0.5 * device.window.span)
    sigma = float(np.max(device.programming.sigma(target, device.window)))
    g = device.programming.write(target, device.window, streams.rng("programming")).g
    return _law("written", g, target[0], sigma) if 6 * sigma < target[0] else None


def _read_law(device: Device, streams: Streams) -> str | None:
    """Reads scatter around the conductance with the declared standard deviation, and are not clipped."""
    if device.read_noise is None:
        return None
    for share in (0.0, 0.5, 1.0):
        g = np.full(DRAWS, device.window.g_min + share * device.window.span)
        sigma = float(np.max(device.read_noise.sigma(g, 100.0)))
        broken = _law("read", device.read_noise.read(g, streams.rng("read"), 100.0), g[0], sigma)
        if broken:
            return broken
    return None


def _law(what: str, draws: np.ndarray, mean: float, sigma: float) -> str | None:
    """Draws against a declared mean and standard deviation, whatever the shape of their law.

    The error of a variance follows from the draws' own fourth moment. It vanishes for two equal values, whose variance
    is then off by a term of the next order.
    """
    n, exact = draws.size, 1e-12 * mean + 1e-30
    squares = (draws - draws.mean()) ** 2
    error = squares.std() / np.sqrt(n) / max(2 * sigma, exact) + Z_LIMIT * sigma / n
    z_mean = abs(draws.mean() - mean) / (sigma / np.sqrt(n) + exact)
    z_sigma = abs(draws.std() - sigma) / (error + exact)
    if max(z_mean, z_sigma) < Z_LIMIT:
        return None
    return f"Declared {mean:g} +- {sigma:g} S, {what} {draws.mean():g} +- {draws.std():g} S."


def _pulse_direction(device: Device, streams: Streams) -> str | None:
    """Potentiation never lowers the mean, depression never raises it, and the window holds."""
    if device.update is None:
        return None
    for share in (0.3, 0.5, 0.7):
        cells = _many(device, share, streams)
        g = device.conductance(cells)
        for n in (-3, 3):
            pulsed = device.pulse(cells, np.full(DRAWS, n), streams.rng("pulse")).g
            moved = pulsed - g
            if np.sign(n) * moved.mean() < -Z_LIMIT * moved.std() / np.sqrt(DRAWS):
                return f"{n:+d} pulses at {share:g} of the window moved the mean by {moved.mean():.3g} S."
            if (pulsed < cells.limits.g_min).any() or (pulsed > cells.limits.g_max).any():
                return f"{n:+d} pulses left the window."
    return None


def _pulse_trains(device: Device, streams: Streams) -> str | None:
    """A train of n pulses equals n single ones in mean and standard deviation."""
    if device.update is None:
        return None
    cells = _many(device.replace(programming=None, retention=None), 0.5, streams)
    at_once = device.pulse(cells, np.full(DRAWS, 4), streams.rng("once")).g
    rng, singly = streams.rng("singly"), cells
    for _ in range(4):
        singly = device.pulse(singly, np.ones(DRAWS, dtype=int), rng)
    error = np.hypot(at_once.std(), singly.g.std()) / np.sqrt(DRAWS) + 1e-9 * device.window.span
    gap = abs(at_once.mean() - singly.g.mean()) / error
    spread = abs(at_once.std() - singly.g.std()) / error
    return None if max(gap, spread) < Z_LIMIT else f"Off by {gap:.1f} (mean) and {spread:.1f} (spread) standard errors."


def _pulse_parameters(device: Device, streams: Streams) -> str | None:
    """Cells keep the pulse parameters drawn for them: one train and the next move a cell alike in the mean."""
    if device.update is None:
        return None
    cells, copies = _many(device.replace(programming=None, retention=None), 0.5, streams), 400
    if cells.variation is not None:
        if cells.variation.shape[1:] != cells.shape:
            return f"For cells of shape {cells.shape} it drew parameters of shape {cells.variation.shape}."
        cells = replace(cells, variation=np.repeat(cells.variation[:, : DRAWS // copies], copies, axis=1))
    n = np.full(DRAWS, 3)
    trains = [device.pulse(cells, n, streams.rng(f"train {k}")).g.reshape(-1, copies) for k in range(2)]
    gap = np.abs(np.subtract(*(g.mean(axis=1) for g in trains)))
    error = np.hypot(*(g.std(axis=1) for g in trains)) / np.sqrt(copies) + 1e-9 * device.window.span
    worst = float((gap / error).max())
    return None if worst < Z_LIMIT else f"From the same state a cell moved {worst:.1f} standard errors apart."


def _verified(device: Device, streams: Streams) -> str | None:
    """A verified write ends within its tolerance or is reported as failed."""
    tolerance = None if device.programming is None else device.programming.promised(device.window.span)
    if tolerance is None:
        return None
    cells = device.fabricate((4096,), streams)
    target = _targets(device, (4096,), streams)
    cells, report = device.program(cells, target, streams)
    missed = np.abs(cells.g - target) > tolerance + 1e-9 * device.window.span
    outside = int((missed & (cells.stuck == WORKING)).sum())
    return None if outside <= report.failed else f"{outside} of 4096 cells were outside, {report.failed} reported."


def _conduction(device: Device, streams: Streams) -> str | None:
    """The I-V curve is odd, rises, and is ohmic at small voltage."""
    v = np.linspace(-0.2, 0.2, 41)
    f = device.drive(v)
    small = device.drive(np.array([1e-6]))[0]
    kept = np.allclose(f, -f[::-1], rtol=1e-9, atol=1e-15) and (np.diff(f) > 0).all() and abs(small / 1e-6 - 1) < 1e-3
    return (
        None if kept else f"f runs from {f[0]:.6g} to {f[-1]:.6g} V over -0.2 to 0.2 V, and f(1e-6 V) is {small:.6g} V."
    )


def _slots_apart(device: Device, streams: Streams) -> str | None:
    """Switching one slot off leaves what the others draw bit-identical."""
    target = _targets(device, (64,), streams)
    by_pulses = isinstance(device.programming, PulsedProgramming)
    for slot in ("read_noise", "retention") if by_pulses else ("read_noise", "retention", "update"):
        without = device.replace(**{slot: None})
        a = device.program(device.fabricate((64,), streams), target, streams)[0].g
        b = without.program(without.fabricate((64,), streams), target, streams)[0].g
        if not np.array_equal(a, b):
            return f"Without {slot} other conductances were written."
    return None


CHECKS: tuple[Check, ...] = (
    _card,
    _shapes,
    _finite,
    _repeats,
    _values,
    _ageing,
    _write_law,
    _read_law,
    _pulse_direction,
    _pulse_trains,
    _pulse_parameters,
    _verified,
    _conduction,
    _slots_apart,
)
