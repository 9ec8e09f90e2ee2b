"""
Stored values to modality values, as a `ScalePlan` says.

Where headers do not rule out that a value leaves the dtype of the plan, every frame is looked at before it is
scaled, so that nothing ever wraps silently.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from loadstone.errors import MetadataError, PluginContractError
from loadstone.pixels.plan import Arithmetic, ScalePlan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = ["FrameDoesNotFit", "scale", "scale_into"]

AnyArray = npt.NDArray[Any]

_BLOCK: Final = 32768
"""Values computed at a time in float64, so that the buffer stays in the processor's cache."""


class FrameDoesNotFit(OverflowError):  # noqa: N818 - a signal to widen, not a fault
    """A frame holds values that leave the dtype of its plan; `widened` makes a plan that holds them."""


def scale(plan: ScalePlan, stored: AnyArray) -> AnyArray:
    """
    Scale into a new array; an identity gives the memory of `stored` itself.

    Parameters
    ----------
    plan
        From `scale_plan`.
    stored
        Stored values, any shape.

    Returns
    -------
    numpy.ndarray
        Of the shape of `stored` and the dtype of the plan.

    Raises
    ------
    FrameDoesNotFit, MetadataError, PluginContractError
        As `scale_into`.
    """
    if plan.identity and stored.dtype == plan.stored:
        return stored.view(plan.dtype)
    out = np.empty(stored.shape, plan.dtype)
    scale_into(plan, stored, out)
    return out


def scale_into(
    plan: ScalePlan, stored: AnyArray, out: AnyArray, bounds: tuple[int, int] | None = None
) -> None:
    """
    Scale into given memory.

    Parameters
    ----------
    plan
        From `scale_plan`.
    stored
        Stored values, any shape.
    out
        Where the result goes: same shape, dtype of the plan. With ``plan.in_place`` it may be
        ``stored.view(plan.dtype)``. It may overlap C-contiguous stored values that are not wider if no
        result lies behind its stored value: `stored` at the end of the memory of `out`, for example.
    bounds
        Lowest and highest value that `stored` can hold, if somebody has made sure of it.

    Raises
    ------
    FrameDoesNotFit
        If a value leaves the dtype that the headers promised; of integers nothing is written then.
    MetadataError
        If a value leaves the dtype that the caller asked for, or the range of floats.
    PluginContractError
        If `stored` is not of the dtype that the plan was made for.
    """
    if stored.dtype != plan.stored:
        raise PluginContractError(
            f"the stored values are {stored.dtype}, the headers promised {plan.stored}",
            hint="The metadata and the loader of a plugin must agree on the dtype.",
        )
    if not plan.admits(bounds) and stored.size:
        _refuse_misfits(plan, stored)
    _METHODS[plan.arithmetic](plan, stored, out)


def _copy(plan: ScalePlan, stored: AnyArray, out: AnyArray) -> None:
    if plan.identity and _is_same_memory(stored, out):
        return
    with _float_overflow_refused(plan):
        for values, target in _parts(stored, out):
            np.copyto(target, values, casting="unsafe")


def _parts(stored: AnyArray, out: AnyArray) -> Iterator[tuple[AnyArray, AnyArray]]:
    """Yield both whole; where they overlap, piece by piece, since numpy copies what it would overwrite."""
    contiguous = stored.flags.c_contiguous and out.flags.c_contiguous
    # Values of equal size lie in the same memory, which numpy sees, or do not overlap.
    if stored.itemsize == out.itemsize or not contiguous or not np.may_share_memory(stored, out):
        yield stored, out
        return
    stored, out = stored.reshape(-1), out.reshape(-1)
    for start in range(0, stored.size, _BLOCK):
        yield stored[start : start + _BLOCK], out[start : start + _BLOCK]


def _is_same_memory(stored: AnyArray, out: AnyArray) -> bool:
    is_same_start = stored.__array_interface__["data"][0] == out.__array_interface__["data"][0]
    return is_same_start and stored.strides == out.strides and stored.shape == out.shape


def _integers(plan: ScalePlan, stored: AnyArray, out: AnyArray) -> None:
    """
    Compute modulo 2**n, where n is the width of the result.

    Taking the remainder commutes with sum, product and the casts between integer types. Whatever wraps on the
    way, the result is right modulo 2**n; after the check it lies in the range of the dtype, where no two
    values have the same remainder.
    """
    dtype = plan.dtype
    slope, intercept = _remainder(plan.slope, dtype), _remainder(plan.intercept, dtype)
    if plan.in_place and slope == 1:
        # A ufunc casts through buffers, which takes four times as long as a view.
        np.add(stored.view(dtype), intercept, out=out)
        return
    for values, target in _parts(stored.view(dtype) if plan.in_place else stored, out):
        if slope != 1:
            np.multiply(values, slope, out=target, dtype=dtype, casting="unsafe")
            values = target  # noqa: PLW2901 - the sum is taken of the product
        np.add(values, intercept, out=target, dtype=dtype, casting="unsafe")


@lru_cache(maxsize=64)  # every image of a series asks for the same
def _remainder(value: float, dtype: np.dtype[Any]) -> Any:  # noqa: ANN401 - numpy's scalar of that dtype
    """Return what an integral value is modulo 2**n, as a value of the dtype."""
    limits = np.iinfo(dtype)
    return dtype.type((int(value) - int(limits.min)) % (1 << limits.bits) + int(limits.min))


def _refuse_misfits(plan: ScalePlan, stored: AnyArray) -> None:
    if plan.least is not None and (lowest := int(stored.min())) < plan.least:
        raise _misfit(plan, lowest)
    if plan.most is not None and (highest := int(stored.max())) > plan.most:
        raise _misfit(plan, highest)


def _misfit(plan: ScalePlan, value: float) -> FrameDoesNotFit | MetadataError:
    what = f"the stored value {value} * {plan.slope} + {plan.intercept} is no {plan.dtype}"
    if not plan.requested:
        return FrameDoesNotFit(what)
    return MetadataError(what, hint="Ask for a wider dtype, a float, or none to let the headers decide.")


def _floats(plan: ScalePlan, stored: AnyArray, out: AnyArray) -> None:
    with _float_overflow_refused(plan):
        for _, values, target in _computed(plan, stored, out):
            np.copyto(target, values, casting="same_kind")


def _floats_to_integers(plan: ScalePlan, stored: AnyArray, out: AnyArray) -> None:
    limits = np.iinfo(plan.dtype)
    low, end = float(limits.min), float(int(limits.max) + 1)  # powers of two: exact
    with _float_overflow_refused(plan):
        for source, values, target in _computed(plan, stored, out):
            fits = (values >= low) & (values < end) & (values == np.rint(values))
            if not fits.all():
                raise _misfit(plan, source[~fits][0])
            np.copyto(target, values, casting="unsafe")


def _computed(
    plan: ScalePlan, stored: AnyArray, out: AnyArray
) -> Iterator[tuple[AnyArray, AnyArray, AnyArray]]:
    """Yield blocks of stored values, their results in float64, and where the results go."""
    if stored.flags.c_contiguous and out.flags.c_contiguous:
        stored, out = stored.reshape(-1), out.reshape(-1)
    step = max(1, _BLOCK * len(stored) // max(1, stored.size))
    buffer = np.empty((min(step, len(stored)), *stored.shape[1:]))
    for start in range(0, len(stored), step):
        source = stored[start : start + step]
        values = buffer[: len(source)]
        np.multiply(source, plan.slope, out=values, dtype=np.float64, casting="same_kind")
        np.add(values, plan.intercept, out=values)
        yield source, values, out[start : start + step]


@contextmanager
def _float_overflow_refused(plan: ScalePlan) -> Iterator[None]:
    try:
        # A signalling NaN in the file is invalid to compute with, and comes out as an ordinary one.
        with np.errstate(over="raise", invalid="ignore"):
            yield
    except FloatingPointError as error:
        raise MetadataError(
            f"with slope {plan.slope} and intercept {plan.intercept}, values leave the range of {plan.dtype}",
            hint="Ask for dtype='float64', or load with scaled=False.",
        ) from error


_METHODS: Final[Mapping[Arithmetic, Callable[[ScalePlan, AnyArray, AnyArray], None]]] = {
    Arithmetic.COPY: _copy,
    Arithmetic.INTEGERS: _integers,
    Arithmetic.FLOATS: _floats,
    Arithmetic.FLOATS_TO_INTEGERS: _floats_to_integers,
}
