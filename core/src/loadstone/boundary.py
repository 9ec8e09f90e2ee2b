"""The one place where whatever others raise becomes a typed error, with the cause chained, or is logged."""

from __future__ import annotations

import logging
import threading
import traceback
from typing import TYPE_CHECKING

from loadstone.errors import DecodeError, FetchError, LimitError, LoadCancelled, LoadstoneError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import FrameType

__all__ = ["forget_frames", "run_isolated", "typed_error"]

_log = logging.getLogger(__name__)


def typed_error(error: BaseException, identity: str) -> LoadstoneError:
    """Return `error`, or if it is not ours a `LoadstoneError` with it as its cause; it names its source."""
    if isinstance(error, LoadstoneError):
        error.add_source(identity)
        return error
    typed = _translated(error, identity)
    typed.__cause__ = error
    return typed


def _translated(error: BaseException, identity: str) -> LoadstoneError:
    if isinstance(error, FileNotFoundError):
        return FetchError("there is no such file", source=identity, hint="Check the path.")
    if isinstance(error, PermissionError):
        return FetchError("reading is not permitted", source=identity, hint="Check the owner and the mode.")
    if isinstance(error, OSError):
        return FetchError(f"reading failed: {_text(error)}", source=identity, retryable=True)
    if isinstance(error, MemoryError):
        return LimitError("not enough memory", source=identity)
    if type(error).__name__ == "CancelledError":  # asyncio's or concurrent.futures', neither imported here
        return LoadCancelled(source=identity)
    return DecodeError(f"the loader failed with {type(error).__name__}: {_text(error)}", source=identity)


def _text(error: BaseException) -> str:
    try:
        return (isinstance(error, OSError) and error.strerror) or str(error)
    except Exception:  # noqa: BLE001 - a plugin's own exception class; what matters is that the load ends
        return "(its text cannot be had)"


def run_isolated(what: str, callbacks: Iterable[Callable[[], object]]) -> None:
    """
    Run the callbacks of others, all of them: one that raises is logged, and harms nobody else.

    That includes what is meant to end a program, such as `SystemExit`, which would end a worker instead, and
    keep the others waiting for ever. Only a Ctrl-C of the user is raised again, behind the last one.
    """
    interrupt: KeyboardInterrupt | None = None
    for callback in callbacks:
        try:
            callback()
        except BaseException as error:  # noqa: BLE001 - logged
            if isinstance(error, KeyboardInterrupt) and threading.current_thread() is threading.main_thread():
                interrupt = error
            else:
                _log.exception("%s failed", what)
    if interrupt is not None:
        raise interrupt


def forget_frames(error: BaseException) -> None:
    """
    Drop the local variables of the calls that an error has left behind.

    Whoever keeps the error would keep with them the pixels, buffers and generators of a load that failed, and
    through the error itself often for ever: until the garbage collector happens to run.
    """
    seen: set[int] = set()
    rest: list[BaseException | None] = [error]
    while rest:
        each = rest.pop()
        if each is not None and id(each) not in seen:
            seen.add(id(each))
            for frame, _ in traceback.walk_tb(each.__traceback__):
                _clear(frame)
            rest += (each.__cause__, each.__context__)


def _clear(frame: FrameType | None) -> None:
    """Clear a call and those that led to it, which it keeps alive, up to those that still run."""
    while frame is not None:
        try:
            frame.clear()
        except RuntimeError:
            return
        frame = frame.f_back
