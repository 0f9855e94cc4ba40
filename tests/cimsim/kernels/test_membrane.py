"""Membranes: both forms of the loop give the same, the law is the neuron's, and the adjoint is the gradient."""

from __future__ import annotations

import numpy as np
import pytest

from cimsim.kernels import membrane, membrane_plain
from cimsim.kernels.laws import Membrane
from cimsim.network.neurons.discrete import DiscreteLIF
from cimsim.network.surrogates import ArcTan, FastSigmoid, Surrogate

LAWS = [
    Membrane(0.9, 0.0, False, 0, 0.0),
    Membrane(0.8, 0.2, True, 0, 0.5),
    Membrane(1.0, -0.3, False, 2, 0.0),
    Membrane(0.0, 0.0, True, 3, 0.25),
]


def currents(dtype: type, steps: int = 12) -> np.ndarray:
    return np.random.default_rng(1).normal(0.3, 0.6, (3, steps, 5)).astype(dtype)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_compiled_loops_are_the_plain_ones_to_the_bit(law: Membrane, dtype: type) -> None:
    x = currents(dtype)
    v, spikes = membrane.integrate(x, law)
    plain_v, plain_spikes = membrane_plain.integrate(x, law)
    assert 0 < spikes.mean() < 1
    np.testing.assert_array_equal(v, plain_v)
    np.testing.assert_array_equal(spikes, plain_spikes)
    dy, slope = np.random.default_rng(2).random((2, *x.shape)).astype(dtype)
    dx = membrane.adjoint(dy, slope, v, spikes, law)
    assert (v.dtype, spikes.dtype, dx.dtype) == (dtype, dtype, dtype)
    np.testing.assert_allclose(
        dx, membrane_plain.adjoint(dy, slope, v, spikes, law), rtol=8 * np.finfo(dtype).eps, atol=1e-30
    )


@pytest.mark.parametrize("law", LAWS)
def test_the_law_is_that_of_the_discrete_neuron(law: Membrane) -> None:
    if law.start:
        law = law._replace(start=0.0)
    neuron = DiscreteLIF(
        decay=law.decay, v_reset=law.v_reset, reset="soft" if law.soft else "hard", refractory=law.refractory
    )
    x = currents(np.float64)
    state, fired = neuron.rest((3, 5), x), []
    for t in range(x.shape[1]):
        state, now = neuron.step(state, x[:, t])
        fired.append(now)
    np.testing.assert_array_equal(membrane.integrate(x, law)[1], np.stack(fired, axis=1))


@pytest.mark.parametrize("surrogate", [ArcTan(), FastSigmoid(slope=2.0)])
@pytest.mark.parametrize("law", [law for law in LAWS if not law.refractory])
def test_the_adjoint_is_the_gradient_of_the_smooth_network(law: Membrane, surrogate: Surrogate) -> None:
    """With spikes replaced by the surrogate's integral, whose derivative it is, against central differences."""
    x = currents(np.float64, steps=6)
    worth = np.random.default_rng(3).normal(size=x.shape)

    def loss(x: np.ndarray) -> float:
        return float(np.sum(worth * smooth(x)[1]))

    def smooth(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return membrane_plain.integrate(x, law, lambda u: surrogate.integral(u - 1))

    v, spikes = smooth(x)
    dx = membrane.adjoint(worth, surrogate.derivative(v - 1), v, spikes, law)
    step = 1e-5
    for at in [(0, 0, 0), (0, 3, 1), (1, 5, 2), (2, 1, 4)]:
        moved = np.zeros_like(x)
        moved[at] = step
        assert dx[at] == pytest.approx((loss(x + moved) - loss(x - moved)) / (2 * step), rel=1e-5, abs=1e-8)


def test_no_gradient_passes_into_a_refractory_step() -> None:
    law = Membrane(0.9, 0.0, False, 2, 0.0)
    x = np.array([[[1.5], [1.5], [1.5], [0.5]]])
    v, spikes = membrane.integrate(x, law)
    assert spikes.ravel().tolist() == [1, 0, 0, 0]
    dx = membrane.adjoint(np.ones_like(x), np.ones_like(x), v, spikes, law)
    assert dx.ravel()[1:3].tolist() == [0, 0]
    assert dx.ravel()[3] == 1
    assert dx.ravel()[0] == pytest.approx(1 + 0.9 * (0 - 1.5))  # a reset later of the potential that the last step sees
