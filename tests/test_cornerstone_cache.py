"""
What the tests of Cornerstone3D say about its cache, held against ours.

Each docstring says the behaviour and, where ours differs ("here"), why. Not here: checks of arguments;
progressive retrieval, which belongs to the tests of volumes.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest

import loadstone
from core.tests.builders import WAIT, until
from loadstone import (
    CacheFullError,
    DecodeError,
    Image,
    LoadCancelled,
    PluginContractError,
    Session,
)
from loadstone.events import ImageEvicted
from tests.cornerstone import Flat, kept, registered, sized, slices

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadstone import ImageId, LoadContext


@pytest.fixture
def flat() -> Iterator[Flat]:
    """Give the loader of ``flat:``."""
    with registered() as loader:
        yield loader


class TestCachedImages:
    """Its cache_test.js and image_cache_test.js."""

    def test_what_was_put_is_what_is_got(self, flat: Flat) -> None:
        """The cache gives the very object; here the image: load objects are each caller's own."""
        with Session() as session:
            image = session.load_image(sized("a", 8))

            assert session.load_image(sized("a", 8)) is image
            assert flat.asked == ["a"]

    def test_what_is_not_there_is_none(self) -> None:
        """Looking up what is unknown is no error."""
        with Session() as session:
            assert session.cache.get("unknown") is None

    def test_removing_gives_the_bytes_back(self, flat: Flat) -> None:
        """After a purge nothing is kept, and the purge says how much that was."""
        with Session() as session:
            session.load_image(sized("a", 100))
            before = kept(session)

            assert (before, session.cache.purge(), kept(session)) == (100, 100, 0)
            session.load_image(sized("a", 100))
            assert flat.asked == ["a", "a"]

    def test_nobody_has_to_say_how_large_an_image_is(self) -> None:
        """
        An image that does not say its size is refused. Here the size is that of the array, so that none
        can be wrong; what is no array is refused, and leaves nothing.
        """
        answers = {"good": Image(np.zeros((3, 7), "u2")), "bad": Image([[1]])}  # type: ignore[arg-type] # on purpose
        with (
            loadstone.register_image_loader("answer", lambda image_id, _: answers[image_id.rest]),
            Session() as session,
        ):
            with pytest.raises(PluginContractError):
                session.load_image("answer:bad")
            after_bad = kept(session)

            assert (after_bad, session.load_image("answer:good").nbytes, kept(session)) == (0, 42, 42)

    def test_what_is_given_up_while_it_loads_is_not_kept(self) -> None:
        """It ends quietly and is not cached; here whoever still waits is told by `LoadCancelled`."""
        started, go = threading.Event(), threading.Event()

        def slow(image_id: ImageId, context: LoadContext) -> Image:
            started.set()
            assert go.wait(WAIT)
            return Image(np.zeros((2, 2), "u1"))

        with loadstone.register_image_loader("slow", slow), Session(idle_seconds=0.01) as session:
            handle = session.request_image("slow:1")
            assert started.wait(WAIT)
            handle.cancel()
            go.set()
            with pytest.raises(LoadCancelled):
                handle.result(WAIT)
            until(lambda: session.pool.stats().threads == 0)

            assert (kept(session), session.cache.stats().entries) == (0, 0)

    def test_images_that_fit_are_all_kept(self, flat: Flat) -> None:
        """2, 3 and 2 of 8 bytes leave all three where they are."""
        ids = [sized("a", 2), sized("b", 3), sized("c", 2)]
        with Session(cache_bytes=8) as session:
            for image_id in [*ids, *ids]:
                session.load_image(image_id)

            assert kept(session) == 7
            assert flat.asked == ["a", "b", "c"]

    def test_one_that_is_larger_than_the_cache_is_refused(self, flat: Flat) -> None:
        """Nothing is kept, and the error is typed; `cache=False` gives the image all the same."""
        with Session(cache_bytes=8) as session:
            with pytest.raises(CacheFullError):
                session.load_image(sized("a", 9))

            assert (kept(session), session.load_image(sized("a", 9), cache=False).nbytes) == (0, 9)

    def test_the_least_recently_used_goes_first(self, flat: Flat) -> None:
        """A look-up counts as use; here strictly by order, as a clock of milliseconds has ties."""
        evicted: list[str] = []
        with Session(cache_bytes=8) as session:
            session.subscribe(ImageEvicted, lambda event: evicted.append(event.image.image_id))
            for name in "abac":
                session.load_image(sized(name, 3))

            assert (kept(session), flat.asked) == (6, ["a", "b", "c"])
            assert evicted == [sized("b", 3)]

    def test_a_failure_is_not_kept(self, flat: Flat) -> None:
        """The error reaches the caller, the entry does not stay, the next attempt is a new one."""
        flat.failing = {"a"}
        with Session() as session:
            with pytest.raises(DecodeError, match="simulated"):
                session.load_image(sized("a", 4))
            flat.failing = set()

            assert kept(session) == 0
            assert session.load_image(sized("a", 4)).nbytes == 4


class TestCachedVolumes:
    """Its cache_test.js."""

    def test_a_volume_counts_with_its_bytes(self, flat: Flat) -> None:
        """Its size is that of its array, and a second request gives the very volume."""
        with Session() as session:
            volume = session.create_volume("stack", image_ids=slices(5))

            assert kept(session) == volume.nbytes == 50_000
            assert session.load_volume("stack", image_ids=slices(5)) is volume

    def test_the_same_name_for_other_images_is_another_volume(self, flat: Flat) -> None:
        """A known volume id is refused; here the images are part of what a volume is."""
        with Session() as session:
            five = session.create_volume("stack", image_ids=slices(5))
            three = session.create_volume("stack", image_ids=slices(3))

            assert (five.shape[0], three.shape[0], kept(session)) == (5, 3, 80_000)

    def test_removing_a_volume_gives_its_bytes_back(self, flat: Flat) -> None:
        """Removing what is not there raises; here `release` may come too often, and the array stays valid."""
        with Session() as session:
            volume = session.create_volume("stack", image_ids=slices(2))
            session.release(volume)
            session.release(volume)

            assert kept(session) == 0
            assert volume.array[1, 0, 0] == 2
            assert session.load_volume("stack", image_ids=slices(2)) is not volume

    def test_a_volume_that_does_not_fit_beside_another_is_refused(self, flat: Flat) -> None:
        """The first one stays as it is; no image of the second is loaded."""
        with Session(cache_bytes=60_000) as session:
            session.create_volume("one", image_ids=slices(5))
            asked = len(flat.asked)
            with pytest.raises(CacheFullError) as caught:
                session.create_volume("two", image_ids=slices(6, name="other"))

            assert (caught.value.needed, caught.value.free, kept(session)) == (60_000, 10_000, 50_000)
            assert len(flat.asked) == asked

    def test_images_and_a_volume_that_fit_stay_together(self, flat: Flat) -> None:
        """One budget for both, used to the last byte."""
        images = slices(2, name="image")
        with Session(cache_bytes=620_000) as session:
            for image_id in images:
                session.load_image(image_id)
            session.create_volume("stack", image_ids=slices(60))

            assert kept(session) == 620_000
            assert all(session.load_image(image_id) for image_id in images)
            assert len(flat.asked) == 62

    def test_a_pinned_volume_makes_no_room_for_an_image(self, flat: Flat) -> None:
        """The image is refused, the volume kept."""
        with Session(cache_bytes=600_000) as session:
            volume = session.create_volume("stack", image_ids=slices(60))
            with pytest.raises(CacheFullError):
                session.load_image(slices(1, name="image")[0])

            assert kept(session) == 600_000
            assert session.load_volume("stack", image_ids=slices(60)) is volume

    def test_what_is_free_and_what_can_be_evicted_make_room_together(self, flat: Flat) -> None:
        """10,000 free and 10,000 evictable are room for 20,000, exactly, and not for 40,000."""
        with Session(cache_bytes=620_000) as session:
            session.create_volume("stack", image_ids=slices(60))
            session.load_image(sized("a", 10_000))
            with pytest.raises(CacheFullError):
                session.load_image(sized("b", 40_000))
            before = kept(session)
            session.load_image(sized("c", 20_000))

            assert (before, kept(session)) == (610_000, 620_000)

    def test_images_outside_of_a_new_volume_go_before_its_own(self, flat: Flat) -> None:
        """Though they were used later; those inside are copied into it, not loaded again."""
        inside = slices(1)[0]
        outside = slices(1, name="other")[0]
        evicted: list[str] = []
        with Session(cache_bytes=30_000) as session:
            session.load_image(inside)
            session.load_image(outside)
            session.subscribe(ImageEvicted, lambda event: evicted.append(event.image.image_id))
            session.create_volume("two", image_ids=slices(2))

            assert evicted == [outside, inside]
            assert kept(session) == 20_000
        assert flat.asked == ["slice1", "other1", "slice2"]
