from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from core.tests.builders import flat
from loadstone.events import Events, ImageCached, ImageEvicted, LoadProgress

EVENT = LoadProgress("toy:1", 1, 2)


def test_every_listener_of_the_type_hears_it() -> None:
    """Events go to those who asked for their very type, in the order in which they asked."""
    events, heard = Events(), list[object]()
    events.subscribe(LoadProgress, lambda event: heard.append(("first", event)))
    events.subscribe(LoadProgress, lambda event: heard.append(("second", event)))
    events.subscribe(ImageCached, heard.append)
    events.emit(EVENT)

    assert heard == [("first", EVENT), ("second", EVENT)]


def test_an_ended_subscription_hears_nothing() -> None:
    """It ends by being called, twice if need be, or at the end of a with block."""
    events, heard = Events(), list[object]()
    end = events.subscribe(LoadProgress, heard.append)
    end()
    end()
    with events.subscribe(LoadProgress, heard.append):
        events.emit(EVENT)
    events.emit(EVENT)

    assert heard == [EVENT]
    assert not events.wants(LoadProgress)


def test_the_same_callback_is_called_once() -> None:
    """Subscribing it again changes nothing."""
    events, heard = Events(), list[object]()
    events.subscribe(LoadProgress, heard.append)
    events.subscribe(LoadProgress, heard.append)
    events.emit(EVENT)

    assert len(heard) == 1


def test_a_callback_that_fails_is_logged_and_isolated(caplog: pytest.LogCaptureFixture) -> None:
    """The others hear the event, and whoever caused it notices nothing."""
    events, heard = Events(), list[object]()

    def fail(_: LoadProgress) -> None:
        raise ValueError("a listener")

    events.subscribe(LoadProgress, fail)
    events.subscribe(LoadProgress, heard.append)
    events.emit(EVENT)

    assert heard == [EVENT]
    assert "a listener" in caplog.text


def test_a_callback_may_subscribe_and_unsubscribe() -> None:
    """Changes count from the next event."""
    events, heard = Events(), list[str]()

    def once(_: LoadProgress) -> None:
        heard.append("once")
        end()
        events.subscribe(LoadProgress, lambda _: heard.append("new"))

    end = events.subscribe(LoadProgress, once)
    events.emit(EVENT)
    events.emit(EVENT)

    assert heard == ["once", "new"]


def test_events_are_frozen() -> None:
    """A listener cannot change what the next one hears."""
    event = ImageEvicted(flat(1))

    with pytest.raises(FrozenInstanceError):
        event.image = flat(2)  # type: ignore[misc] # what is tested


def test_repr_hides_queries_and_credentials() -> None:
    """An event that is logged tells no secret of the id that it is about."""
    event = LoadProgress("web:https://user:word@host/a.png?token=secret", 1, 2)

    assert "secret" not in repr(event)
    assert "word" not in repr(event)
    assert "received_bytes=1" in repr(event)
