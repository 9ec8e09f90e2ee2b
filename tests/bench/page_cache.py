"""What the system keeps of files in memory, and having it forget that."""

from __future__ import annotations

import ctypes
import mmap
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["can_forget", "forget", "kept_share"]


def can_forget(files: Iterable[Path]) -> bool:
    """Say whether the system really forgets files when it is asked to: not all systems and disks do."""
    files = list(files)
    if not hasattr(os, "posix_fadvise"):
        return False
    forget(files)
    return kept_share(files) == 0


def forget(files: Iterable[Path]) -> None:
    """Have the next read of each file come from the disk; the machine's own host may still have it."""
    for file in files:
        descriptor = os.open(file, os.O_RDONLY)
        try:
            os.fsync(descriptor)  # what is not yet on the disk would stay
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)


def kept_share(files: Iterable[Path]) -> float:
    """Return which share of the pages of files is in memory, from 0 to 1."""
    pages = b"".join(map(_pages, files))
    return sum(each & 1 for each in pages) / len(pages)


def _pages(file: Path) -> bytes:
    """Return a byte for each page, the lowest bit of which says that it is in memory."""
    # A private mapping may be written to, which is what ctypes needs to tell its address.
    with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_COPY) as mapped:
        pages = (ctypes.c_ubyte * -(-len(mapped) // mmap.PAGESIZE))()
        start = ctypes.c_ubyte.from_buffer(mapped)
        failed = ctypes.CDLL(None, use_errno=True).mincore(
            ctypes.c_void_p(ctypes.addressof(start)), ctypes.c_size_t(len(mapped)), pages
        )
        del start  # or the mapping could not be closed
    if failed:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(file))
    return bytes(pages)
