"""Recurrent spiking layers: one array whose word lines carry a step's inputs and the layer's spikes of the step before.

    x[t], s[t - 1]  ->  y[t] = [x[t], s[t - 1]] @ weight + bias  ->  s[t], of the layer's own neurons

Its output are the currents y. The neurons that fire for the next layer, `Spiking` of the same law, stand behind it as
behind every layer with weights: given the same currents they fire in the same steps as those that feed back, of which
they are the same ones on a chip.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from cimsim.kernels import membrane_plain
from cimsim.kernels.laws import Membrane
from cimsim.kernels.membrane import integrate
from cimsim.network.firing import ARCTAN, NEURON, Spiking, Timed
from cimsim.network.layers import Product, Weighted, as_floats
from cimsim.network.neurons.discrete import DiscreteLIF
from cimsim.network.surrogates import Surrogate
from device_models.errors import InputError
from device_models.window import Array


@dataclass(frozen=True, eq=False, repr=False)
class RecurrentDense(Timed, Weighted):
    """Fully connected currents of neurons that are also given their own spikes of the step before.

    Its product is called once per step, `(batch, n_in + n_out) -> (batch, n_out)`, and the transposed one once per step
    in the opposite order. On a chip a sample's read noise goes by its number and the step, however a batch is cut.

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
        weight = as_floats(self.weight)
        object.__setattr__(self, "weight", weight)
        object.__setattr__(self, "bias", as_floats(self.bias).astype(weight.dtype, copy=False))
        if len(weight.shape) != 2 or not weight.shape[0] > weight.shape[1] > 0:
            rule = "must be a matrix (n_in + n_out, n_out)"
            raise InputError("RecurrentDense.weight", rule, f"shape {weight.shape}", "put the rows of the inputs first")
        if self.bias.shape != weight.shape[1:]:
            rule = f"must hold one value per output, shape {weight.shape[1:]}"
            raise InputError("RecurrentDense.bias", rule, f"shape {self.bias.shape}")

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

    @property
    def calls(self) -> int:
        """One per step."""
        return self.steps

    def forward(self, x: Array, product: Product | None = None) -> Array:
        """The currents (batch * steps, n_out), biases in them."""
        given, product = self.by_sample(x), product or self.multiply
        y = np.empty_like(x, shape=(len(given), self.steps, self.n_out), dtype=self.weight.dtype)
        m = wait = spikes = np.zeros_like(y[:, 0])
        for t in range(self.steps):
            y[:, t] = product(np.concatenate([given[:, t], spikes], axis=1)) + self.bias
            _, spikes, m, wait = membrane_plain.step(m, wait, y[:, t], self._law)
        return y.reshape(len(x), -1)

    def vectors(self, x: Array, y: Array | None = None) -> Iterator[Array]:
        """Step after step the inputs of all samples and their spikes of the step before, `(batch, n_in + n_out)`."""
        currents = self.by_sample(self.forward(x) if y is None else y)
        spikes = integrate(currents, self._law)[1]
        before = np.zeros_like(spikes[:, 0])
        for t, given in enumerate(self.by_sample(x).swapaxes(0, 1)):
            yield np.concatenate([given, spikes[:, t - 1] if t else before], axis=1)

    def unrolled(self, dy: Array, x: Array, y: Array, transposed: Product | None = None) -> tuple[Array, Array]:
        """Backpropagation through time, with the surrogate in place of the derivative of a spike."""
        v, spikes = integrate(self.by_sample(y), self._law)
        slope = self.surrogate.derivative(v - 1).astype(v.dtype, copy=False)
        back = transposed or self.multiply_transposed
        d, dx = through_time(self.by_sample(dy), slope, v, spikes, self._law, back)
        return d.reshape(dy.shape), dx.reshape(x.shape)

    def backward(self, dy: Array, x: Array, y: Array, transposed: Product | None = None) -> Array:
        """The gradient at the input, through all steps."""
        return self.unrolled(dy, x, y, transposed)[1]

    def errors(self, dy: Array) -> Iterator[Array]:
        """The errors of all samples step after step, `(batch, n_out)`."""
        yield from self.by_sample(dy).swapaxes(0, 1)

    def gradient(self, x: Array, dy: Array, y: Array | None = None) -> tuple[Array, Array]:
        """The sum over steps of `vector.T @ error`, and of the errors over steps and batch."""
        d_weight = np.zeros_like(self.weight)
        for v, d in zip(self.vectors(x, y), self.errors(dy), strict=True):
            d_weight += v.T @ d
        return d_weight, dy.sum(axis=0)

    @property
    def _law(self) -> Membrane:
        return Spiking(self.steps, self.neuron).membrane


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
