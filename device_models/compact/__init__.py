"""Compact models of single devices: circuit equations with one state, in time.

    from device_models import compact
    loop = compact.simulate(compact.hp.FIG_2B, t, np.sin(2 * np.pi * t))        # t, v, i, x
    x = compact.step_array(compact.stanford.DEFAULT, x, 1.5, dt=1e-9, steps=50)  # an array of devices
    update = compact.to_update(compact.yakopcic.MIAO, compact.Pulse(v_set=0.6, ...))
    device = dm.Device(name="physical", window=..., update=update)

In a card the slot is a `CompactUpdate`, which holds model and pulses. `PUBLISHED` holds the published parameter sets by
name.
"""

from device_models.compact import hp, stanford, vteam, yakopcic
from device_models.compact.arrays import pulse_array, step_array
from device_models.compact.hp import LinearIonDrift
from device_models.compact.integrate import Trace, simulate
from device_models.compact.model import CompactModel
from device_models.compact.pulses import Pulse, state_of, to_update, window_of
from device_models.compact.slot import CompactUpdate
from device_models.compact.stanford import StanfordPKU
from device_models.compact.vteam import VTEAM
from device_models.compact.windows import Biolek, DriftWindow, Joglekar, Prodromakis, Strukov
from device_models.compact.yakopcic import Yakopcic

PUBLISHED: dict[str, CompactModel] = {
    "hp-fig2b": hp.FIG_2B,
    "hp-fig2c": hp.FIG_2C,
    "vteam-memtorch": vteam.MEMTORCH_DEFAULT,
    "yakopcic-oblea-sine": yakopcic.OBLEA_SINE,
    "yakopcic-oblea-triangle": yakopcic.OBLEA_TRIANGLE,
    "yakopcic-miao": yakopcic.MIAO,
    "yakopcic-jo": yakopcic.JO,
    "stanford-default": stanford.DEFAULT,
    "stanford-alox": stanford.ALOX,
}

__all__ = [
    "PUBLISHED",
    "VTEAM",
    "Biolek",
    "CompactModel",
    "CompactUpdate",
    "DriftWindow",
    "Joglekar",
    "LinearIonDrift",
    "Prodromakis",
    "Pulse",
    "StanfordPKU",
    "Strukov",
    "Trace",
    "Yakopcic",
    "hp",
    "pulse_array",
    "simulate",
    "stanford",
    "state_of",
    "step_array",
    "to_update",
    "vteam",
    "window_of",
    "yakopcic",
]
