"""One event loop on a thread of its own, for the coroutine loaders of a session."""

from __future__ import annotations

import logging
import threading
from contextvars import Context
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, TypeVar

from loadstone.errors import LoadCancelled, LoadCycleError
from loadstone.waiting import current_strand

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine

    from loadstone.cancel import CancelToken

__all__ = ["LoopThread"]

_log = logging.getLogger(__name__)

T = TypeVar("T")


class LoopThread:
    """Started when the first coroutine comes; `asyncio` is not imported before."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._closed = False

    def run(self, coroutine: Coroutine[Any, Any, T], token: CancelToken) -> T:
        """
        Run a coroutine to its end and return its result; a set token cancels it.

        Meanwhile the calling thread runs what the coroutine waits for, so that a limit of one is enough.
        """
        import asyncio

        loop = self._running()
        if loop is None:
            coroutine.close()
            raise LoadCancelled
        strand = current_strand()
        errands: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        if strand is not None:
            strand.errands = errands
        future = asyncio.run_coroutine_threadsafe(coroutine, loop)
        future.add_done_callback(lambda _: errands.put(None))
        forget = token.on_cancel(future.cancel)
        try:
            while (errand := errands.get()) is not None:
                errand()
            return future.result()
        finally:
            forget()

    def _running(self) -> asyncio.AbstractEventLoop | None:
        import asyncio

        with self._lock:
            if self._loop is None and not self._closed:
                self._loop = asyncio.new_event_loop()
                # In a context of its own, as the threads of the pool.
                self._thread = threading.Thread(
                    target=Context().run, args=(_run, self._loop), name="loadstone-loop", daemon=True
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

    def close(self, timeout: float = 2.0) -> None:
        """Cancel what runs there, stop the loop and end its thread; wait up to `timeout` seconds for it."""
        with self._lock:
            self._closed = True
            loop, thread, self._loop, self._thread = self._loop, self._thread, None, None
        if loop is None or thread is None:
            return
        loop.call_soon_threadsafe(_cancel_all, loop)
        if thread is threading.current_thread():
            return
        thread.join(timeout)
        if not thread.is_alive():
            loop.close()


def _run(loop: asyncio.AbstractEventLoop) -> None:
    while True:
        try:
            loop.run_forever()
        except (SystemExit, KeyboardInterrupt):  # asyncio lets these of a task through, having ended the task
            _log.exception("a coroutine loader wanted to end the process")
        else:
            return


def _cancel_all(loop: asyncio.AbstractEventLoop) -> None:
    """Cancel all tasks of the loop that runs this, and stop it when they have ended."""
    import asyncio

    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    ended = asyncio.gather(*tasks, return_exceptions=True)
    ended.add_done_callback(lambda _: loop.stop())
