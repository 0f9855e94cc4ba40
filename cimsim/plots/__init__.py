"""Figures of sweeps; those of devices, fits and arrays are in the modules of these names. Drawing loads matplotlib."""

from cimsim.plots.sweeps import Interval, duration, in_words, label, mean_interval, sweep, tidy
from cimsim.plots.words import wrapped

__all__ = ["Interval", "duration", "in_words", "label", "mean_interval", "sweep", "tidy", "wrapped"]
