"""Files that other tools read: weights (safetensors, npz), conductance and tile maps, specs, netlists. No pickle."""

from cimsim.interchange.chips import export
from cimsim.interchange.networks import load_network, save_network

__all__ = ["export", "load_network", "save_network"]
