"""Response to pulses: long-term potentiation (LTP) and depression (LTD), one law per class.

`base.py` holds the slot and what laws share, `affine.py` the laws whose trains have a closed form, `exponential.py`
the one of the literature's nonlinearity labels, `iterated.py` and `decaying.py` those applied pulse by pulse,
`ramped.py` non-identical pulses.
"""

from device_models.update.affine import LinearStepUpdate, LinearUpdate, SoftBoundsUpdate
from device_models.update.base import StepUpdate, Update
from device_models.update.decaying import DecayingStepUpdate
from device_models.update.exponential import LABEL_SCALE, ExponentialUpdate, bends, curve_constant
from device_models.update.iterated import ExponentialStepUpdate, PowerStepUpdate
from device_models.update.ramped import PulseScheme, RampedUpdate

__all__ = [
    "LABEL_SCALE",
    "DecayingStepUpdate",
    "ExponentialStepUpdate",
    "ExponentialUpdate",
    "LinearStepUpdate",
    "LinearUpdate",
    "PowerStepUpdate",
    "PulseScheme",
    "RampedUpdate",
    "SoftBoundsUpdate",
    "StepUpdate",
    "Update",
    "bends",
    "curve_constant",
]
