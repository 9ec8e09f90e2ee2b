"""Whether to try again, and when."""

from __future__ import annotations

import random
import threading
from datetime import UTC, datetime
from time import monotonic
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from loadstone.settings import Settings
    from loadstone.transport.messages import Headers

__all__ = ["Pauses", "is_retryable", "retry_after", "wait_before"]

_RETRYABLE: Final = frozenset({408, 425, 429})


def is_retryable(status: int) -> bool:
    """Return whether a server may answer better when asked again."""
    return status in _RETRYABLE or 500 <= status < 600


def retry_after(headers: Headers) -> float | None:
    """Return the seconds that ``Retry-After`` names, as a number or date (RFC 9110, 10.2.3), if it does."""
    text = headers.get("Retry-After", "").strip()
    if not text:
        return None
    if text.isdecimal():
        return float(text[:12])
    from email.utils import parsedate_to_datetime

    try:
        when = parsedate_to_datetime(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return max(0.0, (when - datetime.now(UTC)).total_seconds())


def wait_before(attempt: int, asked: float | None, settings: Settings) -> float:
    """
    Return the seconds to wait.

    Parameters
    ----------
    attempt
        The attempt to come; the first one is 1.
    asked
        What the server asked for; then a little more, so that not all who were told the same come at once.
    settings
        Backoff and its limits.
    """
    if asked is not None:
        return min(asked, settings.retry_after_most_seconds) + random.uniform(0, settings.backoff_seconds)  # noqa: S311
    doubled = settings.backoff_seconds * 2.0 ** min(attempt - 2, 30)
    return random.uniform(0, min(doubled, settings.backoff_most_seconds))  # noqa: S311 - spreads load, keeps no secret


class Pauses:
    """Until when servers that asked for a pause are left alone, by every request."""

    __slots__ = ("_lock", "_until")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._until: dict[str, float] = {}

    def add(self, origin: str, seconds: float) -> None:
        """Note that an origin asked for a pause."""
        with self._lock:
            until = monotonic() + seconds
            self._until[origin] = max(until, self._until.get(origin, until))

    def left(self, origin: str) -> float:
        """Return the seconds that are left of the pause of an origin."""
        if not self._until:
            return 0.0
        with self._lock:
            left = self._until.get(origin, 0.0) - monotonic()
            if left <= 0:
                self._until.pop(origin, None)
        return max(0.0, left)
