"""Data that the benchmarks make once, and again when what makes them has changed."""

from __future__ import annotations

import ast
import hashlib
import inspect
import shutil
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["kept_folder"]

PHANTOM = Path(__file__).with_name("phantom.py")
"""What nearly all data are made of."""


def kept_folder(root: Path, name: str, write: Callable[[Path], None]) -> Path:
    """
    Return a folder below `root`, written when it is first asked for; half a folder is written anew.

    A file beside it has a digest of the sources that wrote it: the folder is written anew when they change. A
    folder without such a file is taken as it is.
    """
    folder, mark = root / name, root / f"{name}.made-by"
    digest = _digest(write)
    if folder.exists() and mark.exists() and mark.read_text(encoding="ascii") != digest:
        shutil.rmtree(folder)
    if not folder.exists():
        unfinished = root / f"{name}.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        write(unfinished)
        unfinished.rename(folder)
    mark.write_text(digest, encoding="ascii")
    return folder


def _digest(write: Callable[[Path], None]) -> str:
    """Return what changes with the code that writes; comments and layout do not count."""
    function, settings = (write.func, write.keywords) if isinstance(write, partial) else (write, {})
    sources = [PHANTOM, Path(inspect.getfile(function))]
    trees = [ast.dump(ast.parse(source.read_text(encoding="utf-8"))) for source in sources]
    return hashlib.sha256(repr((function.__name__, settings, trees)).encode()).hexdigest()
