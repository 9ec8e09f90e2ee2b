"""
Which dtype modality values have, and how they are computed: decided once, from headers, never from pixels.

Source of the formula ``slope * stored + intercept``: DICOM PS3.3 C.11.1.1.2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from loadstone.errors import MetadataError, UnsupportedError
from loadstone.pixels.ranges import bounds, holds, scaled_ends, smallest, span_of

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Arithmetic", "ScalePlan", "alike", "scale_plan", "widened"]

AnyDtype = np.dtype[Any]

_FLOAT32: Final = np.dtype(np.float32)
_FLOAT64: Final = np.dtype(np.float64)
_FLOAT32_LEAST: Final = float(np.finfo(np.float32).tiny)
_FLOAT32_MOST: Final = float(np.finfo(np.float32).max)
_UINT8: Final = np.dtype(np.uint8)


class Arithmetic(Enum):
    """How the values of the result are computed."""

    COPY = "copy"
    """Not at all; at most converted to a float."""
    INTEGERS = "integers"
    """Integers from integers, exactly."""
    FLOATS = "floats"
    """In float64, rounded once."""
    FLOATS_TO_INTEGERS = "floats to integers"
    """In float64, refused where the result is not an integer."""


@dataclass(frozen=True, slots=True)
class ScalePlan:
    """How stored values become the values of the result."""

    stored: AnyDtype
    """dtype of the stored values."""
    dtype: AnyDtype
    """dtype of the result, native byte order."""
    slope: float
    """Result = slope * stored + intercept."""
    intercept: float
    """See `slope`."""
    requested: bool
    """Whether the caller asked for this dtype, so that it is never widened."""
    arithmetic: Arithmetic
    """How it is computed."""
    least: int | None = None
    """Lowest stored value whose result fits; None where none that the stored dtype can hold is too low."""
    most: int | None = None
    """Highest stored value whose result fits; None where none that the stored dtype can hold is too high."""

    @property
    def identity(self) -> bool:
        """Whether the stored values, viewed as `dtype`, already are the result."""
        return self.arithmetic is Arithmetic.COPY and self.in_place and self.dtype == _viewed(self.stored)

    @property
    def checked(self) -> bool:
        """Whether each frame is looked at, because the headers do not rule out that a value does not fit."""
        return self.least is not None or self.most is not None

    def admits(self, bounds: tuple[int, int] | None) -> bool:
        """Say whether no stored value between two bounds has a result that does not fit; None: any value."""
        if bounds is None:
            return not self.checked
        least, most = bounds
        return (self.least is None or least >= self.least) and (self.most is None or most <= self.most)

    @property
    def in_place(self) -> bool:
        """Whether the result may replace the stored values in their memory: ``stored.view(plan.dtype)``."""
        return self.stored.isnative and self.stored.itemsize == self.dtype.itemsize


def scale_plan(
    stored: AnyDtype,
    slope: float,
    intercept: float,
    *,
    bits_stored: int | None = None,
    dtype: npt.DTypeLike | None = None,
    scaled: bool = True,
    colour: bool = False,
) -> ScalePlan:
    """
    Decide from headers how stored values are scaled, and into which dtype.

    - Identity keeps the stored dtype (bool becomes uint8).
    - Integers with integral slope and intercept: the smallest integer type, not narrower than the stored
      one, that holds the result of every value of `bits_stored` bits.
    - Where all of 16, 32 or 64 bits are declared to be in use, and one bit less would fit the stored width
      (CT with an intercept of -1024): the stored width, signed where the range goes negative.
    - Everything else is computed in float64 and rounded once to float32. It stays float64 for float64, for
      integers of 32 and 64 bits, and where the range of float32 does not suffice.

    Frames are checked wherever a value that the stored dtype can hold would not fit, bits above `bits_stored`
    included: files set them in spite of their headers.

    Parameters
    ----------
    stored
        dtype of the stored values: bool, integer, float; complex only where nothing is applied.
    slope, intercept
        Result = slope * stored + intercept.
    bits_stored
        Bits of a stored integer that carry a value; None: all.
    dtype
        Wanted dtype of the result. Floats are always possible, integers while every value is representable.
    scaled
        False: slope and intercept are not applied, nor looked at.
    colour
        Whether the values are samples of colour, to which slope and intercept do not apply.

    Returns
    -------
    ScalePlan

    Raises
    ------
    MetadataError
        If the slope is 0, a number is not finite or takes the result out of the range of floats,
        `bits_stored` is below 1, or `dtype` is no integer or float of at most 64 bits.
    UnsupportedError
        If `stored` is no dtype of pixels.

    Examples
    --------
    >>> scale_plan(np.dtype(np.uint16), 1, -1024, bits_stored=12).dtype
    dtype('int16')
    """
    slope, intercept = _line(slope, intercept) if scaled and not colour else (1.0, 0.0)
    if stored.kind not in "biuf" and not (stored.kind == "c" and slope == 1 and intercept == 0):
        raise UnsupportedError(
            f"stored values of dtype {stored} cannot be scaled",
            hint="Pixels are bool, integers or floats; complex ones can be had with scaled=False.",
        )
    if dtype is not None:
        return _plan(stored, _wanted(np.dtype(dtype), stored), slope, intercept, requested=True)
    chosen = _chosen(stored, slope, intercept, bits_stored)
    return _plan(stored, chosen, slope, intercept, requested=False)


def widened(plan: ScalePlan) -> ScalePlan:
    """
    Return the plan for a block in which a frame did not fit.

    Parameters
    ----------
    plan
        The plan for which `scale_into` raised `FrameDoesNotFit`, or another one for the same block.

    Returns
    -------
    ScalePlan
        One whose dtype holds the result of every value that the stored dtype can hold, so that it needs no
        check: an integer type, past 64 bits float64. What was scaled before is converted by ``astype``. A
        plan that is not checked, or whose dtype the caller asked for, stays.
    """
    if plan.requested or not plan.checked:
        return plan
    ends = scaled_ends(plan.slope, plan.intercept, span_of(plan.stored))
    return _into(smallest(plan.stored, ends) or _FLOAT64, plan)


def alike(plans: Sequence[ScalePlan]) -> tuple[ScalePlan, ...]:
    """
    Return plans whose results lie in one array.

    Parameters
    ----------
    plans
        Of the parts of the array, each with the dtype that suits it best.

    Returns
    -------
    tuple of ScalePlan
        In the same order, with one dtype that holds what each of theirs holds. They may be widened as before.
    """
    if len({plan.dtype for plan in plans}) < 2:
        return tuple(plans)
    common = np.result_type(*(plan.dtype for plan in plans))
    return tuple(_into(common, plan) for plan in plans)


def _into(dtype: AnyDtype, plan: ScalePlan) -> ScalePlan:
    return _plan(plan.stored, dtype, plan.slope, plan.intercept, requested=plan.requested)


def _line(slope: float, intercept: float) -> tuple[float, float]:
    if slope == 0 or not (math.isfinite(slope) and math.isfinite(intercept)):
        raise MetadataError(
            f"the rescale slope {slope} and intercept {intercept} cannot be applied",
            hint="Load with scaled=False to get the stored values.",
        )
    return float(slope), float(intercept)


def _plan(stored: AnyDtype, dtype: AnyDtype, slope: float, intercept: float, *, requested: bool) -> ScalePlan:
    arithmetic = _arithmetic(stored, dtype, slope, intercept)
    least, most = None, None
    if arithmetic is Arithmetic.INTEGERS:
        least, most = bounds(span_of(stored), span_of(dtype), int(slope), int(intercept))
    return ScalePlan(stored, dtype, slope, intercept, requested, arithmetic, least, most)


def _arithmetic(stored: AnyDtype, dtype: AnyDtype, slope: float, intercept: float) -> Arithmetic:
    if slope == 1 and intercept == 0 and (dtype.kind in "fc" or dtype == _viewed(stored)):
        return Arithmetic.COPY
    if dtype.kind == "f":
        return Arithmetic.FLOATS
    return Arithmetic.INTEGERS if _is_integral(stored, slope, intercept) else Arithmetic.FLOATS_TO_INTEGERS


def _is_integral(stored: AnyDtype, slope: float, intercept: float) -> bool:
    return stored.kind in "biu" and slope.is_integer() and intercept.is_integer()


def _viewed(stored: AnyDtype) -> AnyDtype:
    """Return the dtype of an identity."""
    return _UINT8 if stored.kind == "b" else stored.newbyteorder("=")


def _wanted(dtype: AnyDtype, stored: AnyDtype) -> AnyDtype:
    is_number = dtype.kind in "iuf" and dtype.itemsize <= _FLOAT64.itemsize and stored.kind != "c"
    if not (is_number or dtype == stored != np.bool_):
        raise MetadataError(
            f"pixels of dtype {stored} cannot be loaded with dtype={str(dtype)!r}",
            hint="Ask for an integer or a float of at most 64 bits.",
        )
    return dtype.newbyteorder("=")


def _chosen(stored: AnyDtype, slope: float, intercept: float, bits_stored: int | None) -> AnyDtype:
    if slope == 1 and intercept == 0:
        return _viewed(stored)
    integer = None
    if _is_integral(stored, slope, intercept):
        integer = _integer_dtype(stored, slope, intercept, span_of(stored, bits_stored))
    return integer or _float_dtype(stored, slope, intercept)


def _integer_dtype(
    stored: AnyDtype, slope: float, intercept: float, span: tuple[int, int]
) -> AnyDtype | None:
    ends = scaled_ends(slope, intercept, span)
    found = smallest(stored, ends)
    if found is not None and found.itemsize == stored.itemsize:
        return found
    # Images of 8 bits do use all of them; the last one of 16 declared bits hardly ever.
    if stored.itemsize > 1 and span == span_of(stored):
        same_width = np.dtype(f"{'i' if ends[0] < 0 else 'u'}{stored.itemsize}")
        if holds(same_width, scaled_ends(slope, intercept, span_of(stored, stored.itemsize * 8 - 1))):
            return same_width
    return found


def _float_dtype(stored: AnyDtype, slope: float, intercept: float) -> AnyDtype:
    # Floats hardly ever come near the end of their range, so that their dtype says nothing about overflow.
    largest_stored = 1 if stored.kind == "f" else max(map(abs, span_of(stored)))
    largest = abs(slope) * largest_stored + abs(intercept)
    if math.isinf(largest):
        raise MetadataError(
            f"the rescale slope {slope} and intercept {intercept} take values out of the range of floats",
            hint="Load with scaled=False to get the stored values.",
        )
    keeps_integers = stored.itemsize < _FLOAT32.itemsize or stored == np.float32
    keeps_range = largest <= _FLOAT32_MOST and abs(slope) >= _FLOAT32_LEAST
    return _FLOAT32 if keeps_integers and keeps_range else _FLOAT64
