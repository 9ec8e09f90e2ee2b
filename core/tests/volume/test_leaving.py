"""What stays when a volume is released, taken or lies in a file."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from core.tests.builders import WAIT, Stack, make_session
from loadstone import LoadstoneError, Session
from loadstone.events import ImageCached, VolumeCached
from loadstone.metadata import Scaling

SLICE = 40
"""Bytes of a slice of `Stack`."""


def session_of(stack: Stack, *, described: bool = True, **options: Any) -> Session:
    """Return a session with a stack of slices."""
    return make_session({"slices": stack.loader(described=described)}, **options)


def kept(session: Session) -> int:
    """Return the bytes in the cache; nothing may be in flight."""
    stats = session.cache.stats()
    assert stats.reserved == 0
    return stats.kept


class TestLeaving:
    def test_released_images_stay_one_by_one(self) -> None:
        """Asked for, they are there: copies, counted each."""
        stack, seen = Stack(range(3)), list[str]()
        with session_of(stack) as session:
            volume = session.create_volume("streaming:all", image_ids=stack.ids)
            stack.asked = []
            session.subscribe(ImageCached, lambda event: seen.append(event.image.image_id))
            session.release(volume, keep_images=True)
            images = [session.load_image(f"slices:{k}") for k in range(3)]
            after = kept(session)

        assert (stack.asked, after) == ([], 3 * SLICE)
        assert seen == [f"slices:{k}" for k in range(3)]
        assert not any(np.shares_memory(image.pixels, volume.array) for image in images)
        assert [int(image.pixels[0, 0]) for image in images] == [0, 1, 2]

    def test_an_id_is_not_released(self) -> None:
        """What is released is the volume itself: its id may name another one by then."""
        wrong: Any = "streaming:all"
        with session_of(Stack(range(3))) as session, pytest.raises(TypeError, match="not a str"):
            session.release(wrong)

    def test_as_many_stay_as_fit_beside_the_volume(self) -> None:
        """While they are copied both are there, and the budget holds."""
        stack = Stack(range(3))
        with session_of(stack, cache_bytes=5 * SLICE) as session:
            worst = [0]

            def look(_: object) -> None:
                stats = session.cache.stats()
                worst[0] = max(worst[0], stats.kept + stats.reserved)

            volume = session.create_volume("streaming:all", image_ids=stack.ids)
            session.subscribe(ImageCached, look)
            session.release(volume, keep_images=True)
            after = kept(session)

        assert (after, worst[0]) == (2 * SLICE, 5 * SLICE)

    def test_pinned_twice_it_stays(self) -> None:
        """Only the last release drops it."""
        stack = Stack(range(2))
        with session_of(stack) as session:
            volumes = [session.create_volume("streaming:all", image_ids=stack.ids) for _ in range(2)]
            session.release(volumes[0], keep_images=True)

            assert kept(session) == 2 * SLICE
            assert session.load_volume("streaming:all", image_ids=stack.ids) is volumes[1]

    def test_taken_it_is_the_callers(self) -> None:
        """Without a copy, writable, out of the cache and the budget."""
        stack = Stack(range(3))
        with session_of(stack) as session:
            volume = session.load_volume("streaming:all", image_ids=stack.ids)
            address = volume.array.ctypes.data
            array = volume.take()
            array += 1
            after = kept(session)
            again = session.load_volume("streaming:all", image_ids=stack.ids)

        assert array is volume.array
        assert array.ctypes.data == address
        assert after == 0
        assert again.array[:, 0, 0].tolist() == [0, 1, 2]
        assert array[:, 0, 0].tolist() == [1, 2, 3]
        assert not volume.image(0).pixels.flags.writeable

    @pytest.mark.parametrize("how", ["array", "image", "volume", "joined", "told"])
    def test_what_others_hold_is_copied(self, how: str) -> None:
        """Nobody sees a value change in what was handed out."""
        stack, held = Stack(range(3)), list[Any]()
        with session_of(stack) as session:
            if how == "told":
                session.subscribe(VolumeCached, lambda event: held.append(event.volume))
            handle = session.request_volume("streaming:all", image_ids=stack.ids)
            if how == "joined":
                held.append(session.request_volume("streaming:all", image_ids=stack.ids))
            volume = handle.result(WAIT)
            if how == "array":
                held.append(volume.array)
            if how == "image":
                held.append(session.load_image("slices:1"))
            if how == "volume":
                held.append(session.load_volume("streaming:all", image_ids=stack.ids))
            taken = volume.take()
            taken[...] = 99

        assert held
        assert volume.array[:, 0, 0].tolist() == [0, 1, 2]
        assert not volume.array.flags.writeable

    def test_one_that_is_not_complete_cannot_be_taken(self) -> None:
        """The error says how to complete it."""
        stack = Stack(range(2), failing={1: ValueError("no")})
        with session_of(stack) as session:
            volume = session.load_volume("streaming:all", image_ids=stack.ids, errors="collect")
            with pytest.raises(LoadstoneError, match="1 images of the volume are missing"):
                volume.take()


class TestInAFile:
    def test_it_is_a_volume_like_any_other(self) -> None:
        """The same voxels, usable while it fills, of no budget."""
        stack = Stack(range(4), scaling=Scaling(1, -1000), bits_stored=12)
        with session_of(stack, cache_bytes=SLICE) as session:
            volume = session.load_volume("streaming:all", image_ids=stack.ids, allocate="file")
            image = session.load_image("slices:2")
            again = session.load_volume("streaming:all", image_ids=stack.ids)

            assert again is volume
            assert kept(session) == 0
        assert volume.array[:, 0, 0].tolist() == [-1000, -999, -998, -997]
        assert np.shares_memory(image.pixels, volume.array)
        assert not volume.array.flags.writeable

    def test_it_is_gone_when_nobody_holds_it(self) -> None:
        """A loop over many fills no disk; one that is created stays until it is released."""
        stack = Stack(range(2))
        with session_of(stack) as session:
            session.load_volume("streaming:all", image_ids=stack.ids, allocate="file")
            session.load_volume("streaming:all", image_ids=stack.ids, allocate="file")
            twice = len(stack.asked)
            session.release(session.create_volume("streaming:all", image_ids=stack.ids, allocate="file"))
            session.create_volume("streaming:all", image_ids=stack.ids, allocate="file")
            session.load_volume("streaming:all", image_ids=stack.ids)

        assert (twice, len(stack.asked)) == (4, 8)

    def test_a_full_disk_is_said_at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Nothing is loaded; the error names the folder and what to do."""
        stack = Stack(range(2), shape=(2**20, 2**30))
        with session_of(stack, max_pixels=2**60) as session:
            with pytest.raises(LoadstoneError, match="TMPDIR"):
                session.load_volume("streaming:all", image_ids=stack.ids, allocate="file")

            assert (stack.asked, kept(session)) == ([], 0)

    def test_there_is_no_third_place(self) -> None:
        """A misspelt one is refused."""
        with make_session() as session, pytest.raises(LoadstoneError, match="allocate='disk'"):
            session.load_volume("streaming:all", image_ids=["number:1"], allocate="disk")  # type: ignore[arg-type]
