"""One cell's life: windows, programming, pulses, drift, noise and faults of memristive devices, in SI units.

    import device_models as dm
    device = dm.load("generic-rram")
    streams = dm.Streams(seed=0)
    cells = device.fabricate((128, 128), streams)
    cells, report = device.program(cells, targets, streams)      # siemens
    later = device.conductance(device.age(cells, 86400))         # siemens, a day on

A slot of a device takes any class of its family; write your own and let `check_device` hold it to its promises.
`compact` holds circuit models of single devices; `fitting`, which makes a device of measured files, is loaded on first
use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from device_models import (
    compact,
    conduction,
    faults,
    half_select,
    programming,
    read_noise,
    retention,
    tabulated,
    update,
)
from device_models.cards import load, names, save
from device_models.checks import check_device
from device_models.device import Cells, Device, Source, WriteReport
from device_models.errors import InputError, ParameterError
from device_models.streams import Streams
from device_models.window import Window

if TYPE_CHECKING:
    from device_models import fitting

__all__ = [
    "Cells",
    "Device",
    "InputError",
    "ParameterError",
    "Source",
    "Streams",
    "Window",
    "WriteReport",
    "check_device",
    "compact",
    "conduction",
    "faults",
    "fitting",
    "half_select",
    "load",
    "names",
    "programming",
    "read_noise",
    "retention",
    "save",
    "tabulated",
    "update",
]


def __getattr__(name: str) -> Any:
    """`fitting` at its first use: it needs scipy, which takes longer to load than all the rest."""
    if name == "fitting":
        return import_module("device_models.fitting")
    raise AttributeError(f"module 'device_models' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), "fitting"})
