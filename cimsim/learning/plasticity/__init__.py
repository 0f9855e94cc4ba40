"""Learning by the timing of spikes: rules, neurons that compete, and a layer of a chip that learns without labels."""

from cimsim.learning.plasticity.competition import Competition, Homeostasis
from cimsim.learning.plasticity.feedback import FeedbackAlignment
from cimsim.learning.plasticity.pair import Eligibility, PairSTDP, RewardSTDP, Traces, whole_pulses
from cimsim.learning.plasticity.rectangular import RectangularSTDP
from cimsim.learning.plasticity.stdp import Plastic, stdp
from cimsim.learning.plasticity.trials import Trials, guesser, rewarded

__all__ = [
    "Competition",
    "Eligibility",
    "FeedbackAlignment",
    "Homeostasis",
    "PairSTDP",
    "Plastic",
    "RectangularSTDP",
    "RewardSTDP",
    "Traces",
    "Trials",
    "guesser",
    "rewarded",
    "stdp",
    "whole_pulses",
]
