"""Where the bytes of a NIfTI file are: what a local file and one on a server have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from loadstone.errors import IntegrityError

if TYPE_CHECKING:
    from collections.abc import Hashable
    from contextlib import AbstractContextManager

    from loadstone.context import LoadContext

__all__ = ["Opened", "Place", "RawBytes", "written_anew"]


class RawBytes(Protocol):
    """The bytes of a file as they are stored."""

    def readinto(self, buffer: memoryview, /) -> int | None:
        """Fill the buffer, perhaps in part; 0 means the end."""
        ...


@dataclass(frozen=True, slots=True)
class Opened:
    """A file that is open."""

    raw: RawBytes
    """Its bytes."""
    stored: int | None
    """How many there are in the whole file, if that is known."""
    place: Place
    """Where it is, with what was learned by opening it."""


class Place(Protocol):
    """Where a file is."""

    @property
    def key(self) -> Hashable:
        """Names the file in its present state."""
        ...

    @property
    def label(self) -> str:
        """For messages."""
        ...

    @property
    def gives_parts(self) -> bool:
        """Whether a part from the middle can be read for what it costs."""
        ...

    def begun(self, context: LoadContext) -> AbstractContextManager[Opened]:
        """Open it for its first bytes; reading on gives the others."""
        ...

    def opened(self, context: LoadContext) -> AbstractContextManager[Opened]:
        """Open it for all its bytes."""
        ...

    def resumed(self, context: LoadContext, start: int) -> AbstractContextManager[Opened]:
        """Open it for some of its bytes, from `start` on; needs `gives_parts`."""
        ...

    def read_at(self, offset: int, buffer: memoryview, context: LoadContext) -> int:
        """Fill the buffer from the middle, less only at the end, return how many; needs `gives_parts`."""
        ...

    def working(self, context: LoadContext, *, computes: bool) -> AbstractContextManager[None]:
        """Hold the permit for reading it, or for inflating it while it is read."""
        ...


def written_anew(label: str) -> IntegrityError:
    """Return the error for a file that is not what it was when the load began."""
    return IntegrityError(
        "the file was written anew while it was loaded", source=label, hint="Load it again."
    )
