"""From a measurement to a device: `fit("pulses.csv", "retention.csv")` gives a `Fit`, its `device` a card.

`tables.py` reads files, one module for each kind of measurement fits a slot, `report.py` puts them together, and
`simulate.py` measures a device that does not exist, to plan a measurement that does.
"""

from device_models.fitting.report import Fit, fit
from device_models.fitting.results import Choice, Estimate, SlotFit
from device_models.fitting.simulate import measure
from device_models.fitting.tables import Table, read

__all__ = ["Choice", "Estimate", "Fit", "SlotFit", "Table", "fit", "measure", "read"]
