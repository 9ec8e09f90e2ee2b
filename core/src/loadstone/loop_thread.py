"""One event loop on a thread of its own, for the coroutine loaders of a session."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, TypeVar

from loadstone.errors import LoadCycleError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Coroutine

    from loadstone.cancel import CancelToken

__all__ = ["LoopThread"]

T = TypeVar("T")


class LoopThread:
    """Started when the first coroutine comes; `asyncio` is not imported before."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def run(self, coroutine: Coroutine[Any, Any, T], token: CancelToken) -> T:
        """Run a coroutine to its end and return its result; a set token cancels it."""
        import asyncio

        future = asyncio.run_coroutine_threadsafe(coroutine, self._running())
        forget = token.on_cancel(future.cancel)
        try:
            return future.result()
        finally:
            forget()

    def _running(self) -> asyncio.AbstractEventLoop:
        import asyncio

        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=self._loop.run_forever, name="loadstone-loop", daemon=True
                )
                self._thread.start()
            return self._loop

    def refuse_wait(self, identity: str) -> None:
        """Raise if the calling thread is the loop's: it must never block."""
        if threading.current_thread() is self._thread:
            raise LoadCycleError(
                "a coroutine loader waits with result()",
                source=identity,
                hint="Await the load object instead.",
            )

    def close(self) -> None:
        """Stop the loop and end its thread."""
        with self._lock:
            loop, thread, self._loop, self._thread = self._loop, self._thread, None, None
        if loop is None or thread is None:
            return
        loop.call_soon_threadsafe(loop.stop)
        thread.join(2.0)
        if not thread.is_alive():
            loop.close()
