"""Pulse rules: how the gradient of a batch becomes pulses on the cells of a chip, one file per paper."""

from cimsim.learning.rules.base import PulseRule, Step
from cimsim.learning.rules.checks import check_rule
from cimsim.learning.rules.gate_voltage import GateVoltage
from cimsim.learning.rules.manhattan import Manhattan
from cimsim.learning.rules.mixed_precision import MixedPrecision
from cimsim.learning.rules.pulse_count import PulseCount
from cimsim.learning.rules.stochastic import StochasticPulses
from cimsim.learning.rules.threshold import ThresholdSign, ThresholdVerify
from cimsim.learning.rules.tiki_taka import TikiTaka

__all__ = [
    "GateVoltage",
    "Manhattan",
    "MixedPrecision",
    "PulseCount",
    "PulseRule",
    "Step",
    "StochasticPulses",
    "ThresholdSign",
    "ThresholdVerify",
    "TikiTaka",
    "check_rule",
]
