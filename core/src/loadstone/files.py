"""Local files: what state one was in when it was read, to notice when it is written anew."""

from __future__ import annotations

import os
from dataclasses import dataclass

__all__ = ["FileState"]


@dataclass(frozen=True, slots=True)
class FileState:
    """A file as it was at one moment."""

    path: str
    """Its path."""
    signature: tuple[int, int, int]
    """Size, modification time in ns, inode."""

    @classmethod
    def of(cls, path: str, status: os.stat_result | None = None) -> FileState:
        """Look at the file now; `status` saves the look when somebody has just done so."""
        status = os.stat(path) if status is None else status  # noqa: PTH116 - looked at on every cache hit
        return cls(path, (status.st_size, status.st_mtime_ns, status.st_ino))

    def current(self) -> bool:
        """Say whether the file is still in that state."""
        try:
            return FileState.of(self.path).signature == self.signature
        except OSError:
            return False
