"""Data that the benchmarks make once."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["kept_folder"]


def kept_folder(root: Path, name: str, write: Callable[[Path], None]) -> Path:
    """Return a folder below `root`, written when it is first asked for; half a folder is written anew."""
    folder = root / name
    if not folder.exists():
        unfinished = root / f"{name}.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        write(unfinished)
        unfinished.rename(folder)
    return folder
