"""Ranges of integers, and the types that hold them; in Python's integers, so that nothing overflows."""

from __future__ import annotations

from typing import Any

import numpy as np

from loadstone.errors import MetadataError

__all__ = ["bounds", "holds", "scaled_ends", "smallest", "span_of"]

AnyDtype = np.dtype[Any]


def span_of(dtype: AnyDtype, bits: int | None = None) -> tuple[int, int]:
    """
    Return the lowest and highest integer of so many bits, at most those of the dtype; None: all of them.

    Raises
    ------
    MetadataError
        If there are no bits.
    """
    if bits is not None and bits < 1:
        raise MetadataError(f"{bits} bits are said to carry the value of a sample")
    width = 1 if dtype.kind == "b" else dtype.itemsize * 8
    bits = width if bits is None else min(bits, width)
    return (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if dtype.kind == "i" else (0, (1 << bits) - 1)


def scaled_ends(slope: float, intercept: float, span: tuple[int, int]) -> tuple[int, int]:
    """Return the lowest and highest result, exactly, for an integral slope and intercept."""
    low, high = sorted(int(slope) * end + int(intercept) for end in span)
    return low, high


def smallest(stored: AnyDtype, ends: tuple[int, int]) -> AnyDtype | None:
    """Return the smallest integer type, not narrower than the stored one, that holds both ends."""
    kinds = "iu" if stored.kind == "i" else "ui"
    types = (np.dtype(f"{kind}{size}") for size in (1, 2, 4, 8) for kind in kinds if size >= stored.itemsize)
    return next((each for each in types if holds(each, ends)), None)


def holds(dtype: AnyDtype, ends: tuple[int, int]) -> bool:
    """Say whether an integer type holds both ends."""
    low, high = span_of(dtype)
    return low <= ends[0] and ends[1] <= high


def bounds(
    stored: tuple[int, int], result: tuple[int, int], slope: int, intercept: int
) -> tuple[int | None, int | None]:
    """Return the lowest and highest stored value whose result fits; None for an end that cannot be passed."""
    low, high = result
    if slope < 0:
        slope, intercept, low, high = -slope, -intercept, -high, -low
    least = -((intercept - low) // slope)
    most = (high - intercept) // slope
    return (least if least > stored[0] else None), (most if most < stored[1] else None)
