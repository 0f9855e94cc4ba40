"""Recurrent spiking layers: one array whose word lines carry a step's inputs and the layer's spikes of the step before.

    x[t], s[t - 1]  ->  y[t] = cell(x[t], s[t - 1])  ->  s[t], of the layer's own neurons

The cell is a fully connected layer here, a convolution in `recurrent_conv`. A layer's output are the currents y. The
neurons that fire for the next layer, `Spiking` of the same law, stand behind it as behind every layer with weights:
given the same currents they fire in the same steps as those that feed back, of which they are the same ones on a chip.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Self

import numpy as np

from cimsim.kernels import membrane_plain
from cimsim.kernels.laws import Membrane
from cimsim.kernels.membrane import integrate
from cimsim.network.firing import ARCTAN, NEURON, Spiking, Timed
from cimsim.network.layers import Dense, Product, Weighted
from cimsim.network.neurons.discrete import DiscreteLIF
from cimsim.network.surrogates import Surrogate
from device_models.errors import InputError
from device_models.window import Array


class Recurrence(Timed, Weighted):
    """A cell whose neurons are also given their own spikes of the step before, from rest.

    Its product is called once per step for each of the cell's blocks of samples, block after block; the transposed one
    in the opposite order. On a chip a sample's read noise goes by its number and the step, however a batch is cut.

    Attributes:
        neuron: the law of the membranes.
        surrogate: what stands for the derivative of a spike in the backward pass.
    """

    neuron: DiscreteLIF
    surrogate: Surrogate

    @property
    @abstractmethod
    def cell(self) -> Weighted:
        """The layer from a step's inputs and the spikes of the step before, side by side, to currents."""

    def blocks(self, n: int) -> Iterator[slice]:
        """`n` samples in blocks that the cell's product takes at once."""
        yield slice(0, n)

    def timed(self, steps: int, neurons: Spiking) -> Self:
        """The layer for so many steps, with the law of the neurons that stand behind it."""
        # Layers are dataclasses; the abstract ones above them cannot say so.
        return replace(self, steps=steps, neuron=neurons.neuron, surrogate=neurons.surrogate)  # type: ignore[type-var]

    @property
    def calls(self) -> int:
        """One per step."""
        return self.steps

    @property
    def reads_per_sample(self) -> int:
        """Those of the cell."""
        return self.cell.reads_per_sample

    def multiply(self, v: Array) -> Array:
        """The exact product of the cell."""
        return self.cell.multiply(v)

    def multiply_transposed(self, d: Array) -> Array:
        """The exact transposed product of the cell."""
        return self.cell.multiply_transposed(d)

    def forward(self, x: Array, product: Product | None = None) -> Array:
        """The currents (batch * steps, n_out), biases in them."""
        given = self.by_sample(x)
        y = np.empty_like(x, shape=(len(given), self.steps, self.n_out), dtype=self.weight.dtype)
        for block in self.blocks(len(given)):
            m = wait = spikes = np.zeros_like(y[block, 0])
            for t in range(self.steps):
                y[block, t] = self.cell.forward(_beside(given[block, t], spikes), product)
                _, spikes, m, wait = membrane_plain.step(m, wait, y[block, t], self._law)
        return y.reshape(len(x), -1)

    def vectors(self, x: Array, y: Array | None = None) -> Iterator[Array]:
        """Block after block, step after step what the cell reads of inputs and spikes of the step before."""
        given, currents = self.by_sample(x), self.by_sample(self.forward(x) if y is None else y)
        for block in self.blocks(len(given)):
            spikes = integrate(currents[block], self._law)[1]
            before = np.zeros_like(spikes[:, 0])
            for t in range(self.steps):
                yield from self.cell.vectors(_beside(given[block, t], spikes[:, t - 1] if t else before))

    def unrolled(self, dy: Array, x: Array, y: Array, transposed: Product | None = None) -> tuple[Array, Array]:
        """Backpropagation through time, with the surrogate in place of the derivative of a spike."""
        v, spikes = integrate(self.by_sample(y), self._law)
        slope = self.surrogate.derivative(v - 1).astype(v.dtype, copy=False)
        given, d = self.by_sample(dy), np.empty_like(v)
        dx = np.empty_like(v, shape=(len(v), self.steps, self.n_in))
        back = partial(self._sent_back, transposed=transposed)
        for b in reversed(list(self.blocks(len(v)))):
            d[b], dx[b] = through_time(given[b], slope[b], v[b], spikes[b], self._law, back)
        return d.reshape(dy.shape), dx.reshape(x.shape)

    def backward(self, dy: Array, x: Array, y: Array, transposed: Product | None = None) -> Array:
        """The gradient at the input, through all steps."""
        return self.unrolled(dy, x, y, transposed)[1]

    def errors(self, dy: Array) -> Iterator[Array]:
        """The errors at what the cell's product gives, in the parts of `vectors`."""
        by_sample = self.by_sample(dy)
        for block in self.blocks(len(by_sample)):
            for t in range(self.steps):
                yield from self.cell.errors(by_sample[block, t])

    def gradient(self, x: Array, dy: Array, y: Array | None = None) -> tuple[Array, Array]:
        """The sum over steps of `vector.T @ error`, and of the errors over steps and batch."""
        d_weight = np.zeros_like(self.weight)
        for v, d in zip(self.vectors(x, y), self.errors(dy), strict=True):
            d_weight += v.T @ d
        return d_weight, dy.reshape(len(dy), len(self.bias), -1).sum(axis=(0, 2))

    def _sent_back(self, d: Array, transposed: Product | None) -> Array:
        """The error at inputs and spikes of the step before, from that at the currents of a step."""
        return self.cell.backward(d, d, d, transposed)

    @property
    def _law(self) -> Membrane:
        return Spiking(self.steps, self.neuron).membrane


@dataclass(frozen=True, eq=False, repr=False)
class RecurrentDense(Recurrence):
    """Fully connected currents of neurons that are also given their own spikes of the step before.

    Its product is called once per step, `(batch, n_in + n_out) -> (batch, n_out)`.

    Attributes:
        weight: `(n_in + n_out, n_out)`, the rows of the inputs first.
        bias: `(n_out,)`.
        steps: time steps of a sample.
        neuron: the law of the membranes, which start from rest.
        surrogate: what stands for the derivative of a spike in the backward pass.

    Raises:
        InputError: shapes that do not fit.
    """

    weight: Array
    bias: Array
    steps: int
    neuron: DiscreteLIF = NEURON
    surrogate: Surrogate = ARCTAN

    def __post_init__(self) -> None:
        super().__post_init__()
        shape = self.weight.shape
        if len(shape) != 2 or not shape[0] > shape[1] > 0:
            rule = "must be a matrix (n_in + n_out, n_out)"
            raise InputError("RecurrentDense.weight", rule, f"shape {shape}", "put the rows of the inputs first")
        self.check_bias()

    def __repr__(self) -> str:
        return f"RecurrentDense({self.n_in} -> {self.n_out}, {self.steps} steps)"

    @property
    def n_in(self) -> int:
        """Features per sample at the input."""
        return int(self.weight.shape[0]) - self.n_out

    @property
    def n_out(self) -> int:
        """Neurons."""
        return int(self.weight.shape[1])

    @cached_property
    def cell(self) -> Dense:
        """The layer from inputs and own spikes to currents."""
        return Dense(self.weight, self.bias)


def _beside(x: Array, spikes: Array) -> Array:
    """What the cell is given: inputs, then own spikes."""
    return np.concatenate([x, spikes], axis=1)


def through_time(
    dy: Array, slope: Array, v: Array, spikes: Array, law: Membrane, transposed: Product
) -> tuple[Array, Array]:
    """Gradients at the currents, through the spikes fed back too, and at the inputs, `(batch, steps, n_in)`.

    From that at the currents alone, `dy` (batch, steps, n); `slope`, `v`, `spikes`, `law` as those of
    `membrane.adjoint`. `transposed(d) = d @ weight.T` is called from the last step to the first.
    """
    d, resting, dxs = np.empty_like(v), membrane_plain.held(spikes, law.refractory), list[Array]()
    dm = fed = np.zeros_like(v[:, 0])
    for t in reversed(range(v.shape[1])):
        now = slope[:, t], v[:, t], spikes[:, t], resting[:, t]
        own, dm = membrane_plain.step_back(dm, fed, *now, law)
        d[:, t] = dy[:, t] + own
        back = transposed(d[:, t])
        n_in = back.shape[1] - v.shape[2]
        dxs.append(back[:, :n_in])
        fed = back[:, n_in:]
    return d, np.stack(dxs[::-1], axis=1)
