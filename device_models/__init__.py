"""One cell's life: windows, programming, pulses, drift, noise and faults of memristive devices, in SI units.

    import device_models as dm
    device = dm.load("generic-rram")
    streams = dm.Streams(seed=0)
    cells = device.fabricate((128, 128), streams)
    cells, report = device.program(cells, targets, streams)      # siemens
    later = device.conductance(device.age(cells, 86400))         # siemens, a day on

A slot of a device takes any class of its family; write your own and let `check_device` hold it to its promises.
"""

from device_models import conduction, faults, half_select, programming, read_noise, retention, tabulated, update
from device_models.cards import load, names, save
from device_models.checks import check_device
from device_models.device import Cells, Device, Source, WriteReport
from device_models.errors import InputError, ParameterError
from device_models.streams import Streams
from device_models.window import Window

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
    "conduction",
    "faults",
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
