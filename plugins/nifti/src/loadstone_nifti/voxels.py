"""From a stream to an array of voxels: native byte order, the axes of the file reversed, nothing flipped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from loadstone.errors import IntegrityError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadstone_nifti.header import NiftiHeader
    from loadstone_nifti.streams import ContentStream

__all__ = ["bytes_of", "check_size", "fill"]

_STEP_BYTES = 2**20


def check_size(header: NiftiHeader, stream: ContentStream, *, source: str) -> None:
    """
    Compare the voxels that a header claims with what the file can hold, before anything is allocated.

    Raises
    ------
    IntegrityError
        If there cannot be so many.
    """
    claimed = header.voxels_at + header.voxel_bytes
    if stream.most is None or claimed <= stream.most:
        return
    kind = "can expand to at most" if stream.compressed else "has"
    raise IntegrityError(
        f"the header says {' x '.join(map(str, header.dims))} voxels of {header.datatype.name}, "
        f"which end at byte {claimed:,}, but the file {kind} {stream.most:,} bytes",
        source=source,
        hint="The file is truncated or its header damaged; fetch or copy it again.",
    )


def bytes_of(array: npt.NDArray[Any]) -> memoryview:
    """Return the memory of a C-contiguous array."""
    return array.reshape(-1).view(np.uint8).data


def fill(
    array: npt.NDArray[Any], header: NiftiHeader, stream: ContentStream, *, tail: int
) -> Iterator[range]:
    """
    Read voxels into an array.

    Parameters
    ----------
    array
        C-contiguous, with shape and dtype of the header.
    header
        Of the file.
    stream
        At the first voxel.
    tail
        How many bytes behind the voxels are read to check a compressed file's end.

    Yields
    ------
    range
        Slices that are done, counted over all leading axes; the last ones only after the end was checked.

    Raises
    ------
    IntegrityError
        If the file is truncated or damaged.
    """
    view = bytes_of(array)
    slices = array.reshape(header.slices, *header.slice_shape)
    count, size = header.slices, header.slice_bytes
    step = max(1, _STEP_BYTES // size)
    for first in range(0, count, step):
        last = min(count, first + step)
        stream.fill(view[first * size : last * size], what="the voxels", before=first * size, total=len(view))
        if header.swapped:
            slices[first:last].byteswap(inplace=True)
        if last == count:
            stream.check_end(tail)
        yield range(first, last)
