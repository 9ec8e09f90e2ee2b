"""The memory of a block: of this machine, or of a file for volumes beyond it."""

from __future__ import annotations

import errno
import math
import mmap
import os
import tempfile
from typing import IO, TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from loadstone.errors import LimitError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ZEROED", "Allocation", "zeros_in_file", "zeros_in_pages"]

Allocation: TypeAlias = Literal["ram", "file"]
"""Where the voxels of a volume are."""

_PIECE = 2**20


def zeros_in_pages(shape: tuple[int, ...], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """
    Return a zeroed array in pages of its own, which the system has back as soon as the array is gone.

    What comes from the heap stays with the process: many arrays that go one by one while another one fills
    would make it twice as large.
    """
    nbytes = math.prod(map(int, shape)) * dtype.itemsize
    if nbytes >= mmap.PAGESIZE:
        try:
            return np.ndarray(shape, dtype, mmap.mmap(-1, nbytes, access=mmap.ACCESS_COPY))
        except OSError:  # a process may only have so many mappings
            pass
    return np.zeros(shape, dtype)


def zeros_in_file(shape: tuple[int, ...], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """
    Return a zeroed array in a temporary file, which is gone when the last view of it is.

    It is in the folder for temporary files (``TMPDIR``), and has no name where the system allows that.

    Raises
    ------
    LimitError
        If the disk has no room for it.
    """
    count = int(np.prod(shape, dtype=object))
    nbytes = count * dtype.itemsize
    try:
        with tempfile.TemporaryFile(prefix="loadstone-") as file:
            _take_room(file, nbytes)
            memory = mmap.mmap(file.fileno(), nbytes)
    except OSError as error:
        folder = tempfile.gettempdir()
        reason = "is full" if error.errno == errno.ENOSPC else f"cannot be used: {error.strerror or error}"
        raise LimitError(
            f"the volume needs {nbytes:,} bytes in {folder}, which {reason}",
            hint="Make room there, or name another folder in TMPDIR.",
        ) from error
    return np.frombuffer(memory, dtype, count).reshape(shape)


def _take_room(file: IO[bytes], nbytes: int) -> None:
    """Have the disk give all of it now: writing to memory whose file has no room kills the process."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, nbytes)
        return
    piece = bytes(_PIECE)
    for start in range(0, nbytes, _PIECE):
        file.write(piece[: nbytes - start])
    file.flush()


ZEROED: dict[Allocation, Callable[[tuple[int, ...], np.dtype[Any]], npt.NDArray[Any]]] = {
    "ram": np.zeros,
    "file": zeros_in_file,
}
"""What makes the memory of a block."""
