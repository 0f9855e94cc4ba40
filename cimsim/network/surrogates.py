"""Surrogate gradients: what stands for the derivative of a spike by the potential, which is 0 almost everywhere.

Neftci, Mostafa and Zenke, IEEE Signal Process. Mag. 36(6), 51 (2019). `z` is the potential less the threshold, in units
of the threshold. The integral is the spike of a smooth neuron whose true derivative the surrogate is: the oracle of the
tests.
"""

from __future__ import annotations

import abc

import numpy as np
from pydantic import Field

from device_models.parameters import Variant
from device_models.window import Array


class Surrogate(Variant):
    """A surrogate for the derivative of a spike. One of one's own gives both methods."""

    @abc.abstractmethod
    def derivative(self, z: Array) -> Array:
        """What stands for the derivative, elementwise, in the type of `z`."""

    @abc.abstractmethod
    def integral(self, z: Array) -> Array:
        """The smooth spike, rising from 0, whose derivative that is."""


class Rectangular(Surrogate):
    """1 / width within width / 2 of the threshold, else 0: Wu et al., Front. Neurosci. 12, 331 (2018), eq. 24."""

    width: float = Field(default=1.0, gt=0, description="thresholds")

    def derivative(self, z: Array) -> Array:
        return (np.abs(z) < self.width / 2).astype(z.dtype) / self.width

    def integral(self, z: Array) -> Array:
        return np.clip(z / self.width + 0.5, 0, 1)


class FastSigmoid(Surrogate):
    """1 / (1 + slope |z|)^2: Zenke and Ganguli, Neural Comput. 30, 1514 (2018)."""

    slope: float = Field(default=5.0, gt=0, description="per threshold")

    def derivative(self, z: Array) -> Array:
        return 1 / np.square(1 + self.slope * np.abs(z))

    def integral(self, z: Array) -> Array:
        return 1 / self.slope + z / (1 + self.slope * np.abs(z))


class ArcTan(Surrogate):
    """slope / 2 / (1 + (pi slope z / 2)^2): Fang et al., ICCV 2021, with slope 2."""

    slope: float = Field(default=2.0, gt=0, description="per threshold")

    def derivative(self, z: Array) -> Array:
        return self.slope / 2 / (1 + np.square(np.pi / 2 * self.slope * z))

    def integral(self, z: Array) -> Array:
        return np.arctan(np.pi / 2 * self.slope * z) / np.pi + 0.5
