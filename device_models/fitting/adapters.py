"""Measured files that do not follow our columns, recognised by their structure and read as they lie."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from device_models.errors import InputError
from device_models.fitting import tables
from device_models.fitting.tables import Table

READ_VOLTAGE = 0.1  # volts
NORMALISED = (1e-6, 10e-6)  # siemens given to the ends of weights without a unit


def read(path: str | Path) -> list[Table]:
    """The tables of a measured file: one of our CSV files, or one of the layouts below.

    Raises:
        InputError: no such file, or a layout that none of these is.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(path.name, "must be an existing file", "nothing there", "check the path")
    if path.name.endswith((".tsv.gz", ".tsv")):
        return _tab_separated(path)
    first = _first_line(path)
    if _numeric(first) and len(first) == 2:
        return [_two_columns(path)]
    if len(first) > 1 and all(name.startswith("rmp") for name in first):
        return [_ramps(path, len(first))]
    return [tables.read(path)]


def _first_line(path: Path) -> list[str]:
    try:
        with path.open(encoding="utf-8-sig") as file:
            return [field.strip() for field in file.readline().split(",")]
    except UnicodeDecodeError:
        raise InputError(path.name, "must be a CSV table", "binary data", "export it as text") from None


def _numeric(fields: list[str]) -> bool:
    try:
        return all(np.isfinite(float(field)) for field in fields)
    except ValueError:
        return False


def _two_columns(path: Path) -> Table:
    """Two columns without a header: the weight after each pulse up, and after each pulse down."""
    import pandas as pd

    weights = pd.read_csv(path, header=None, encoding="utf-8-sig").to_numpy(dtype=np.float64)
    low, high = weights.min(), weights.max()
    g = NORMALISED[0] + (NORMALISED[1] - NORMALISED[0]) * (weights - low) / (high - low)
    n = len(weights)
    said = (
        "columns without names: taken as the weight after each pulse up and after each pulse down",
        f"weights without a unit: {low:g} to {high:g} laid on {NORMALISED[0] * 1e6:g} to {NORMALISED[1] * 1e6:g} µS",
    )
    pulse, polarity = np.tile(np.arange(1, n + 1), 2), np.repeat([1, -1], n)
    return tables.make("pulses", {"pulse": pulse, "polarity": polarity, "g": g.T.ravel()}, path.name, said)


def _ramps(path: Path, columns: int) -> Table:
    """One ramp of pulses to a column, read currents in amperes, short ramps padded with empty cells."""
    import pandas as pd

    current = pd.read_csv(path).to_numpy(dtype=np.float64)
    inside = np.isfinite(current)
    rises = np.nanmean([c[ok][-1] - c[ok][0] for c, ok in zip(current.T, inside.T, strict=True)]) > 0
    said = (
        f"columns rmp1 to rmp{columns}: one ramp of pulses {'up' if rises else 'down'} (by their trend) each, one cell",
        f"currents in amperes, read at {READ_VOLTAGE:g} V",
    )
    cycle, pulse = np.nonzero(inside.T)
    g = current.T[inside.T] / READ_VOLTAGE
    polarity = np.full(g.size, 1 if rises else -1)
    return tables.make("pulses", {"cycle": cycle, "pulse": pulse, "polarity": polarity, "g": g}, path.name, said)


def _tab_separated(path: Path) -> list[Table]:
    import pandas as pd

    columns = pd.read_csv(path, sep="\t", header=None, nrows=1).shape[1]
    layouts: list[tuple[bool, Callable[[Path], list[Table]]]] = [
        (columns == 7, _relaxation),
        (columns == 5, _bake),
        (columns > 100, _series),
    ]
    for fits, layout in layouts:
        if fits:
            return layout(path)
    raise InputError(path.name, "must have the 5, 7 or more than 100 columns of a known layout", columns, "give a CSV")


def _relaxation(path: Path) -> list[Table]:
    """Cell address, time since programming, resistance, conductance, initial conductance, range, nominal time."""
    import pandas as pd

    frame = pd.read_csv(path, sep="\t", header=None)
    even = frame[frame[0] % 2 == 0].drop_duplicates([0, 6])
    said = (
        "columns: address, seconds, ohm, siemens, initial siemens, range, nominal seconds",
        "odd addresses left out (other half of a 2T2R pair)",
        "target: the conductance read right after programming",
        "times as planned, not as measured cell by cell",
    )
    columns = {"device": even[0], "t": even[6], "g": even[3], "g_target": even[4]}
    arrays = {name: values.to_numpy() for name, values in columns.items()}
    return [tables.make("retention", arrays, path.name, said)]


def _bake(path: Path) -> list[Table]:
    """Cell address, time, resistance, conductance, bake temperature in degrees Celsius: the coolest bake alone."""
    import pandas as pd

    frame = pd.read_csv(path, sep="\t", header=None)
    coolest = frame[4].min()
    cool = frame[(frame[4] == coolest)]
    before = cool[cool[1] == 0].drop_duplicates(0).set_index(0)[3]
    cool = cool[cool[0].isin(before.index)]
    seconds = cool[1].to_numpy()
    planned = float(np.median(seconds[seconds > 0]))
    said = (
        "columns: address, seconds, ohm, siemens, degrees Celsius",
        f"only the bake at {coolest:g} degrees Celsius: the law holds at that temperature",
        f"one time for all cells, {planned:.4g} s",
    )
    t = np.where(seconds > 0, planned, 0.0)
    columns = {"device": cool[0], "g": cool[3], "g_target": before.loc[cool[0]]}
    arrays = {name: values.to_numpy() for name, values in columns.items()} | {"t": t}
    return [tables.make("retention", arrays, path.name, said)]


def _series(path: Path) -> list[Table]:
    """Range, 0, then conductances read 400 times a second: one cell to a row."""
    import gzip

    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt") as file:
        g = np.array([line.split("\t")[2:] for line in file], dtype=np.float64)
    t = np.arange(1, g.shape[1] + 1) / 400.0
    said = ("one cell to a row, siemens from the third column on", "read 400 times a second from the write on")
    device, index = np.indices(g.shape)
    return [tables.make("reads", {"device": device.ravel(), "t": t[index.ravel()], "g": g.ravel()}, path.name, said)]


def read_all(paths: Iterator[str | Path] | list[str | Path]) -> list[Table]:
    """The tables of several files, those of one kind joined."""
    return tables.merged([table for path in paths for table in read(path)])
