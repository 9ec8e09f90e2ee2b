"""Errors that a compiled decoder drops."""

from __future__ import annotations

import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["raising_swallowed_errors"]

_lock = threading.Lock()
_watched: dict[int, tuple[str, list[BaseException]]] = {}
_previous: list[Callable[[sys.UnraisableHookArgs], object]] = []


@contextmanager
def raising_swallowed_errors(module: str) -> Iterator[None]:
    """
    Raise what a compiled module could only report as "exception ignored".

    The HTJ2K decoder of imagecodecs 2026.3.6 drops the errors of OpenJPH on its way back, and returns an
    array of zeros. The interpreter tells `sys.unraisablehook` of it, on the thread that decodes.

    Parameters
    ----------
    module
        The compiled module, whose errors on this thread are raised at the end.
    """
    me = threading.get_ident()
    errors: list[BaseException] = []
    with _lock:
        if not _watched:
            _previous[:] = [sys.unraisablehook]
            sys.unraisablehook = _see
        _watched[me] = module, errors
    try:
        yield
    finally:
        with _lock:
            del _watched[me]
            # Who put a hook of their own on top in the meantime calls this one, which then only passes on.
            if not _watched and sys.unraisablehook is _see:
                sys.unraisablehook = _previous[0]
    if errors:
        raise errors[0]


def _see(unraisable: sys.UnraisableHookArgs) -> None:
    module, errors = _watched.get(threading.get_ident(), ("", []))
    if module and unraisable.exc_value is not None and module in str(unraisable.object):
        errors.append(unraisable.exc_value)
    else:
        _previous[0](unraisable)
