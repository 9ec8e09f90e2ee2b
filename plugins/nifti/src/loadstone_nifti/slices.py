"""
One slice of a file, in the way that costs least.

A file that gives parts is asked for the bytes of the slice. A compressed one is inflated as far as the slice;
asked for in ascending order, its slices cost one pass. Asked for in another order, or where they are small,
all are inflated once and kept; where the budget has no room for that, or on request, a seek index is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from loadstone_nifti.forward import Forward
from loadstone_nifti.seek_index import SeekIndex
from loadstone_nifti.streams import content, missing
from loadstone_nifti.voxels import bytes_of, fill

if TYPE_CHECKING:
    from loadstone.context import LoadContext
    from loadstone_nifti.files import NiftiFile

__all__ = ["SEEK_INDEX", "read_slice"]

SEEK_INDEX: Final = "seek_index"
"""The option that asks for a seek index."""
_SMALL_BYTES: Final = 2**22
"""All voxels of so many bytes are inflated in about 10 ms, and their CRC-32 is checked."""
_MOST_OF_BUDGET: Final = 2
"""Voxels that would take more than one part in so many of the budget are not kept for their slices."""


def read_slice(file: NiftiFile, index: int, pixels: npt.NDArray[Any], context: LoadContext) -> None:
    """
    Read one slice of a file into memory of its shape and dtype.

    Parameters
    ----------
    file
        Which.
    index
        Of the slice, counted over all axes behind the first two.
    pixels
        C-contiguous, ``(j, i)`` or ``(j, i, samples)``.
    context
        Of the load.

    Raises
    ------
    IntegrityError
        If the file is truncated or damaged, as far as was read.
    FetchError, LimitError, CacheFullError
        If it cannot be had.
    """
    header, buffer = file.header, bytes_of(pixels)
    offset = header.voxels_at + index * header.slice_bytes
    if not file.place.gives_parts:
        np.copyto(pixels, _all_slices(file, context)[index])
        return
    if not file.compressed:
        got = file.place.read_at(offset, buffer, context)
        if got < len(buffer):
            raise missing(f"slice {index}", got, len(buffer), file.place.label)
    elif context.options.get(SEEK_INDEX) or _is_too_large(file, context):
        end = header.voxels_at + header.voxel_bytes
        _seek_index(file, end, context).read(offset, buffer, context)
    elif header.voxel_bytes <= _SMALL_BYTES or not _forward(file, context).read(offset, buffer, context):
        np.copyto(pixels, _all_slices(file, context)[index])
        return
    if header.swapped:
        pixels.byteswap(inplace=True)


def _is_too_large(file: NiftiFile, context: LoadContext) -> bool:
    return _MOST_OF_BUDGET * file.header.voxel_bytes > context.session.cache.budget


def _forward(file: NiftiFile, context: LoadContext) -> Forward:
    forward = Forward(file)
    return context.source(("forward", file.key), lambda: forward, nbytes=forward.nbytes)


def _seek_index(file: NiftiFile, end: int, context: LoadContext) -> SeekIndex:
    index = SeekIndex(file.place, end)
    return context.source(("seek index", file.key), lambda: index, nbytes=index.nbytes)


@dataclass(frozen=True, slots=True)
class _Slices:
    """All slices of a file; a source of the session."""

    array: npt.NDArray[Any]

    @property
    def nbytes(self) -> int:
        return self.array.nbytes

    def close(self) -> None:
        """Nothing is open: memory is freed with the last view of it."""


def _all_slices(file: NiftiFile, context: LoadContext) -> npt.NDArray[Any]:
    def read_all() -> _Slices:
        header = file.header
        with content(file.place, context) as stream, file.place.working(context, computes=True):
            file.skip_head(stream)
            array = np.empty((header.slices, *header.slice_shape), header.datatype.dtype)
            tail = context.settings.free_ratio_bytes
            for _ in fill(array, header, stream, tail=tail):
                pass
        return _Slices(array)

    return context.source(("voxels", file.key), read_all, nbytes=file.header.voxel_bytes).array
