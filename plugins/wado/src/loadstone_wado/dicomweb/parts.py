"""One part of an answer, read while it arrives."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from loadstone import IntegrityError, LimitError

if TYPE_CHECKING:
    from loadstone_wado.dicomweb.bodies import Readable

__all__ = ["PIECE", "EndlessPart", "OnlyPart", "OpenPart", "Part", "SizedPart", "Surroundings", "too_large"]

PIECE: Final = 256 * 1024
"""Bytes that are read at a time where the length of the body is not known."""
BELIEVED: Final = 1024 * 1024
"""Bytes that are allocated because the header of a part says so."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part of an answer."""

    headers: dict[str, str]
    """Fields by lower-case name."""
    body: memoryview
    """The bytes."""


class OpenPart(Protocol):
    """One part of an answer while it arrives; whatever of it is not read is passed over."""

    headers: dict[str, str]
    """Fields by lower-case name."""

    @property
    def left(self) -> int | None:
        """Bytes that are not read yet; None where only the end of the part will tell."""
        ...

    def readinto(self, target: memoryview) -> int:
        """Fill `target` without a copy in between, less only at the end; for a part that says its length."""
        ...

    def read(self) -> memoryview:
        """Return all that is not read yet, once the end of the part was seen behind it."""
        ...

    def close(self) -> None:
        """Make sure that the part ends where it said; a second time does nothing."""
        ...


class Surroundings(Protocol):
    """The answer around a part."""

    def take(self, length: int) -> memoryview | None:
        """Return what comes next without a copy; None where that cannot be, or is not there."""
        ...

    def take_into(self, target: memoryview) -> int:
        """Fill memory with what comes next, less only at the end of the answer."""
        ...

    def until_boundary(self, limit: int, what: str) -> memoryview:
        """Take what stands before the next boundary, and the boundary with it."""
        ...

    def expect_boundary(self, length: int) -> None:
        """Take the boundary behind a part whose length is known."""
        ...

    def short(self, what: str) -> IntegrityError:
        """Return the error for an answer that ends too early."""
        ...


class OnlyPart:
    """An answer that is not multipart."""

    def __init__(
        self, stream: Readable, content_type: str, length: int | None, limit: int, source: str
    ) -> None:
        self.headers = {"content-type": content_type}
        self.left = length
        self._stream = stream
        self._limit = limit
        self._source = source
        if length is not None and length > limit:
            raise too_large("the answer", limit, source)

    def readinto(self, target: memoryview) -> int:
        """Fill `target`, less only at the end."""
        target = target[: self.left]
        self._came(self._stream.readinto(target), len(target))
        return len(target)

    def read(self) -> memoryview:
        """Return all that is left."""
        body = bytearray()
        while piece := self._stream.read1(PIECE):
            body += piece
            if len(body) > self._limit:
                raise too_large("the answer", self._limit, self._source)
        self._came(len(body), self.left)
        return memoryview(body)

    def close(self) -> None:
        """Pass over what is left, and look whether it ends there."""
        while piece := self._stream.read1(PIECE):
            self._came(len(piece))
        self._came(0, self.left)

    def _came(self, count: int, expected: int | None = None) -> None:
        if expected is not None and count < expected:
            raise IntegrityError("the answer ends early", source=self._source, hint="Try again.")
        self.left = None if self.left is None else self.left - count


class SizedPart:
    """A part that says its length; it is complete when a boundary follows."""

    def __init__(self, around: Surroundings, headers: dict[str, str], size: int) -> None:
        self.headers = headers
        self.left = size
        self._size = size
        self._around = around
        self._is_closed = False

    def readinto(self, target: memoryview) -> int:
        """Fill `target`, less only at the end."""
        target = target[: self.left]
        if self._around.take_into(target) < len(target):
            raise self._around.short(f"a part of {self._size:,} bytes")
        self.left -= len(target)
        return len(target)

    def read(self) -> memoryview:
        """Return all that is left."""
        length = self.left
        if (view := self._around.take(length)) is not None:
            self.left = 0
            self.close()
            return view
        body = bytearray(min(length, BELIEVED))
        filled = self.readinto(memoryview(body))
        while filled < length:
            # Grown by what is there, never by what the header of the part promises.
            body += bytes(min(length - filled, filled))
            filled += self.readinto(memoryview(body)[filled:])
        self.close()
        return memoryview(body)

    def close(self) -> None:
        """Pass over what is left, and look whether it ends there."""
        if self._is_closed:
            return
        passed_over = memoryview(bytearray(min(self.left, PIECE)))
        while self.left:
            self.readinto(passed_over)
        self._around.expect_boundary(self._size)
        self._is_closed = True


class EndlessPart:
    """A part of which only the boundary tells where it ends."""

    left = None

    def __init__(self, around: Surroundings, headers: dict[str, str], limit: int) -> None:
        self.headers = headers
        self._around = around
        self._limit = limit
        self._is_closed = False

    def readinto(self, target: memoryview) -> int:
        """Refuse: the end is found only by looking for it in what was read."""
        raise io.UnsupportedOperation(f"{len(target)} bytes of a part whose end is not known")

    def read(self) -> memoryview:
        """Return all that is left."""
        self._is_closed = True
        return self._around.until_boundary(self._limit, "a part")

    def close(self) -> None:
        """Pass over what is left, and look whether it ends there."""
        if not self._is_closed:
            self.read()


def too_large(what: str, limit: int, source: str) -> LimitError:
    """Return the error for an answer or a part that is larger than it may be."""
    return LimitError(
        f"{what} is longer than {limit:,} bytes",
        source=source,
        hint="If that is right, raise max_response_bytes (LOADSTONE_MAX_RESPONSE_BYTES).",
    )
