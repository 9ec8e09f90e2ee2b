"""The caller's promise of something that is being loaded."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, cast

from loadstone.boundary import run_isolated
from loadstone.errors import LoadCancelled, LoadstoneError
from loadstone.transport.urls import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from types import TracebackType

    from loadstone.shared_load import SharedLoad

__all__ = ["LoadObject", "Progress"]

_log = logging.getLogger(__name__)

T = TypeVar("T")

_NEVER: Final = threading.Condition()
"""Of handles that were settled from the start, for which nobody waits: making one takes a microsecond."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a load is."""

    done: int = 0
    """Images that are there."""
    total: int = 1
    """Images in all."""
    received_bytes: int = 0
    """Bytes received so far."""
    total_bytes: int | None = None
    """Bytes in all, if known."""


class LoadObject(Generic[T]):
    """
    One caller's handle on a load that it may share with others.

    It settles exactly once: with a result, an error, or by `cancel`. Use `result` from threads, ``await``
    from coroutines of any event loop.
    """

    def __init__(self, load: SharedLoad[T] | None, identity: str) -> None:
        self.id = identity
        """The id that was asked for."""
        self._load = load
        self._changed = _NEVER if load is None else threading.Condition(threading.Lock())
        self._settled = False
        self._value: T | None = None
        self._error: LoadstoneError | None = None
        self._trace: TracebackType | None = None
        self._partial: T | None = None
        self._version = 0
        self._callbacks: list[Callable[[LoadObject[T]], object]] = []

    @classmethod
    def ready(cls, identity: str, value: T) -> LoadObject[T]:
        """Return a handle that is settled already."""
        handle: LoadObject[T] = cls(None, identity)
        handle._value, handle._settled = value, True
        return handle

    def done(self) -> bool:
        """Say whether it is settled."""
        return self._settled

    def cancelled(self) -> bool:
        """Say whether it is settled because somebody cancelled it."""
        return isinstance(self._error, LoadCancelled)

    @property
    def progress(self) -> Progress:
        """How far it is."""
        return Progress(1) if self._load is None else self._load.progress

    def cancel(self) -> bool:
        """
        Give up the load; the load itself is cancelled when its last handle is.

        Returns
        -------
        bool
            False if it had settled before.
        """
        if self._load is None or not self._settle(None, LoadCancelled(source=self.id)):
            return False
        self._load.leave(self)
        return True

    def result(self, timeout: float | None = None) -> T:
        """
        Wait for the result.

        Raises
        ------
        LoadstoneError
            What the load ended with.
        TimeoutError
            If it has not settled after `timeout` seconds; the load goes on.
        """
        self._wait(timeout)
        if self._error is None:
            return cast("T", self._value)
        try:
            # All handles raise the same error, each with the traceback that it had when the load ended.
            raise self._error.with_traceback(self._trace)
        finally:
            del self  # the traceback leads here, and from here back to the error

    def exception(self, timeout: float | None = None) -> LoadstoneError | None:
        """Wait, and return the error that the load ended with, or None."""
        self._wait(timeout)
        return self._error

    def _wait(self, timeout: float | None = None, news: Callable[[], bool] = lambda: False) -> None:
        """Wait until it is settled or there is news, which is looked for with the lock held."""
        if self._settled:
            return
        deadline = None if timeout is None else time.monotonic() + timeout
        with nullcontext() if self._load is None else self._load.waiting_for(self):
            self._sleep(deadline, news)

    def _sleep(self, deadline: float | None, news: Callable[[], bool]) -> None:
        with self._changed:
            while not (self._settled or news()):
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and not left > 0:  # nan would be no deadline at all
                    raise TimeoutError(f"{shown(self.id)} is not loaded yet")
                self._changed.wait(left)

    def follow(self, callback: Callable[[Progress], object]) -> T:
        """Wait for the result and call `callback` with each progress, on this thread."""
        with nullcontext() if self._load is None else self._load.followed():
            seen: Progress | None = None
            while not self._settled or seen != self.progress:
                seen = self.progress
                callback(seen)
                self._wait(news=lambda seen=seen: self.progress != seen)  # type: ignore[misc] # mypy #12557
        return self.result()

    def partials(self) -> Iterator[T]:
        """
        Yield what there is, each better than the one before, the result last.

        A slow consumer sees fewer of them, never one twice. A volume is yielded first when it is still empty.

        Raises
        ------
        LoadstoneError
            What the load ended with.
        """
        seen = 0
        while True:
            self._wait(news=lambda seen=seen: self._version != seen)  # type: ignore[misc] # mypy #12557
            if self._settled:
                yield self.result()
                return
            with self._changed:
                seen, partial, settled = self._version, self._partial, self._settled
            if not settled:
                yield cast("T", partial)

    def add_done_callback(self, callback: Callable[[LoadObject[T]], object]) -> None:
        """Call `callback` with this when it settles, on the thread that settles it; at once if it has."""
        if not self._settled:
            with self._changed:
                if not self._settled:
                    self._callbacks.append(callback)
                    return
        run_isolated("a done callback", [partial(callback, self)])

    def __await__(self) -> Generator[Any, None, T]:
        """Wait without blocking the running event loop; cancelling the awaiting task cancels this handle."""
        if self._settled:
            return self.result()
        import asyncio

        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] = loop.create_future()

        def wake() -> None:
            if not waiter.done():
                waiter.set_result(None)

        def settled(_: object) -> None:
            try:
                loop.call_soon_threadsafe(wake)
            except RuntimeError:  # the loop was closed before the load settled: nobody waits any more
                _log.debug("an event loop was closed while it waited for %s", type(self).__name__)

        self.add_done_callback(settled)
        try:
            with nullcontext() if self._load is None else self._load.awaited(self):
                yield from waiter
        except BaseException:  # the task was cancelled, or its loop was closed
            self.cancel()
            raise
        return self.result()

    def __repr__(self) -> str:
        """Say what it is and how far."""
        state = (
            "pending"
            if not self._settled
            else "cancelled"
            if self.cancelled()
            else "failed"
            if self._error
            else "done"
        )
        return f"<LoadObject {shown(self.id)} {state}>"

    def _settle(self, value: T | None, error: LoadstoneError | None) -> bool:
        with self._changed:
            if self._settled:
                return False
            self._settled, self._value, self._error = True, value, error
            self._trace = None if error is None else error.__traceback__
            self._partial = None
            callbacks, self._callbacks = self._callbacks, []
            self._changed.notify_all()
        run_isolated("a done callback", [partial(callback, self) for callback in callbacks])
        return True

    def _offer(self, partial: T) -> None:
        """Show a partial result."""
        with self._changed:
            self._partial, self._version = partial, self._version + 1
            self._changed.notify_all()

    def _orphan(self) -> None:
        """Settle in a forked child, where no thread works for it and its lock may be held for ever."""
        self._changed = threading.Condition(threading.Lock())
        self._callbacks = []
        self._settle(
            None, LoadCancelled("it is loaded by the process that this one was forked from", source=self.id)
        )

    def _stir(self) -> None:
        """Wake whoever follows the progress."""
        with self._changed:
            self._changed.notify_all()
