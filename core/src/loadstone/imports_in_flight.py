"""
What keeps a fork from copying an import that is half done.

A module that another thread imports at a fork is locked in the child for ever, as that thread is not there to
finish it. Workers import plugins and codecs when they first need them, so that a fork waits until they have.
"""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

__all__ = ["wait_for_imports"]

_MOST_SECONDS = 5.0
"""An import may wait for the very thread that forks; then nothing helps, and the fork goes on."""


def wait_for_imports() -> None:
    """Wait until no other thread of a session is inside an import statement."""
    deadline = time.monotonic() + _MOST_SECONDS
    while _others_import() and time.monotonic() < deadline:
        time.sleep(0.001)


def _others_import() -> bool:
    frames, here = sys._current_frames(), threading.get_ident()
    ours = (each.ident for each in threading.enumerate() if each.name.startswith("loadstone"))
    return any(_imports(frames.get(ident)) for ident in ours if ident is not None and ident != here)


def _imports(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
        frame = frame.f_back
    return False
