"""Off-chip training that feels the hardware: cells' errors, stuck cells, converters, drawn at every step."""

from cimsim.learning.aware.hardware import Hardware, Simulation

__all__ = ["Hardware", "Simulation"]
