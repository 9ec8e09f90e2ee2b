from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadstone.settings import Settings
from loadstone.transport import Headers
from loadstone.transport._retries import Pauses, is_retryable, retry_after, wait_before


def test_date_counts_from_now() -> None:
    """Retry-After as a date is the time until then, in any of the spellings of HTTP."""
    then = datetime.now(UTC) + timedelta(seconds=100)

    assert retry_after(Headers({"Retry-After": format_datetime(then, usegmt=True)})) == pytest.approx(
        100, abs=2
    )
    assert retry_after(Headers({"Retry-After": then.strftime("%A, %d-%b-%y %H:%M:%S GMT")})) == pytest.approx(
        100, abs=2
    )


@given(st.text(max_size=40))
def test_retry_after_never_fails(text: str) -> None:
    """Whatever the server writes, the answer is nothing or a time that is not negative."""
    seconds = retry_after(Headers({"Retry-After": text}))

    assert seconds is None or seconds >= 0


@given(attempt=st.integers(2, 10**6), asked=st.none() | st.floats(0, 1e300))
def test_waits_are_bounded(attempt: int, asked: float | None) -> None:
    """No number of attempts and no server makes a wait longer than the settings allow."""
    settings = Settings(backoff_seconds=0.5, backoff_most_seconds=4.0, retry_after_most_seconds=60.0)

    seconds = wait_before(attempt, asked, settings)

    assert 0 <= seconds <= (4.0 if asked is None else 60.5)
    assert asked is None or seconds >= min(asked, 60.0)


def test_backoff_doubles() -> None:
    """The n-th wait is drawn from all of zero to the first one doubled n - 1 times."""
    settings = Settings(backoff_seconds=1.0, backoff_most_seconds=8.0)

    for attempt, most in ((2, 1.0), (3, 2.0), (4, 4.0), (5, 8.0), (6, 8.0)):
        waits = [wait_before(attempt, None, settings) for _ in range(400)]

        assert max(waits) <= most
        assert min(waits) < most / 4 < most * 3 / 4 < max(waits)


def test_retryable_are_those_that_may_pass() -> None:
    """Of all statuses exactly 408, 425, 429 and 5xx are retried."""
    assert {status for status in range(100, 700) if is_retryable(status)} == {408, 425, 429, *range(500, 600)}


def test_pause_ends() -> None:
    """An origin is paused for the longest time that was asked for, others not at all."""
    pauses = Pauses()
    pauses.add("http://a", 100)
    pauses.add("http://a", 1)
    pauses.add("http://c", -1)

    assert 99 < pauses.left("http://a") <= 100
    assert pauses.left("http://b") == pauses.left("http://c") == 0
