"""Single images by stages: rising qualities to whoever looks on, the final image in the end."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest

from core.tests.builders import WAIT, flat, make_session
from loadstone import DecodeError, Image, IntegrityError, LoadCancelled, Quality
from loadstone.events import ImageLoadFailed, RetrieveStage
from loadstone.retrieve import (
    BUILT_IN,
    INTERLEAVED,
    SEQUENTIAL,
    RetrieveConfiguration,
    RetrieveOptions,
    Stage,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadstone import ImageId, LoadContext

COARSE = RetrieveOptions(Quality.SUBRESOLUTION)


class Willing:
    """A loader that gives the quality it is asked for, and waits before each image but the first."""

    def __init__(self, *, waits: bool = False) -> None:
        self.asked: list[int] = []
        self.go = threading.Semaphore(0 if waits else 10**6)
        self.failing: dict[int, BaseException] = {}

    def __call__(self, image_id: ImageId, context: LoadContext) -> Image:
        if self.asked:
            assert self.go.acquire(timeout=WAIT)
        quality = context.retrieve.quality
        self.asked.append(int(quality))
        if quality in self.failing:
            raise self.failing[quality]
        return flat(int(quality), quality=quality)


def test_two_stages() -> None:
    """Cornerstone's own test: fast at 6, then final at 8; both are asked for and seen, the image is final."""
    loader = Willing(waits=True)
    failed: list[ImageLoadFailed] = []
    with make_session({"willing": loader}) as session:
        session.subscribe(ImageLoadFailed, failed.append)
        seen = []
        for image in session.request_image("willing:1", retrieve="sequential").partials():
            seen.append(image)
            loader.go.release()

        assert [image.quality for image in seen] == loader.asked == [6, 8]
        assert [image.pixels[0, 0] for image in seen] == [6, 8]
        assert (seen[0].image_id, seen[0].scaled) == ("willing:1", True)
        assert not failed
        assert session.load_image("willing:1") is seen[-1]


def test_stages_of_an_image_are_announced() -> None:
    """Each stage ends with an event that counts the one image."""
    events: list[RetrieveStage] = []
    with make_session({"willing": Willing()}) as session:
        session.subscribe(RetrieveStage, events.append)
        session.load_image("willing:1", retrieve=SEQUENTIAL)

    assert [(each.id, each.stage, each.number) for each in events] == [
        ("willing:1", "fast", 0),
        ("willing:1", "final", 1),
    ]
    assert {(each.images, each.skipped, each.failures) for each in events} == {(1, 0, 0)}
    assert 0 <= events[0].started_seconds <= events[0].seconds + events[0].started_seconds
    assert events[1].started_seconds >= events[0].seconds


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_loader_that_knows_no_stages(name: str) -> None:
    """It is asked once, whatever the stages, and gives the final image."""
    with make_session() as session:
        image = session.load_image("number:7", retrieve=name)

        assert (image.quality, image.pixels[0, 0]) == (Quality.FULL, 7)


def test_a_stage_that_fails_is_no_end() -> None:
    """What a coarse stage could not give, a later one does; only the last failure is the image's."""
    loader = Willing()
    loader.failing[6] = ValueError("no coarse image today")
    failed: list[ImageLoadFailed] = []
    events: list[RetrieveStage] = []
    with make_session({"willing": loader}) as session:
        session.subscribe(ImageLoadFailed, failed.append)
        session.subscribe(RetrieveStage, events.append)

        assert session.load_image("willing:1", retrieve=SEQUENTIAL).quality == Quality.FULL
        assert (failed, [each.failures for each in events]) == ([], [1, 0])
        loader.failing[8] = ValueError("no image at all")
        with pytest.raises(DecodeError, match="no image at all"):
            session.load_image("willing:2", retrieve=SEQUENTIAL)

    assert len(failed) == 1


def test_what_the_stages_leave_out_is_loaded_at_the_end() -> None:
    """Stages that never ask for the final quality are followed by one that does."""
    loader = Willing()
    thumbnails = RetrieveConfiguration.of([Stage("thumbnails", retrieve_type="small")], small=COARSE)
    with make_session({"willing": loader}) as session:
        image = session.load_image("willing:1", retrieve=thumbnails)

    assert (loader.asked, image.quality) == ([6, 8], Quality.FULL)


def test_an_image_that_never_is_final() -> None:
    """A loader that gives less than it is asked for makes no final image of it: that is an error."""

    def poor(image_id: ImageId, context: LoadContext) -> Image:
        return flat(1, quality=Quality.LOSSY)

    with make_session({"poor": poor}) as session, pytest.raises(IntegrityError, match="LOSSY, never final"):
        session.load_image("poor:1", retrieve=SEQUENTIAL)


def test_quality_never_goes_back() -> None:
    """An image that is worse than what was shown is not shown."""
    shown = iter([Quality.LOSSY, Quality.SUBRESOLUTION, Quality.FULL])
    more = threading.Semaphore(1)

    def falling(image_id: ImageId, context: LoadContext) -> Image:
        quality = next(shown)
        assert more.acquire(timeout=WAIT)
        if quality == Quality.SUBRESOLUTION:
            more.release()
        return flat(1, quality=quality)

    stages = RetrieveConfiguration.of(
        [Stage("a", retrieve_type="coarse"), Stage("b", retrieve_type="coarse")], coarse=COARSE
    )
    with make_session({"falling": falling}) as session:
        seen = []
        for image in session.request_image("falling:1", retrieve=stages).partials():
            seen.append(image.quality)
            more.release()

    assert seen == [Quality.LOSSY, Quality.FULL]


def test_iterators_within_a_stage() -> None:
    """A loader may give several images in one stage; the first final one ends the load."""

    def rising(image_id: ImageId, context: LoadContext) -> Iterator[Image]:
        yield flat(1, quality=Quality.SUBRESOLUTION)
        yield flat(2)

    with make_session({"rising": rising}) as session:
        image = session.load_image("rising:1", retrieve=INTERLEAVED)

    assert np.array_equal(image.pixels, flat(2).pixels)


def test_cancelling_between_stages() -> None:
    """Cancelled after the first stage, no further one is asked for."""
    loader = Willing(waits=True)
    with make_session({"willing": loader}) as session:
        handle = session.request_image("willing:1", retrieve=SEQUENTIAL)
        next(handle.partials())
        handle.cancel()
        loader.go.release(5)
        with pytest.raises(LoadCancelled):
            handle.result(WAIT)

    assert loader.asked in ([6], [6, 8])


def test_what_the_session_has_for_an_image() -> None:
    """A configuration that was set for its id is used without asking; the setting is for volumes only."""
    loader = Willing()
    with make_session({"willing": loader}, retrieve="sequential") as session:
        session.load_image("willing:1")
        session.retrieve.set("willing:2", "sequential")
        session.load_image("willing:2")

    assert loader.asked == [8, 6, 8]
