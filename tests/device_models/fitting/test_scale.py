from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize

from device_models.fitting import scale


def test_one_coefficient_is_the_root_mean_square() -> None:
    e = np.random.default_rng(0).normal(0, 2e-6, 500)
    c = scale.fit(np.ones((500, 1)), e, np.ones((1, 500)), where="", slot="")
    assert c[0, 0] == pytest.approx(np.sqrt(np.mean(e**2)), rel=1e-6)


def test_the_maximum_agrees_with_a_general_optimiser() -> None:
    rng = np.random.default_rng(1)
    g = rng.uniform(0.1, 1, 2000)
    x = scale.powers(g, 1.0, 2)
    e = x @ [0.2, 1.0, -0.6] * rng.standard_normal(2000)
    c = scale.fit(x, e, np.ones((1, 2000)), where="", slot="")[0]

    def cost(c: np.ndarray) -> float:
        return scale.aic(x @ c, e, 0)

    other = optimize.minimize(cost, [0.5, 0.1, 0.0], method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-9,
                                                                                     "maxiter": 4000})  # fmt: skip
    np.testing.assert_allclose(c, other.x, atol=2e-3)
    assert cost(c) <= other.fun + 1e-4


def test_units_scale_out() -> None:
    rng = np.random.default_rng(2)
    x = scale.powers(rng.uniform(0.1, 1, 300), 1.0, 1)
    e = rng.standard_normal(300) * (x @ [0.1, 1.0])
    big = scale.fit(x, e, np.ones((1, 300)), where="", slot="")
    small = scale.fit(x, e * 1e-6, np.ones((1, 300)), where="", slot="")
    np.testing.assert_allclose(small, big * 1e-6, rtol=1e-4)


def test_a_fit_that_does_not_settle_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scale, "STEPS", 1)
    e = np.random.default_rng(0).standard_normal(50)
    with pytest.raises(scale.NotConverged, match=r"a\.csv: the fit of the read-noise slot did not converge"):
        scale.compared({"A": (scale.powers(np.arange(50.0) + 1, 50.0, 1), 0)}, e, where="a.csv", slot="read-noise")
