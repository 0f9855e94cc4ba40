"""Features of sound: the energies of a bank of filters on the mel scale, in time.

S. B. Davis and P. Mermelstein, IEEE Trans. Acoust. Speech Signal Process. 28, 357 (1980); mel scale of
D. O'Shaughnessy, Speech Communication: Human and Machine (Addison-Wesley, 1987): 2595 log10(1 + f / 700 Hz).
"""

from __future__ import annotations

import functools
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from device_models.errors import InputError
from device_models.parameters import Parameters, RuleBroken, Seconds


class FilterBank(Parameters):
    """Triangles on the mel scale, each from its neighbours' centres to its own, on the spectra of Hann windows.

    Centres are evenly spaced in mel between `low` and `high` (hertz; None: half the sample rate). A frame begins every
    `hop` seconds and is `window` seconds long.
    """

    rate: int = Field(gt=0, le=1_000_000, description="samples per second")
    window: Seconds = Field(gt=0)
    hop: Seconds = Field(gt=0)
    bands: int = Field(ge=1, le=1000)
    low: float = Field(default=0.0, ge=0, description="hertz")
    high: float | None = Field(default=None, gt=0, description="hertz")
    span_db: float = Field(default=60.0, gt=0, le=300, description="decibels")

    @model_validator(mode="after")
    def _resolved(self) -> Self:
        if not self.low < self._top <= self.rate / 2:
            got = f"{self.low:g} and {self._top:g}"
            raise RuleBroken("low must be below high, and high at most half the sample rate (hertz)", value=got)
        if min(round(self.hop * self.rate), round(self.window * self.rate) - 1) < 1:
            raise RuleBroken("window and hop must be one sample or more", value=f"{self.window:g} s and {self.hop:g} s")
        if not self.weights().sum(axis=0).all():
            raise RuleBroken("every band must hold a line of the spectrum", "take fewer bands or a longer window")
        return self

    @property
    def _top(self) -> float:
        return self.rate / 2 if self.high is None else self.high

    def edges(self) -> NDArray[np.float64]:
        """Where the bands begin, peak and end, hertz: bands + 2 values, band k from edge k to k + 2."""
        return _hertz(np.linspace(_mel(self.low), _mel(self._top), self.bands + 2))

    def weights(self) -> NDArray[np.float64]:
        """How much each line of the spectrum counts in each band, (lines, bands), not to be written to."""
        return _weights(self)

    def energies(self, signal: NDArray[np.floating], frames: int) -> NDArray[np.float64]:
        """Energies (frames, bands) of the first frames of a signal, padded with silence.

        Squares of the window's Fourier sums, one side. Raises `InputError` for a signal that is empty, has other axes,
        or is not finite, and for less than one frame.
        """
        if np.ndim(signal) != 1 or not len(signal) or not np.isfinite(signal).all() or frames < 1:
            got = f"shape {np.shape(signal)} and {frames} frames"
            raise InputError("signal", "must be finite samples on one axis, and frames 1 or more", got)
        length, hop = round(self.window * self.rate), round(self.hop * self.rate)
        padded = np.zeros((frames - 1) * hop + length)
        kept = signal[: len(padded)]
        padded[: len(kept)] = kept
        windows = np.lib.stride_tricks.sliding_window_view(padded, length)[::hop]
        hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)
        return np.asarray(np.abs(np.fft.rfft(windows * hann)) ** 2 @ self.weights(), np.float64)

    def features(self, signal: NDArray[np.floating], frames: int) -> NDArray[np.float32]:
        """Log energies (frames, bands), 0 to 1: 1 the largest of the signal, 0 `span_db` decibels below it or less.

        Loudness is taken out, each signal by itself; a silent one is 0 all over. Raises as `energies`.
        """
        energies = self.energies(signal, frames)
        peak = energies.max()
        if peak == 0:
            return np.zeros(energies.shape, np.float32)
        floor = 10 ** (-self.span_db / 10)
        levels = 10 * np.log10(np.maximum(energies / peak, floor))
        return np.asarray(1 + levels / self.span_db, np.float32)


@functools.lru_cache(maxsize=16)
def _weights(bank: FilterBank) -> NDArray[np.float64]:
    length = round(bank.window * bank.rate)
    lines = _mel(np.arange(length // 2 + 1) * (bank.rate / length))[:, None]
    edges = _mel(bank.edges())
    weights = np.asarray(np.maximum(1 - np.abs(lines - edges[1:-1]) / (edges[1] - edges[0]), 0.0), np.float64)
    weights.setflags(write=False)
    return weights


def _mel(hertz: NDArray[Any] | float) -> NDArray[np.float64]:
    return np.asarray(2595 * np.log10(1 + np.asarray(hertz) / 700), np.float64)


def _hertz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(700 * (10 ** (mel / 2595) - 1))
