"""Delta modulation: a signal as events, one where it has risen and one where it has fallen by a threshold."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field

from cimsim.backend import is_array
from cimsim.network.coding.spikes import as_raster
from device_models.errors import InputError
from device_models.parameters import Parameters
from device_models.window import Array


class DeltaModulation(Parameters):
    """An ON event where a signal lies `threshold` or more above its baseline, an OFF event where below; one per step.

    The baseline starts at the first sample. "tracked", it moves by the threshold with each event (send on delta): the
    decoded signal is the baseline, and errs by less than the threshold as long as the signal never moves by more than
    that in one step. "previous", it is the sample before: only quick changes are seen, and a decoded change errs by
    less than the threshold where the signal's is below two of them. Petro, Kasabov and Kiss, IEEE Trans. Neural Netw.
    Learn. Syst. 31, 358 (2020), call them step-forward and threshold-based encoding.
    """

    threshold: float = Field(gt=0, description="in the signal's unit")
    baseline: Literal["tracked", "previous"] = "tracked"

    def encode(self, signal: Array) -> Array:
        """Events (batch, steps, 2 features), bool: the ON channels of all features, then the OFF channels.

        The signal is (batch, steps, features), in any unit. Raises `InputError` for other axes or values not finite.
        """
        signal = _checked(signal)
        base, on, off = signal[:, 0], [], []
        for t in range(signal.shape[1]):
            x = signal[:, t]
            on.append(x - base >= self.threshold)
            off.append(base - x >= self.threshold)
            moved = np.where(on[-1], base + self.threshold, np.where(off[-1], base - self.threshold, base))
            base = moved if self.baseline == "tracked" else x
        return np.concatenate([np.stack(on, axis=1), np.stack(off, axis=1)], axis=2)

    def decode(self, spikes: Array, start: Array | None = None) -> Array:
        """The signal (batch, steps, features) of events, from its first samples `start` (batch, features); None: 0.

        Raises `InputError` for events that are not 0 or 1, have other axes or an odd number of channels.
        """
        spikes = as_raster(spikes)
        if spikes.shape[2] % 2:
            raise InputError("spikes", "must have ON and OFF channels, an even number", spikes.shape[2])
        half = spikes.shape[2] // 2
        signs = spikes[:, :, :half].astype(np.int64) - spikes[:, :, half:].astype(np.int64)
        signal = np.cumsum(signs, axis=1) * self.threshold
        return signal if start is None else signal + start[:, None, :]


def _checked(signal: Array) -> Array:
    signal = signal if is_array(signal) else np.asarray(signal, dtype=float)
    if signal.ndim != 3 or 0 in signal.shape:
        raise InputError("signal", "must have the axes (batch, steps, features)", f"shape {signal.shape}", "reshape it")
    if not bool(np.all(np.isfinite(signal))):
        raise InputError("signal", "must be finite", "NaN or infinity", "fill the gaps first")
    return signal if signal.dtype.kind == "f" else signal.astype(float)
