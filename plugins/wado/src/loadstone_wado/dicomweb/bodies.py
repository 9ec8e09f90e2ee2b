"""The body of an answer, as it comes or as it was received."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Readable", "Received"]


class Readable(Protocol):
    """A body: an `HttpStream` as it comes, or `Received`."""

    def read1(self, size: int, /) -> bytes:
        """Return at most `size` bytes as soon as there are any; none only at the end."""
        ...

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill `buffer`, less only at the end."""
        ...


class Received:
    """
    A body that is there already: a `Readable` whose parts are views of it.

    Parameters
    ----------
    body
        All of it.
    """

    def __init__(self, body: bytes) -> None:
        self._body = memoryview(body)
        self._position = 0

    def read1(self, size: int, /) -> bytes:
        """Return the next bytes."""
        piece = bytes(self._body[self._position : self._position + size])
        self._position += len(piece)
        return piece

    def readinto(self, buffer: memoryview, /) -> int:
        """Copy the next bytes."""
        piece = self._body[self._position : self._position + len(buffer)]
        buffer[: len(piece)] = piece
        self._position += len(piece)
        return len(piece)

    def view(self, ahead: int, length: int) -> memoryview:
        """Return `length` bytes from `ahead` before where reading stands, without a copy; go on there."""
        start = self._position - ahead
        view = self._body[start : start + length]
        self._position = max(self._position, start + len(view))
        return view
