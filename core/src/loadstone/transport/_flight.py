"""A request under way: what stops it from another thread, and how long it may take."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from loadstone.errors import LoadCancelled

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadstone.settings import Settings
    from loadstone.transport._response import Response

__all__ = ["Call", "Flight"]

_BYTES_PER_SECOND: Final = 64_000
"""Slowest transfer that never runs into the total deadline."""


class Call:
    """
    What a caller asked for, over all attempts and redirects; can be aborted from any thread.

    At any time it blocks on at most one thing: a socket (held as the function that shuts it down) or a pause.
    """

    __slots__ = ("_lock", "_stop", "_wake", "attempts", "reason", "refreshed", "retry_after")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stop: Callable[[], None] | None = None
        self._wake: threading.Event | None = None
        self.reason: str | None = None
        """Why it was aborted, if it was."""
        self.attempts = 0
        """How often it was tried."""
        self.retry_after: float | None = None
        """Seconds that the last answer asked to wait."""
        self.refreshed = False
        """Whether credentials were renewed for it."""

    def abort(self, reason: str = "the load was cancelled") -> None:
        """Shut its socket down and end its pause; only the first call counts."""
        with self._lock:
            if self.reason is not None:
                return
            self.reason = reason
            if self._wake is not None:
                self._wake.set()
            if self._stop is not None:
                self._stop()

    def raise_if_aborted(self) -> None:
        """Raise `LoadCancelled` if it was aborted."""
        if self.reason is not None:
            raise LoadCancelled(self.reason)

    def hold(self, stop: Callable[[], None]) -> None:
        """Let `abort` call `stop`, in place of what it would have called before."""
        with self._lock:
            self.raise_if_aborted()
            self._stop = stop

    def drop(self) -> None:
        """Let go of the socket: from here on it may serve others, and no abort must reach it."""
        with self._lock:
            self._stop = None

    def pause(self, seconds: float) -> None:
        """Sleep; raise `LoadCancelled` as soon as it is aborted."""
        with self._lock:
            self.raise_if_aborted()
            self._wake = wake = threading.Event()
        wake.wait(seconds)
        self.raise_if_aborted()


class Flight:
    """
    One request on the wire.

    The total deadline counts only the time in which the server is waited for: a reader that takes its time
    between two reads is not the server's fault. It is extended by what was received, not by what
    ``Content-Length`` promises, so that a server cannot buy time with a word.
    """

    __slots__ = (
        "_allowed",
        "_spent",
        "_stall",
        "call",
        "in_body",
        "is_connecting",
        "is_fresh",
        "received",
        "response",
    )

    def __init__(self, call: Call, settings: Settings) -> None:
        self._stall = settings.stall_seconds
        self._allowed = settings.total_seconds
        self._spent = 0.0
        self.call = call
        """The call that it belongs to."""
        self.is_fresh = False
        """Whether it opened a connection; else it got one that had served before."""
        self.is_connecting = False
        """Whether that connection is not made yet, TLS included."""
        self.in_body = False
        """Whether the header is complete."""
        self.received = 0
        """Bytes that came, header included."""
        self.response: Response | None = None
        """The answer, from when its header is read."""

    @property
    def overdue(self) -> bool:
        """Whether the total deadline has passed."""
        return self._spent >= self._allowed

    @property
    def lost_idle_connection(self) -> bool:
        """Whether nothing came over a connection that had served before: it was closed while idle."""
        return not self.is_fresh and not self.received and not self.call.reason and self._spent < self._stall

    def patience(self) -> float:
        """Return how many seconds the next read may wait; raise `TimeoutError` if there are none left."""
        left = self._allowed - self._spent
        if left <= 0:
            raise TimeoutError
        return min(self._stall, left)

    def account(self, seconds: float, count: int) -> None:
        """Count a read that took `seconds` and brought `count` bytes."""
        self._spent += seconds
        self.received += count
        if self.in_body:
            self._allowed += count / _BYTES_PER_SECOND

    def hurry(self, seconds: float) -> None:
        """Allow only so many more seconds."""
        self._allowed = min(self._allowed, self._spent + seconds)
