"""The memory of a volume, and how stored values of a slice get into it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from loadstone import pixels
from loadstone.errors import IntegrityError
from loadstone.image_loading import readonly
from loadstone.volume.memory import ZEROED, Allocation

if TYPE_CHECKING:
    from loadstone.volume.shear import Shear

__all__ = ["Block", "tail"]


def tail(array: npt.NDArray[Any], stored: np.dtype[Any]) -> npt.NDArray[Any]:
    """Return the end of a C-contiguous array's memory as as many values of a dtype that is not wider."""
    flat = array.reshape(-1).view(np.uint8)
    end: npt.NDArray[Any] = flat[flat.nbytes - array.size * stored.itemsize :].view(stored)
    return end.reshape(array.shape)


class Block:
    """
    One zeroed array that images are written into.

    Parameters
    ----------
    shape
        Of the array.
    slice_shape
        Of one image: the trailing axes.
    dtype
        Of the array.
    allocation
        Where its memory is.
    is_own
        Whether callers may write to it from the start.
    shear
        How slices are moved within their planes; None: they stay as they are.

    Attributes
    ----------
    array : numpy.ndarray
        The writable array, never handed out.
    view : numpy.ndarray
        The same memory, read-only for good.
    shown : numpy.ndarray
        What callers see: `view`, or `array` where the memory is the caller's own.
    slices : numpy.ndarray
        `array` with all leading axes as one.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        slice_shape: tuple[int, ...],
        dtype: np.dtype[Any],
        allocation: Allocation = "ram",
        *,
        is_own: bool = False,
        shear: Shear | None = None,
    ) -> None:
        self.shear = shear
        self.array = ZEROED[allocation](shape, dtype)
        self.view = readonly(self.array)
        self.shown = self.array if is_own else self.view
        self.slices = self.array.reshape(-1, *slice_shape)

    def slot(self, index: int, shape: tuple[int, ...], stored: np.dtype[Any]) -> npt.NDArray[Any] | None:
        """
        Return memory for an image's `stored` values in its slice, or None if they do not fit there.

        Values that are narrower than those of the volume lie at the end of the slice: scaled in ascending
        order to its front, none is overwritten before it was read.
        """
        into = self.slices[index]
        if shape != into.shape or stored.itemsize > into.itemsize:
            return None
        return into.view(stored) if stored.itemsize == into.itemsize else tail(into, stored)

    def place(
        self,
        index: int,
        stored: npt.NDArray[Any],
        plan: pixels.ScalePlan,
        identity: str,
        bounds: tuple[int, int] | None = None,
    ) -> None:
        """
        Scale stored values into their slice; they may already lie in it, and be known to lie in bounds.

        Raises
        ------
        IntegrityError
            If the image has another size than its metadata promised.
        FrameDoesNotFit
            If a value does not fit the dtype of the block; the slice is not final then.
        """
        into, shear = self.slices[index], self.shear
        if stored.shape != into.shape and (
            shear is None or into.shape != (*shear.shape(*stored.shape[:2]), *stored.shape[2:])
        ):
            raise IntegrityError(
                f"the image is {stored.shape}, its metadata promised {into.shape}", source=identity
            )
        if shear is None:
            pixels.scale_into(plan, stored, into, bounds)
            return
        scaled = np.empty(stored.shape, into.dtype)
        pixels.scale_into(plan, stored, scaled, bounds)
        shear.move(scaled, index % shear.slices, into)

    def copy(self, index: int, target: int) -> None:
        """Copy an image into the slice of another one."""
        self.slices[target] = self.slices[index]

    def clear(self, index: int) -> None:
        """Zero what a failed load may have left."""
        self.slices[index] = 0

    def interpolate(self, index: int, before: int, behind: int) -> None:
        """Fill an image with the mean of two others, weighted by their distance, rounded for integers."""
        weight = (index - before) / (behind - before)
        mean = self.slices[before] * (1 - weight) + self.slices[behind] * weight
        self.slices[index] = mean if self.array.dtype.kind == "f" else np.rint(mean)
