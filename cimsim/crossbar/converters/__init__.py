"""DACs and ADCs: what the periphery of a tile does to voltages and currents, in passes and codes."""

from cimsim.crossbar.converters.adc import ADC, AnyADC, FlashADC, LogADC, RampADC, SarADC
from cimsim.crossbar.converters.bank import AdcBank
from cimsim.crossbar.converters.dac import DAC, InputScale
from cimsim.crossbar.converters.lines import LineErrors, shared_lines
from cimsim.crossbar.converters.ranges import choose_range, choose_ranges, tile_ranges

__all__ = [
    "ADC",
    "DAC",
    "AdcBank",
    "AnyADC",
    "FlashADC",
    "InputScale",
    "LineErrors",
    "LogADC",
    "RampADC",
    "SarADC",
    "choose_range",
    "choose_ranges",
    "shared_lines",
    "tile_ranges",
]
