"""
The members of a gzip file (RFC 1952), inflated one after the other.

The reader of isal fetches half a megabyte before it gives the first byte, and copies twice what it inflates.
Where one slice is wanted, that is a fifth of the time. Here little more is read than is needed, and what was
inflated is copied once, to where it belongs.
"""

from __future__ import annotations

from gzip import BadGzipFile
from typing import TYPE_CHECKING, Final, Protocol

from isal import igzip_lib

if TYPE_CHECKING:
    from isal.igzip_lib import IgzipDecompressor

__all__ = ["GZIP_MAGIC", "GzipMembers"]

GZIP_MAGIC: Final = b"\x1f\x8b"
_STORED: Final = 2**17
"""Compressed bytes that are read at a time: about what a slice takes."""


class _Raw(Protocol):
    def read(self, size: int, /) -> bytes | None:
        """Return up to so many bytes; none at the end."""
        ...


class GzipMembers:
    """
    Inflates what a file holds; isal checks the length and CRC-32 of every member.

    Parameters
    ----------
    raw
        The compressed bytes, at the beginning of a member.
    """

    __slots__ = ("_inflate", "_raw", "_taken")

    def __init__(self, raw: _Raw) -> None:
        self._raw = raw
        self._taken = b""
        """Read, and not given to the inflater yet."""
        self._inflate = _inflater()

    def readinto(self, buffer: memoryview) -> int:
        """
        Fill the buffer, perhaps in part; return how many bytes, 0 at the end of the file.

        Raises
        ------
        EOFError
            If the file ends within a member.
        gzip.BadGzipFile
            If something else than a member or zeros follows one.
        isal.igzip_lib.IsalError
            If a member is damaged.
        """
        while not self._inflate.eof or self._begin_next():
            if self._inflate.needs_input and not self._more():
                raise EOFError("Compressed file ended before the end-of-stream marker was reached")
            taken, self._taken = self._taken, b""
            piece = self._inflate.decompress(taken, len(buffer))
            if piece:
                buffer[: len(piece)] = piece
                return len(piece)
        return 0

    def _more(self) -> bool:
        """Have something for the inflater; False at the end of the file."""
        self._taken = self._taken or self._raw.read(_STORED) or b""
        return bool(self._taken)

    def _begin_next(self) -> bool:
        """Go to the next member, over zeros that fill up the last block of a tape; False if there is none."""
        self._taken = self._inflate.unused_data.lstrip(b"\0")
        while not self._taken:
            if not self._more():
                return False
            self._taken = self._taken.lstrip(b"\0")
        if len(self._taken) < len(GZIP_MAGIC):
            self._taken += self._raw.read(_STORED) or b""
        if not self._taken.startswith(GZIP_MAGIC):
            raise BadGzipFile(f"Not a gzipped file ({self._taken[:2]!r})")
        self._inflate = _inflater()
        return True


def _inflater() -> IgzipDecompressor:
    return igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)
