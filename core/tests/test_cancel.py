from __future__ import annotations

import pytest

from loadstone.cancel import CancelToken
from loadstone.errors import LoadCancelled


def test_callbacks_run_once_when_it_is_set() -> None:
    """Setting it again does nothing."""
    token, heard = CancelToken(), list[str]()
    token.on_cancel(lambda: heard.append("a"))
    token.cancel()
    token.cancel()

    assert token.cancelled
    assert heard == ["a"]
    with pytest.raises(LoadCancelled):
        token.raise_if_cancelled()


def test_a_callback_added_too_late_runs_at_once() -> None:
    """Nobody waits for a cancel that has been."""
    token, heard = CancelToken(), list[str]()
    token.cancel()
    token.on_cancel(lambda: heard.append("late"))

    assert heard == ["late"]


def test_a_callback_can_be_taken_back_without_its_twin() -> None:
    """The same function added twice is two callbacks."""
    token, heard = CancelToken(), list[str]()

    def hear() -> None:
        heard.append("heard")

    first = token.on_cancel(hear)
    token.on_cancel(hear)
    first()
    first()
    token.raise_if_cancelled()
    token.cancel()

    assert heard == ["heard"]


def test_a_callback_that_fails_does_not_stop_the_others(caplog: pytest.LogCaptureFixture) -> None:
    """Every socket is closed, though one of them makes trouble."""
    token, heard = CancelToken(), list[str]()

    def fail() -> None:
        raise ValueError("a socket")

    token.on_cancel(fail)
    token.on_cancel(lambda: heard.append("other"))
    token.cancel()

    assert heard == ["other"]
    assert "a socket" in caplog.text
