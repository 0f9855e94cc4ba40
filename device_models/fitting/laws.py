"""From the straight line of a mean step to the parameters of the laws that have one."""

from __future__ import annotations

import numpy as np

from device_models.fitting.affine import Affine
from device_models.fitting.trains import SIGNS
from device_models.update import LABEL_SCALE, ExponentialUpdate, LinearUpdate, SoftBoundsUpdate, StepUpdate

LAWS: dict[str, type[StepUpdate]] = {
    "exponential": ExponentialUpdate,
    "linear": LinearUpdate,
    "soft bounds": SoftBoundsUpdate,
}
SIGNED = ("nl_up", "nl_down", "asymmetry")
UNITS = {"step_size": "S", "read_noise.std": "S"}


def parameters(law: str, fits: dict[int, Affine], span: float) -> dict[str, np.ndarray]:
    """Parameters of a law for each sample: r and b of both polarities in the names of its class."""
    steps = {sign: one.b for sign, one in fits.items()}
    up, down = steps.get(1, steps.get(-1)), steps.get(-1, steps.get(1))
    assert up is not None
    assert down is not None
    c2c = np.sqrt(np.mean([one.process for one in fits.values()], axis=0))
    if law == "linear":
        return {"step_size": (up + down) / 2 * span, "asymmetry": (up - down) / (up + down), "c2c": c2c}
    if law == "soft bounds":
        return {"rate": (up + down) / 2, "asymmetry": (up - down) / (up + down), "c2c": c2c}
    found: dict[str, np.ndarray] = {}
    for sign, name in SIGNS.items():
        one = fits.get(sign, fits.get(-sign))
        assert one is not None
        with np.errstate(invalid="ignore", divide="ignore"):
            bend = -np.log1p(-(1 - one.r) / one.b)
            found[f"pulses_{name}"] = np.where(np.abs(one.r - 1) < 1e-9, 1 / one.b, -bend / np.log(one.r))
        found[f"nl_{name}"] = sign * label(bend)
    return found | {"c2c": c2c}


def label(bend: np.ndarray) -> np.ndarray:
    """The literature's nonlinearity label of curves with P_max / A = bend: the inverse of `curve_constant`."""
    size = np.maximum(np.abs(bend), 1e-3)
    d = -np.expm1(-size)
    exact = LABEL_SCALE * ((1 - d / size) / d + np.log(d / size) / size)
    signed: np.ndarray = np.sign(bend) * np.where(np.abs(bend) > 1e-3, exact, LABEL_SCALE * np.abs(bend) / 8)
    return signed


def update(law: str, values: dict[str, float]) -> StepUpdate:
    """The slot of a law; numbers of pulses are rounded, labels and the asymmetry held in their ranges."""
    given = dict(values)
    for name in ("pulses_up", "pulses_down"):
        if name in given:
            given[name] = max(1, round(given[name]))
    for name, reach in (("nl_up", 9.0), ("nl_down", 9.0), ("asymmetry", 1.0)):
        if name in given:
            given[name] = float(np.clip(given[name], -reach, reach))
    made: StepUpdate = LAWS[law](**given)
    return made
