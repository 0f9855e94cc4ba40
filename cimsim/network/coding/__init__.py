"""Codes between values and spikes, each with its decoder, and what is read from spikes.

    code = LinearLatency(steps=32)
    spikes = code.encode(x)           # values (batch, features) in [0, 1] -> bool (batch, steps, features)
    code.decode(spikes)               # x to within 1/64

Rasters are bool (batch, steps, features): batches first as everywhere, and one byte per spike, which by its type is 0
or 1 and picks the rows of a weight matrix by itself. `base.py` holds the family, `rate.py`, `latency.py` and
`patterns.py` its members, `given.py` the one for samples that are spikes already, `delta.py` the code of signals in
time, `events.py` that of event cameras, `delays.py` axonal delays, `readout.py` the read-outs, `spikes.py` the checks.
"""

from cimsim.network.coding.base import Code
from cimsim.network.coding.delays import delayed
from cimsim.network.coding.delta import DeltaModulation
from cimsim.network.coding.events import to_raster
from cimsim.network.coding.given import Given
from cimsim.network.coding.latency import LinearLatency, LogLatency
from cimsim.network.coding.patterns import Burst, Phase
from cimsim.network.coding.rate import Direct, PoissonRate, RegularRate
from cimsim.network.coding.readout import by_count, by_first_spike, first_spike, potential, spike_count
from cimsim.network.coding.spikes import as_raster, as_spikes

__all__ = [
    "Burst",
    "Code",
    "DeltaModulation",
    "Direct",
    "Given",
    "LinearLatency",
    "LogLatency",
    "Phase",
    "PoissonRate",
    "RegularRate",
    "as_raster",
    "as_spikes",
    "by_count",
    "by_first_spike",
    "delayed",
    "first_spike",
    "potential",
    "spike_count",
    "to_raster",
]
