"""Normal numbers by counter: the number for (stream, row, column) is a function of these alone, drawn in any order.

Philox 4x32-10 (Salmon et al., Parallel random numbers: as easy as 1, 2, 3, SC 2011) gives four 32-bit words a counter;
Box and Muller (Ann. Math. Stat. 29, 610 (1958)) make two normal numbers of two words. Logarithm, sine and cosine are
polynomials, so that compilers turn the loops around them into vector instructions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit
from numpy.polynomial import Chebyshev, Polynomial

_M0, _M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_W0, _W1 = np.uint32(0x9E3779B9), np.uint32(0xBB67AE85)
_LOW = np.uint64(0xFFFFFFFF)
_SHIFT = np.uint64(32)
_SQRT_HALF_BITS = np.int32(0x3F3504F3)
_MANTISSA = np.int32(23)
_LN2 = np.float32(np.log(2))


def _fitted(f: Callable[[np.ndarray], np.ndarray], degree: int, low: float, high: float) -> tuple[np.float32, ...]:
    """Coefficients, constant first, of the polynomial through `f` at the Chebyshev points of an interval."""
    fit = Chebyshev.interpolate(f, degree, domain=[low, high]).convert(kind=Polynomial)
    return tuple(np.float32(c) for c in fit.coef)


# Even and odd functions are fitted in the square of their argument; no Chebyshev point falls on 0.
_COS = _fitted(lambda s: np.cos(2 * np.pi * np.sqrt(s)), 6, 0.0, 0.25)
_SIN = _fitted(lambda s: np.sin(2 * np.pi * np.sqrt(s)) / np.sqrt(s), 6, 0.0, 0.25)
_LOG = _fitted(lambda m: np.log1p(m) / m, 8, float(np.sqrt(0.5)) - 1, float(np.sqrt(2)) - 1)


@njit(inline="always")
def philox(c0: Any, c1: Any, c2: Any, c3: Any, k0: Any, k1: Any) -> Any:
    """Four random words, uint32, from a counter of four and a key of two."""
    for _ in range(10):
        p0, p1 = _M0 * np.uint64(c0), _M1 * np.uint64(c2)
        c0, c2 = np.uint32(np.uint32(p1 >> _SHIFT) ^ c1 ^ k0), np.uint32(np.uint32(p0 >> _SHIFT) ^ c3 ^ k1)
        c1, c3 = np.uint32(p1 & _LOW), np.uint32(p0 & _LOW)
        k0, k1 = np.uint32(k0 + _W0), np.uint32(k1 + _W1)
    return c0, c1, c2, c3


@njit(inline="always")
def normal_pair(a: Any, b: Any) -> Any:
    """Two normal numbers, float32, from two random words; the largest is 5.9."""
    u = (np.float32(a >> np.uint32(8)) + np.float32(0.5)) * np.float32(2**-24)
    turn = np.float32(np.int32(b)) * np.float32(2**-32)
    radius = np.sqrt(np.float32(-2) * _log(u))
    square = turn * turn
    return radius * _polynomial(_COS, square), radius * turn * _polynomial(_SIN, square)


@njit(inline="always")
def _log(x: Any) -> Any:
    """Natural logarithm of a normal float32 above 0: exponent and mantissa apart, mantissa in [sqrt(1/2), sqrt(2))."""
    bits = np.float32(x).view(np.int32)
    exponent = np.int32(np.int32(bits - _SQRT_HALF_BITS) >> _MANTISSA)
    m = np.int32(bits - np.int32(exponent << _MANTISSA)).view(np.float32) - np.float32(1)
    return m * _polynomial(_LOG, m) + np.float32(exponent) * _LN2


@njit(inline="always")
def _polynomial(c: Any, x: Any) -> Any:
    y = c[len(c) - 1]
    for k in range(len(c) - 2, -1, -1):
        y = y * x + c[k]
    return y
