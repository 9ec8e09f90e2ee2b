"""What a process has open: threads, and files and sockets where the system tells."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Self

__all__ = ["OpenThings"]

_DESCRIPTORS = Path("/dev/fd")


@dataclass(frozen=True, slots=True)
class OpenThings:
    """What was open at one moment."""

    threads: frozenset[threading.Thread]
    """The living threads."""
    descriptors: frozenset[tuple[int, int, int]]
    """Number, device and inode of each file and socket."""

    @classmethod
    def now(cls) -> Self:
        """Look."""
        return cls(frozenset(threading.enumerate()), frozenset(_descriptors()))

    def since(self, before: Self) -> list[str]:
        """Name what was not open before, for people."""
        return [
            *(f"the thread {thread.name!r}" for thread in self.threads - before.threads),
            *(_named(number) for number, _, _ in sorted(self.descriptors - before.descriptors)),
        ]


def _descriptors() -> list[tuple[int, int, int]]:
    if not _DESCRIPTORS.is_dir():  # Windows does not tell
        return []
    found = []
    for each in os.listdir(_DESCRIPTORS):  # noqa: PTH208 - their names are numbers
        try:
            status = os.fstat(int(each))
        except OSError:  # the one that listed them
            continue
        found.append((int(each), status.st_dev, status.st_ino))
    return found


def _named(number: int) -> str:
    try:
        return os.readlink(_DESCRIPTORS / str(number))  # noqa: PTH115 - it may be no path: socket:[1234]
    except OSError:
        return f"the file descriptor {number}"
