"""Neuron models: frozen parameters in SI units, pure steps, state in and state out.

    lif = LIF(capacitance=1e-12, tau=20e-3, v_threshold=0.1)
    state = lif.rest((batch, n))
    state, spikes = lif.step(state, current, dt=1e-3)    # amperes (batch, n) -> bool (batch, n)

`base.py` holds the family and the loop over steps, `integrate_and_fire.py` IF, LIF and adaptive LIF, `discrete.py` the
dimensionless LIF used in training, `izhikevich.py` and `hodgkin_huxley.py` the models named so.

Spikes are bool: one byte each as uint8, they index the rows of a weight matrix directly, they cannot hold anything but
0 and 1, and a difference of two is an error where uint8 would wrap around.
"""

from cimsim.network.neurons.base import Neuron, Trace, run
from cimsim.network.neurons.discrete import Discrete, DiscreteLIF, decay_of, discrete, tau_of
from cimsim.network.neurons.hodgkin_huxley import HodgkinHuxley
from cimsim.network.neurons.integrate_and_fire import IF, LIF, AdaptiveLIF
from cimsim.network.neurons.izhikevich import Izhikevich

__all__ = [
    "IF",
    "LIF",
    "AdaptiveLIF",
    "Discrete",
    "DiscreteLIF",
    "HodgkinHuxley",
    "Izhikevich",
    "Neuron",
    "Trace",
    "decay_of",
    "discrete",
    "run",
    "tau_of",
]
