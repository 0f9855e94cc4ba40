"""The loop over time of integrate-and-fire membranes, and its adjoint, in two forms with the same results.

With decay d, input x, potential m after the step before: u = d m + x, a spike s where u >= 1, and after it
m = (1 - s) u + s v_reset (hard reset) or m = u - (1 - v_reset) s (soft). For `refractory` steps after a spike m is
held and x is lost.
"""

from __future__ import annotations

from types import ModuleType

from cimsim.backend import backend_name
from cimsim.kernels.laws import Membrane
from device_models.window import Array


def integrate(x: Array, law: Membrane) -> tuple[Array, Array]:
    """Potentials before any reset, and spikes as 0 and 1, both of the shape and type of inputs (batch, steps, n)."""
    v, spikes = _loops_for(x).integrate(x, law)
    return v, spikes


def adjoint(dy: Array, slope: Array, v: Array, spikes: Array, law: Membrane) -> Array:
    """The loss gradient at the inputs from that at the spikes, `dy`; all (batch, steps, n).

    `slope` is what stands for the derivative of a spike by its potential (a surrogate's); `v`, `spikes` are those of
    `integrate`. With spikes that really have that slope the gradient is exact, through the resets too.
    """
    dx: Array = _loops_for(v).adjoint(dy, slope, v, spikes, law)
    return dx


def _loops_for(x: Array) -> ModuleType:
    """The module of loops for arrays of the library that holds `x`."""
    if backend_name(x) == "numpy":
        from cimsim.kernels import membrane_cpu

        return membrane_cpu
    from cimsim.kernels import membrane_plain

    return membrane_plain
