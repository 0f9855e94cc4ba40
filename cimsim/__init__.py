"""What will my network do on my memristor chip?

import cimsim as cim
(x, y), (x_test, y_test) = cim.datasets.load("digits")
net = cim.train(cim.mlp([64, 32, 10]), x, y, epochs=15, seed=0)
spec = cim.ChipSpec(device="generic-rram", adc=cim.ADC(bits=6))
chip = cim.program(net, spec, calibrate=x[:256], seed=1)
print(cim.accuracy(chip, x_test, y_test, seed=0))
"""

from importlib.metadata import version

from cimsim import datasets, plots
from cimsim.chip import Chip, ChipSpec, program
from cimsim.crossbar.converters import ADC, DAC, FlashADC, LogADC, RampADC, SarADC
from cimsim.crossbar.integrate import Integrate
from cimsim.crossbar.mapping import BitSlices, DifferentialPair, OffsetColumn
from cimsim.crossbar.single import SingleCell
from cimsim.crossbar.wires import Wires
from cimsim.interchange import export, load_network, save_network
from cimsim.learning import plasticity, rules
from cimsim.learning.aware import Hardware
from cimsim.learning.conversion import to_spiking
from cimsim.learning.hybrid import Hybrid, hybrid
from cimsim.learning.offchip import train
from cimsim.learning.onchip import fine_tune
from cimsim.learning.plasticity import stdp
from cimsim.learning.rules import check_rule
from cimsim.network.activity import activity
from cimsim.network.build import AvgPool, Conv, Linear, MaxPool, Recurrent, RecurrentConv, cnn
from cimsim.network.evaluate import accuracy, confusion
from cimsim.network.network import Network, mlp
from cimsim.network.norm import fold
from cimsim.network.spiking import snn
from cimsim.study.runner import run_study
from cimsim.study.study import Study
from cimsim.study.sweep import sweep
from device_models.errors import InputError, ParameterError

__version__ = version("cimsim")

__all__ = [
    "ADC",
    "DAC",
    "AvgPool",
    "BitSlices",
    "Chip",
    "ChipSpec",
    "Conv",
    "DifferentialPair",
    "FlashADC",
    "Hardware",
    "Hybrid",
    "InputError",
    "Integrate",
    "Linear",
    "LogADC",
    "MaxPool",
    "Network",
    "OffsetColumn",
    "ParameterError",
    "RampADC",
    "Recurrent",
    "RecurrentConv",
    "SarADC",
    "SingleCell",
    "Study",
    "Wires",
    "accuracy",
    "activity",
    "check_rule",
    "cnn",
    "confusion",
    "datasets",
    "export",
    "fine_tune",
    "fold",
    "hybrid",
    "load_network",
    "mlp",
    "plasticity",
    "plots",
    "program",
    "rules",
    "run_study",
    "save_network",
    "snn",
    "stdp",
    "sweep",
    "to_spiking",
    "train",
]
