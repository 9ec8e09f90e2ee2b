"""The bytes of an object while it arrives: pixels go from the connection straight into their place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from loadstone_wado.dicomweb.parts import OpenPart

__all__ = ["ArrivingBlob"]

_PIECE: Final = 256 * 1024
"""Bytes that are allocated before they are there."""


class ArrivingBlob:
    """
    A part of an answer as a `Blob`, which is read from its start to its end.

    Whatever is read is kept, so that it can be read again, until `let_go`.

    Parameters
    ----------
    part
        The part, of which nothing was read yet.
    source
        What it is, for messages.
    """

    __slots__ = ("_keeps", "_kept", "_part", "_position", "size", "source")

    def __init__(self, part: OpenPart, source: str) -> None:
        self._part = part
        # A part that does not say its length has to be looked through for its end.
        self._kept = bytearray(part.read() if part.left is None else b"")
        self._position = len(self._kept)
        self._keeps = True
        self.size = self._position if part.left is None else part.left
        self.source = source

    def read(self, offset: int, length: int) -> bytes:
        """Return up to `length` bytes from `offset` on."""
        self._keep(offset + length)
        with memoryview(self._kept) as kept:
            return bytes(kept[offset : offset + length])

    def readinto(self, offset: int, target: memoryview) -> int:
        """Read from `offset` on into `target`."""
        if self._keeps:
            self._keep(offset + len(target))
        with memoryview(self._kept) as kept:
            done = len(kept[offset : offset + len(target)])
            target[:done] = kept[offset : offset + done]
        if done < len(target) and offset + done < self.size:
            self._skip_to(offset + done)
            count = self._part.readinto(target[done:])
            self._position += count
            done += count
        return done

    def let_go(self) -> None:
        """Keep nothing more: `readinto` fills its target without a copy, but in ascending order only."""
        self._keeps = False

    def keep_all(self) -> None:
        """Read all that is left, so that it can be read in any order."""
        if self._position < self.size:
            self._kept += self._part.read()
            self._position = len(self._kept)

    def close(self) -> None:
        """Make sure that the part ends where it said: before that, nothing of it is worth anything."""
        self._part.close()

    def _keep(self, stop: int) -> None:
        while (missing := min(stop, self.size) - self._position) > 0:
            self._kept += self._next(missing)

    def _skip_to(self, offset: int) -> None:
        if offset < self._position:
            raise ValueError("bytes of an object that arrives were asked for twice")
        while offset > self._position:
            self._next(offset - self._position)

    def _next(self, most: int) -> bytearray:
        piece = bytearray(min(most, _PIECE))
        self._position += self._part.readinto(memoryview(piece))
        return piece
