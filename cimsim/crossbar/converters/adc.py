"""The kinds of ADC: where each kind's codes begin, and what they are taken for.

A kind says at which shares of its range codes begin (`transitions`); all else, from shared converters to noise, is one
for all kinds. Integral and differential nonlinearity are those of IEEE Std 1241-2010: the distance of a transition
from the straight line through the first and the last, and a code's width less one, in codes (LSB).
"""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import BeforeValidator, Field, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from cimsim.crossbar.converters.lines import Converter, LineErrors, check_order
from device_models.parameters import FloatPair, RuleBroken, Spread, Variant

MOST_TABLE_BITS = 12  # of a kind whose transitions are kept one by one: 4096 numbers a converter


class AnyADC(Variant, Converter):
    """Analogue-to-digital converter of each column, or of `share` neighbouring columns of an array in turn.

    `range` in amperes, None to measure it by calibration: "percentile" covers the central `percentile` % of the
    currents seen, "minmax" all of them, "mse" the share that minimises the mean squared error of evenly spaced codes.
    One range serves a whole layer, a tile or a converter (`per="column"`). `offset_spread` and `noise` are fractions
    of the range.
    """

    range: FloatPair | None = Field(default=None, description="amperes")
    calibration: Literal["percentile", "minmax", "mse"] = "mse"
    percentile: float = Field(default=99.9, gt=50, le=100)
    per: Literal["layer", "tile", "column"] = "layer"
    share: int = Field(default=1, ge=1, description="columns")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        check_order(self.range, "amperes")
        return self

    @abc.abstractmethod
    def transitions(self, errors: LineErrors, n: int) -> np.ndarray | None:
        """Shares of the range at which codes 1, 2, ... begin, `(n, 2^bits - 1)` for n converters; None where evenly."""

    def gains(self, errors: LineErrors, n: int) -> np.ndarray:
        """Factor on the current of each of n converters."""
        return np.asarray(1 + self.gain_spread * errors.gain[:n])

    def currents(self, shares: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        """Currents in amperes at shares of ranges `low` to `high`."""
        return np.asarray(low + shares * (high - low))

    def even(self) -> np.ndarray:
        """Transitions of an ideal converter, shares of the range `(2^bits - 1,)`."""
        return np.asarray(np.arange(1, 2**self.bits) / 2**self.bits)

    def _check_table(self) -> None:
        if self.bits > MOST_TABLE_BITS:
            rule = f"bits must be at most {MOST_TABLE_BITS} where every transition has an error of its own"
            raise RuleBroken(rule, "use fewer bits, or a plain ADC", str(self.bits))

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """As any family's, but a table without `kind` is a uniform ADC."""
        found = super().__get_pydantic_json_schema__(schema, handler)
        for member in found.get("anyOf", [found]):
            if member.get("properties", {}).get("kind") == {"const": "ADC"}:
                member["required"] = [name for name in member["required"] if name != "kind"]
        return found


class ADC(AnyADC):
    """Uniform converter, ideal without errors.

    `dnl` is the standard deviation of a code's width, in codes; widths are independent but for their sum, so that
    INL wanders between the ends of the range, which belong to gain and offset. Widths are never below 0. `inl` is the
    standard deviation of a bow, in codes at the middle of the range: transitions at share u move by 4 u (1 - u) of it.
    """

    dnl: Spread = 0.0
    inl: Spread = 0.0

    @model_validator(mode="after")
    def _fits_table(self) -> Self:
        if self.dnl or self.inl:
            self._check_table()
        return self

    def transitions(self, errors: LineErrors, n: int) -> np.ndarray | None:
        """Sums of uneven widths, and a bow; None where both are switched off."""
        if not self.dnl and not self.inl:
            return None
        codes, u = 2**self.bits, np.tile(self.even(), (n, 1))
        if self.dnl:
            widths = np.maximum(1 + self.dnl * errors.normal("dnl", (n, codes)), 0)
            u = np.cumsum(widths, axis=1)[:, :-1] / widths.sum(axis=1, keepdims=True)
        if self.inl:
            u = u + self.inl / codes * errors.normal("inl", (n, 1)) * 4 * u * (1 - u)
        return np.asarray(np.sort(u, axis=1))


class SarADC(AnyADC):
    """Successive approximation against a binary-weighted array of capacitors: McCreary and Gray, JSSC 10, 371 (1975).

    Capacitor j is 2^j unit capacitors, and one more ends the array. `mismatch` is the relative standard deviation of a
    unit, so that of capacitor j is less by 2^(j/2). Each bit is decided by one comparison with the sum of capacitors
    tried: where mismatch makes a sum smaller than a lower code's, codes are missing.
    """

    mismatch: Spread = 0.0

    @model_validator(mode="after")
    def _fits_table(self) -> Self:
        if self.mismatch:
            self._check_table()
        return self

    def transitions(self, errors: LineErrors, n: int) -> np.ndarray | None:
        """Sums of capacitors over that of all, in the order of codes: they need not rise."""
        if not self.mismatch:
            return None
        units, z = 2.0 ** np.arange(self.bits), errors.normal("capacitors", (n, self.bits + 1))
        capacitors = np.maximum(units + self.mismatch * np.sqrt(units) * z[:, 1:], 0)
        last = np.maximum(1 + self.mismatch * z[:, :1], 0)
        tried = (np.arange(1, 2**self.bits)[:, None] >> np.arange(self.bits)) & 1
        return np.asarray(capacitors @ tried.T / (capacitors.sum(axis=1, keepdims=True) + last))


class RampADC(AnyADC):
    """A counter stopped where a ramp, common to all columns of a tile, passes the column's current.

    Offsets are the comparators', one each; the gain is that of the one ramp. The ramp is charged through a finite
    resistance: `droop` is the time of a ramp over that time constant, and u = (1 - exp(-droop t)) / (1 - exp(-droop))
    of the range is reached at share t of the time, which bows every column alike. See Razavi, Principles of Data
    Conversion System Design (1995).
    """

    droop: float = Field(default=0.0, ge=0, le=20, description="ramp time over time constant")

    @model_validator(mode="after")
    def _fits_table(self) -> Self:
        if self.droop:
            self._check_table()
        return self

    def transitions(self, errors: LineErrors, n: int) -> np.ndarray | None:
        """Where the ramp is at each count; None where it is straight."""
        if not self.droop:
            return None
        return np.tile(np.expm1(-self.droop * self.even()) / np.expm1(-self.droop), (n, 1))

    def gains(self, errors: LineErrors, n: int) -> np.ndarray:
        """The ramp's gain, the same for all columns."""
        return np.full(n, 1 + self.gain_spread * float(errors.gain[0]), np.float32)


class FlashADC(AnyADC):
    """One comparator per transition, all at once; the code is the number of them that fire.

    `comparator_offset` is the standard deviation of their thresholds, as a fraction of the range. Comparators out of
    order do no harm to the count (a ones-counter behind them; Razavi, Principles of Data Conversion System Design,
    1995).
    """

    comparator_offset: Spread = 0.0

    @model_validator(mode="after")
    def _fits_table(self) -> Self:
        if self.comparator_offset:
            self._check_table()
        return self

    def transitions(self, errors: LineErrors, n: int) -> np.ndarray | None:
        """The thresholds in order."""
        if not self.comparator_offset:
            return None
        moved = self.even() + self.comparator_offset * errors.normal("comparators", (n, 2**self.bits - 1))
        return np.sort(moved, axis=1)


class LogADC(AnyADC):
    """Logarithmic converter: codes evenly spaced in F(x) = sign(x) ln(1 + mu |x|) / ln(1 + mu), x over full scale.

    Fine codes for small currents, coarse ones for large: Smith, Bell Syst. Tech. J. 36, 653 (1957). Full scale is the
    end of the range that is further from 0; in a range that holds 0, 0 A is in the middle of a code. Its range is
    measured by "minmax" or "percentile": large currents cost few codes, so there is nothing to draw in.
    """

    mu: float = Field(default=255.0, gt=0, le=1e6)
    calibration: Literal["percentile", "minmax"] = "minmax"

    @model_validator(mode="after")
    def _fits_table(self) -> Self:
        self._check_table()
        return self

    def transitions(self, errors: LineErrors, n: int) -> np.ndarray:
        """Even in F."""
        return np.tile(self.even(), (n, 1))

    def currents(self, shares: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        """Currents in amperes at shares of the range of F."""
        full = np.maximum(np.abs(low), np.abs(high))
        first, last = with_zero_on_a_code(self.bits, self._compressed(low / full), self._compressed(high / full))
        y = first + shares * (last - first)
        x = np.sign(y) * np.expm1(np.abs(y) * np.log1p(self.mu)) / self.mu
        return np.asarray(full * np.where(np.abs(x) < 1e-12, 0.0, x))

    def _compressed(self, x: np.ndarray) -> np.ndarray:
        return np.asarray(np.sign(x) * np.log1p(self.mu * np.abs(x)) / np.log1p(self.mu))


def with_zero_on_a_code(bits: int, low: Any, high: Any) -> tuple[np.ndarray, np.ndarray]:
    """The narrowest ranges of 2^bits codes that cover the given ones and have 0 in the middle of a code.

    Ranges that do not hold 0, and those of one bit, stay as they are.
    """
    low, high = np.asarray(low, np.float64), np.asarray(high, np.float64)
    held, codes = (low <= 0) & (high >= 0) & (low < high) & (bits > 1), 2**bits
    below = np.trunc(np.where(held, -low / np.where(held, high - low, 1.0), 0.0) * codes - 0.5)
    tried = [np.minimum(below + k, codes - 1) for k in (0, 1)]
    steps = [np.maximum(-low / (k + 0.5), high / (codes - k - 0.5)) for k in tried]
    step, below = (np.where(steps[0] <= steps[1], *pair) for pair in (steps, tried))
    return np.where(held, -(below + 0.5) * step, low), np.where(held, (codes - below - 0.5) * step, high)


def _uniform_unless_named(value: Any) -> Any:
    return {"kind": "ADC", **value} if isinstance(value, Mapping) else value


ADCChoice = Annotated[AnyADC, BeforeValidator(_uniform_unless_named)]  # a table without `kind` is a uniform ADC
