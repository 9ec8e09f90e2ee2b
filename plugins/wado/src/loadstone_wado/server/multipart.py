"""Bodies of type ``multipart/related`` (RFC 2387), as segments that are read when they are sent."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING
from uuid import uuid4

from loadstone_wado.server.sources import Segment, total_length

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["Multipart", "Part"]

PREFIX = uuid4().hex
NUMBERS = count(1)


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a body."""

    content_type: str
    """Its media type, with parameters."""
    content: tuple[Segment, ...]
    """What it holds."""
    location: str | None = None
    """Its address."""

    def head(self, boundary: str) -> bytes:
        """Return what comes before the content."""
        location = "" if self.location is None else f"Content-Location: {self.location}\r\n"
        return (
            f"--{boundary}\r\nContent-Type: {self.content_type}\r\n"
            f"Content-Length: {total_length(self.content)}\r\n{location}\r\n"
        ).encode("ascii")


@dataclass(frozen=True, slots=True)
class Multipart:
    """Parts and what is between them.

    The boundary begins with what is random in each process: no stored object can hold it.
    """

    media_type: str
    """Type of the parts, without parameters."""
    boundary: str
    """What separates them."""
    final_boundary: bool
    """Whether the body ends as it must."""

    @classmethod
    def of(cls, media_type: str, *, final_boundary: bool = True) -> Multipart:
        """Make one with a boundary of its own."""
        return cls(media_type, f"{PREFIX}{next(NUMBERS)}", final_boundary)

    @property
    def content_type(self) -> str:
        """Media type of the body."""
        return f'multipart/related; type="{self.media_type}"; boundary={self.boundary}'

    def segments(self, parts: Iterable[Part]) -> Iterator[Segment]:
        """Yield the body; each part is taken from `parts` only when it is its turn."""
        for part in parts:
            yield part.head(self.boundary)
            yield from part.content
            yield b"\r\n"
        if self.final_boundary:
            yield f"--{self.boundary}--\r\n".encode("ascii")
