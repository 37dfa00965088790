"""Sums and logarithms of floats, the same to the last bit however rows are batched or ordered."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_LIMB_BITS = 32
_LIMBS_A_FLOAT = 3
_CHUNK_ROWS = 2**20
"""A float64 holds the sum of this many 32-bit digits exactly, with room to spare."""

_LN2_HIGH = 6.93147180369123816490e-01
_LN2_LOW = 1.90821492927058770002e-10


@dataclass(frozen=True, slots=True)
class ExactSum:
    """The sum of floats as a whole number of ``2**lowest``, written in ``limbs`` digits of 32 bits.

    Float addition depends on its order; whole numbers do not. So sums of parts add up to the sum of the
    whole in any order, a row counted and taken back leaves nothing, and the mean is rounded once, at the
    end. Digits are not carried: each int64 has room for 2^31 rows.

    Of a value the bits below ``2**lowest`` are left out, and it is held within +-2^(lowest + 32 limbs).

    Source: Kulisch (1971), the long accumulator; Neal (2015), Fast exact summation using small and large
    superaccumulators.

    >>> wide = ExactSum(lowest=-256, limbs=18)
    >>> digits = wide.count(np.array([1e30, 1.0, -1e30]))
    >>> wide.total(digits), wide.mean(digits, 4)
    (1.0, 0.25)
    """

    lowest: int
    limbs: int

    @property
    def largest(self) -> float:
        """The largest magnitude a value may have."""
        return math.ldexp(1.0 - 2.0**-53, self.lowest + _LIMB_BITS * self.limbs)

    def count(self, values: FloatArray, codes: IntArray | None = None, cells: int = 1) -> IntArray:
        """Digits (cells * limbs,) of the sums of values (n,), none NaN, by codes (n,) below ``cells``."""
        if codes is None:
            codes = np.zeros(len(values), np.int64)
        digits = np.zeros(cells * self.limbs, np.int64)
        for start in range(0, len(values), _CHUNK_ROWS):
            part = slice(start, start + _CHUNK_ROWS)
            self._add(digits, np.asarray(values[part], np.float64), codes[part] * self.limbs)
        return digits

    def whole(self, digits: IntArray) -> int:
        """The sum as a number of ``2**lowest``."""
        total = 0
        for digit in reversed(digits.tolist()):
            total = (total << _LIMB_BITS) + int(digit)
        return total

    def total(self, digits: IntArray) -> float:
        """The sum, correctly rounded."""
        return self.mean(digits, 1)

    def mean(self, digits: IntArray, rows: int) -> float:
        """The sum over ``rows``, correctly rounded."""
        return float(self.whole(digits) / (rows << -self.lowest))

    def _add(self, digits: IntArray, values: FloatArray, first: IntArray) -> None:
        rest = np.clip(values, -self.largest, self.largest)
        exponents = self.lowest + _LIMB_BITS * np.arange(self.limbs)
        units, inverses = np.ldexp(1.0, exponents), np.ldexp(1.0, -exponents)
        places: list[IntArray | int] = list(range(self.limbs - 1, -1, -1))
        if self.limbs > _LIMBS_A_FLOAT + 1:
            _, exponent = np.frexp(rest)
            top = (exponent.astype(np.int64) - 1 - self.lowest) // _LIMB_BITS
            top = np.clip(top, _LIMBS_A_FLOAT - 1, self.limbs - 1)
            places = [top - step for step in range(_LIMBS_A_FLOAT)]
        single = len(digits) == self.limbs
        for place in places:
            digit = np.trunc(rest * inverses[place])
            rest = rest - digit * units[place]
            if single and isinstance(place, int):
                digits[place] += int(digit.sum())
            else:
                sums = np.bincount(first + place, weights=digit, minlength=len(digits))
                digits += sums.astype(np.int64)


UNIT = ExactSum(lowest=-96, limbs=4)
"""For values of about 1: probabilities, and minus their logarithms."""
WIDE = ExactSum(lowest=-256, limbs=18)
"""For measurements and their squares: from 1e-77 to 1e96."""


def logarithm(values: FloatArray) -> FloatArray:
    """Natural logarithm (n,) of positive floats, within 2 units of the last place.

    Additions, multiplications and divisions only, which every processor rounds alike; the one of numpy
    differs between processors, and so would the state. ln(m 2^e) = e ln 2 + 2 artanh((m - 1)/(m + 1)) with m
    in [sqrt(1/2), sqrt 2) and the series of artanh to the 21st power.

    >>> logarithm(np.array([1.0, math.e, 1e-7])).round(12).tolist()
    [0.0, 1.0, -16.118095650958]
    """
    mantissa, exponent = np.frexp(values)
    low = mantissa < math.sqrt(0.5)
    mantissa = np.where(low, 2 * mantissa, mantissa)
    power = (exponent - low).astype(np.float64)
    ratio = (mantissa - 1) / (mantissa + 1)
    square = ratio * ratio
    series = np.zeros_like(square)
    for odd in range(21, 1, -2):
        series = (series + 1 / odd) * square
    answer: FloatArray = power * _LN2_HIGH + (power * _LN2_LOW + 2 * (ratio + ratio * series))
    return answer
