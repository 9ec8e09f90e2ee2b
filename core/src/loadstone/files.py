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
    signature: tuple[int, int, int, int]
    """Size, modification time in ns, inode, time of its last change in ns, which nobody can set back."""

    @classmethod
    def of(cls, path: str, status: os.stat_result | None = None) -> FileState:
        """Look at the file now; `status` saves the look when somebody has just done so."""
        status = os.stat(path) if status is None else status  # noqa: PTH116 - looked at on every cache hit
        return cls(path, _signature(status))

    def is_of(self, status: os.stat_result) -> bool:
        """Say whether that is what somebody finds who looks at the file in this state."""
        return _signature(status) == self.signature

    def current(self) -> bool:
        """Say whether the file is still in that state."""
        try:
            return self.is_of(os.stat(self.path))  # noqa: PTH116 - as above
        except OSError:
            return False


def _signature(status: os.stat_result) -> tuple[int, int, int, int]:
    return status.st_size, status.st_mtime_ns, status.st_ino, status.st_ctime_ns
